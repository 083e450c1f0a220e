import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCloseSession, encodeDelete, encodeOpenSession, encodePut } from "./command.ts";
import { KvStateMachine } from "./kv-state-machine.ts";
import type { KvResult } from "./result.ts";
import { SESSION_LIMITS, type SessionLimits } from "./sessions.ts";
import { bytes, captureChunks, LogWriter, restoreFrom } from "./testing/entries.ts";

const HOUR_MS = 60 * 60 * 1000;
const EXPIRED: KvResult = { kind: "session-expired" };
const CONFLICT: KvResult = { kind: "session-conflict" };

function start(limits: SessionLimits = SESSION_LIMITS): {
  machine: KvStateMachine;
  log: LogWriter;
  id: string;
} {
  const machine = new KvStateMachine(limits);
  const log = new LogWriter(machine);
  return { machine, log, id: log.openSession() };
}

function put(id: string, sequence: number, lowestUnanswered: number, value = "v"): Uint8Array {
  const session = { id, sequence, lowestUnanswered };
  return encodePut({ key: "k", value: bytes(value), type: "text", session });
}

test("an id carries its birth, its log index and the proposer's random bits", () => {
  const log = new LogWriter(new KvStateMachine(), 36 ** 3, 35);
  const random = new Uint8Array([0xde, 0xad, 0xbe, 0xef, 0, 1, 2, 3]);
  assert.deepEqual(log.apply(encodeOpenSession({ random })), {
    kind: "session-opened",
    id: "1000-10-deadbeef00010203",
    ttlMs: HOUR_MS,
  });
});

test("a repeat gives the same answer and changes nothing", () => {
  const { machine, log, id } = start();
  const first = log.apply(put(id, 1, 1));
  log.apply(encodePut({ key: "k", value: bytes("other"), type: "text" }));
  assert.deepEqual(log.apply(put(id, 1, 1)), first);
  assert.equal(machine.revision, 2);
  assert.equal(machine.get("k")?.value, "other");
});

test("a repeat is answered without the previous record", () => {
  const { log, id } = start();
  log.apply(encodePut({ key: "k", value: bytes("old"), type: "text" }));
  const session = { id, sequence: 1, lowestUnanswered: 1 };
  const command = encodeDelete({ key: "k", wantPrevious: true, session });
  const first = log.apply(command);
  assert.ok(first.kind === "deleted" && first.previous?.value === "old");
  assert.deepEqual(log.apply(command), { kind: "deleted", deleted: 1, revision: 2 });
});

test("a refused condition is remembered with the record that refused it", () => {
  const { machine, log, id } = start();
  log.apply(encodePut({ key: "k", value: bytes("old"), type: "text" }));
  const current = machine.get("k");
  const session = { id, sequence: 1, lowestUnanswered: 1 };
  const condition = { kind: "absent" } as const;
  const command = encodePut({ key: "k", value: bytes("new"), type: "text", condition, session });
  const refused: KvResult = { kind: "condition-failed", revision: 1, current };
  assert.deepEqual(log.apply(command), refused);
  log.apply(encodeDelete({ key: "k" }));
  assert.deepEqual(log.apply(command), refused);
  assert.equal(machine.get("k"), undefined);
});

test("concurrent writes may arrive in any order", () => {
  const { machine, log, id } = start();
  const kinds = [3, 1, 4, 2].map((sequence) => log.apply(put(id, sequence, 1)).kind);
  assert.deepEqual(kinds, ["put", "put", "put", "put"]);
  const repeated = [1, 2, 3, 4].map((sequence) => log.apply(put(id, sequence, 1)));
  assert.deepEqual(
    repeated.map((result) => (result.kind === "put" ? result.revision : 0)),
    [2, 4, 1, 3],
  );
  assert.equal(machine.revision, 4);
});

test("the same sequence with another body is a conflict and is not executed", () => {
  const { machine, log, id } = start();
  log.apply(put(id, 1, 1, "one"));
  assert.deepEqual(log.apply(put(id, 1, 1, "two")), CONFLICT);
  const session = { id, sequence: 1, lowestUnanswered: 1 };
  assert.deepEqual(log.apply(encodeDelete({ key: "k", session })), CONFLICT);
  assert.equal(machine.get("k")?.value, "one");
});

test("a sequence whose answer was acknowledged is a conflict, executed or not", () => {
  const { machine, log, id } = start();
  log.apply(put(id, 1, 1));
  log.apply(put(id, 3, 3));
  assert.deepEqual(log.apply(put(id, 1, 1)), CONFLICT);
  assert.deepEqual(log.apply(put(id, 2, 2)), CONFLICT);
  assert.equal(machine.revision, 2);
});

test("a client can not run further ahead than the window", () => {
  const { machine, log, id } = start();
  assert.deepEqual(log.apply(put(id, 1025, 1)), CONFLICT);
  assert.equal(log.apply(put(id, 1024, 1)).kind, "put");
  assert.equal(log.apply(put(id, 1025, 2)).kind, "put");
  assert.deepEqual(log.apply(put(id, 5, 9)), CONFLICT);
  assert.equal(log.apply(put(id, 5, 2)).kind, "put");
  assert.equal(machine.revision, 3);
});

test("an unknown session and another principal's are never executed", () => {
  const { machine, log, id } = start();
  assert.deepEqual(log.apply(put(`${id}0`, 1, 1)), EXPIRED);
  const session = { id, sequence: 1, lowestUnanswered: 1 };
  assert.deepEqual(log.apply(encodeDelete({ key: "k", session, principal: "eve" })), EXPIRED);
  assert.deepEqual(log.apply(encodeCloseSession({ id, principal: "eve" })), EXPIRED);
  assert.equal(machine.revision, 0);
  assert.equal(machine.sessionCount, 1);
});

test("a closed session is gone", () => {
  const { log, id } = start();
  assert.deepEqual(log.apply(encodeCloseSession({ id })), { kind: "session-closed" });
  assert.deepEqual(log.apply(encodeCloseSession({ id })), EXPIRED);
  assert.deepEqual(log.apply(put(id, 1, 1)), EXPIRED);
});

test("only cluster time ends a session, one hour after its last use", () => {
  const { machine, log, id } = start();
  assert.equal(machine.nextDeadline(), 1_000 + HOUR_MS);
  log.wait(HOUR_MS - 1);
  assert.equal(log.apply(put(id, 1, 1)).kind, "put");
  assert.equal(machine.nextDeadline(), 1_000 + 2 * HOUR_MS - 1);
  log.wait(HOUR_MS - 1);
  assert.equal(log.apply(put(id, 1, 1)).kind, "put");
  log.wait(HOUR_MS);
  assert.deepEqual(log.apply(put(id, 1, 1)), EXPIRED);
  assert.deepEqual(log.apply(put(id, 2, 1)), EXPIRED);
  assert.equal(machine.revision, 1);
  assert.equal(machine.nextDeadline(), undefined);
});

test("a refused command does not keep its session alive", () => {
  const { machine, log, id } = start();
  log.wait(1_000);
  log.apply(put(id, 2000, 1));
  assert.equal(machine.nextDeadline(), 1_000 + HOUR_MS);
});

test("a time entry alone ends every session that is due", () => {
  const { machine, log } = start();
  log.openSession();
  log.wait(1);
  const id = log.openSession();
  log.wait(HOUR_MS - 1);
  log.tick();
  assert.equal(machine.sessionCount, 1);
  assert.equal(log.apply(put(id, 1, 1)).kind, "put");
});

test("a full table refuses new sessions until old ones end", () => {
  const limits = { ...SESSION_LIMITS, sessionsMax: 2 };
  const { log } = start(limits);
  const open = encodeOpenSession({ random: new Uint8Array(8) });
  assert.equal(log.apply(open).kind, "session-opened");
  assert.deepEqual(log.apply(open), { kind: "sessions-full" });
  log.wait(HOUR_MS);
  assert.equal(log.apply(open).kind, "session-opened");
});

test("sessions survive a snapshot with their answers and deadlines", () => {
  const { machine, log, id } = start();
  log.wait(5);
  const other = log.openSession();
  log.wait(5);
  const first = log.apply(put(id, 1, 1));
  log.apply(encodeDelete({ key: "none", session: { id, sequence: 2, lowestUnanswered: 1 } }));
  const condition = { kind: "exists" } as const;
  const session = { id: other, sequence: 1, lowestUnanswered: 1 };
  log.apply(encodeDelete({ key: "none", condition, session }));

  const restored = new KvStateMachine();
  restoreFrom(restored, captureChunks(machine));
  const restoredLog = new LogWriter(restored, 1_010, log.index);
  assert.equal(restored.nextDeadline(), machine.nextDeadline());
  assert.deepEqual(restoredLog.apply(put(id, 1, 1)), first);
  assert.deepEqual(restoredLog.apply(put(id, 1, 1, "x")), CONFLICT);
  assert.equal(restored.revision, 1);
});
