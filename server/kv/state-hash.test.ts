/** The hash is a function of the state, and of every field of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError, SeededRandom } from "../../raft/index.ts";
import { encodeCloseSession, encodeDelete, encodePut } from "./command.ts";
import { SnapshotFormatError } from "./errors.ts";
import { KvStateMachine } from "./kv-state-machine.ts";
import type { ByteString, KvRecord } from "./record.ts";
import type { Answer, Session } from "./sessions.ts";
import type { StateNumbers } from "./snapshot-format.ts";
import { HASH_VERSION, StateHasher } from "./state-hash.ts";
import { checksumOf, StoredRecord } from "./stored-record.ts";
import { bytes, captureChunks, LogWriter, restoreFrom } from "./testing/entries.ts";

const NUMBERS: StateNumbers = {
  revision: 7,
  compactedRevision: 0,
  featureLevel: 1,
  clusterTime: 2 ** 40 + 5,
};
const RECORD: KvRecord = {
  value: "some value",
  type: "text",
  revision: 2 ** 33 + 1,
  createRevision: 3,
  version: 2,
  lease: 0,
  expiresAt: 0,
};
const ANSWER: Answer = {
  sequence: 4,
  fingerprint: 99,
  result: { kind: "put", revision: 6, createRevision: 6, version: 1 },
};
const SESSION: Session = {
  principal: "ada",
  birth: 100,
  lastUse: 200,
  lowestUnanswered: 3,
  answers: [ANSWER],
};

function hashOf(fill: (hasher: StateHasher) => void, numbers = NUMBERS): string {
  const hasher = new StateHasher();
  fill(hasher);
  return hasher.value(numbers).value;
}

function add(hasher: StateHasher, key: ByteString, record: KvRecord): void {
  hasher.addRecord(key, record, checksumOf(record.value));
}

/** Replays the state into an empty machine, which hashes it from nothing. */
function hashFromState(machine: KvStateMachine): string {
  const restored = new KvStateMachine();
  restoreFrom(restored, captureChunks(machine));
  return restored.hash.value;
}

/** One random step: writes with and without sessions, windows that move, expiry. */
function step(random: SeededRandom, log: LogWriter, sessions: Map<string, number>): void {
  const key = `key-${random.below(12)}`;
  const value = Buffer.alloc(random.below(40), random.below(256));
  const ids = [...sessions.keys()];
  const id = ids[random.below(ids.length + 1)];
  const next = id === undefined ? 0 : (sessions.get(id) ?? 0) + 1;
  const lowestUnanswered = Math.max(1, next - random.below(5));
  const session = id === undefined ? undefined : { id, sequence: next, lowestUnanswered };
  if (id !== undefined) sessions.set(id, next);
  switch (random.below(10)) {
    case 0:
      sessions.set(log.openSession(), 0);
      return;
    case 1:
      if (id !== undefined) log.apply(encodeCloseSession({ id }));
      return;
    case 2:
    case 3:
      log.apply(encodeDelete({ key, session }));
      return;
    case 4:
      log.wait(random.below(20 * 60 * 1000));
      log.tick();
      return;
    case 5:
      log.apply(encodePut({ key, value, type: "text", condition: { kind: "absent" }, session }));
      return;
    default:
      log.apply(encodePut({ key, value, type: "binary", session }));
      if (random.below(4) === 0) log.apply(encodePut({ key, value, type: "binary", session }));
  }
}

test("after any history the hash is that of the state alone", () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = new SeededRandom(seed);
    const machine = new KvStateMachine();
    const log = new LogWriter(machine);
    const sessions = new Map<string, number>();
    for (let n = 0; n < 200; n += 1) {
      step(random, log, sessions);
      if (n % 20 === 0) assert.equal(machine.hash.value, hashFromState(machine), `seed ${seed}`);
    }
    assert.equal(machine.hash.value, hashFromState(machine), `seed ${seed}`);
  }
});

test("a restored replica goes on with the hash of those that never stopped", () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const steady = new KvStateMachine();
    let restless = new KvStateMachine();
    let restlessLog = new LogWriter(restless);
    const steadyLog = new LogWriter(steady);
    for (let n = 0; n < 100; n += 1) {
      const command = encodePut({ key: `k${n % 7}`, value: bytes(`${seed}-${n}`), type: "text" });
      steadyLog.apply(command);
      restlessLog.apply(command);
      assert.deepEqual(restless.hash, steady.hash, `seed ${seed}, step ${n}`);
      if (n % 9 === seed % 9) {
        const restored = new KvStateMachine();
        restoreFrom(restored, captureChunks(restless));
        restless = restored;
        restlessLog = new LogWriter(restless, 1_000, restlessLog.index);
      }
    }
  }
});

test("order plays no part, and what is removed leaves nothing behind", () => {
  const keys = Array.from({ length: 50 }, (_, n) => `key-${n}`);
  const forward = hashOf((hasher) => {
    for (const key of keys) add(hasher, key, RECORD);
  });
  const backward = hashOf((hasher) => {
    for (const key of [...keys].reverse()) {
      add(hasher, `${key}-gone`, RECORD);
      hasher.addSession(key, SESSION);
      add(hasher, key, RECORD);
      hasher.removeRecord(`${key}-gone`, RECORD, checksumOf(RECORD.value));
      hasher.removeSession(key, SESSION);
    }
  });
  assert.equal(forward, backward);
});

test("every field changes both halves of the hash", () => {
  const records: KvRecord[] = [
    RECORD,
    { ...RECORD, value: "some valuf" },
    { ...RECORD, value: "some value\0" },
    { ...RECORD, value: "" },
    { ...RECORD, type: "binary" },
    { ...RECORD, revision: 1 },
    { ...RECORD, createRevision: 4 },
    { ...RECORD, version: 3 },
    { ...RECORD, lease: 1 },
    { ...RECORD, expiresAt: 1 },
  ];
  const sessions: Session[] = [
    SESSION,
    { ...SESSION, principal: "" },
    { ...SESSION, birth: 101 },
    { ...SESSION, lastUse: 201 },
    { ...SESSION, lowestUnanswered: 4 },
    { ...SESSION, answers: [] },
    { ...SESSION, answers: [{ ...ANSWER, sequence: 5 }] },
    { ...SESSION, answers: [{ ...ANSWER, fingerprint: 98 }] },
    { ...SESSION, answers: [{ ...ANSWER, result: { kind: "deleted", deleted: 1, revision: 6 } }] },
    { ...SESSION, answers: [ANSWER, { ...ANSWER, sequence: 5 }] },
    ...[undefined, RECORD, { ...RECORD, value: "x" }].map((current) => {
      const result = { kind: "condition-failed", revision: 6, current } as const;
      return { ...SESSION, answers: [{ ...ANSWER, result }] };
    }),
  ];
  const numbers: StateNumbers[] = [
    { ...NUMBERS, revision: 8 },
    { ...NUMBERS, compactedRevision: 1 },
    { ...NUMBERS, featureLevel: 0 },
    { ...NUMBERS, clusterTime: 5 },
  ];
  const hashes = [
    hashOf(() => {}),
    ...records.map((record) => hashOf((hasher) => add(hasher, "key", record))),
    hashOf((hasher) => add(hasher, "kez", RECORD)),
    ...sessions.map((session) => hashOf((hasher) => hasher.addSession("id", session))),
    hashOf((hasher) => hasher.addSession("ie", SESSION)),
    ...numbers.map((changed) => hashOf(() => {}, changed)),
  ];
  assert.equal(new Set(hashes.map((hash) => hash.slice(0, 8))).size, hashes.length);
  assert.equal(new Set(hashes.map((hash) => hash.slice(8))).size, hashes.length);
});

test("no single bit and no swap of two words of a value goes unnoticed", () => {
  const random = new SeededRandom(5);
  const value = Buffer.from(Array.from({ length: 512 }, () => random.below(256)));
  const hashOfValue = (changed: Buffer) =>
    hashOf((hasher) => add(hasher, "k", { ...RECORD, value: changed.toString("latin1") }));
  const seen = new Set([hashOfValue(value)]);
  for (let bit = 0; bit < value.length * 8; bit += 1) {
    const changed = Buffer.from(value);
    changed[bit >>> 3] = (changed[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
    seen.add(hashOfValue(changed));
  }
  for (let at = 0; at + 8 <= value.length; at += 4) {
    const changed = Buffer.from(value);
    value.copy(changed, at, at + 4, at + 8);
    value.copy(changed, at + 4, at, at + 4);
    seen.add(hashOfValue(changed));
  }
  assert.equal(seen.size, 1 + value.length * 8 + value.length / 4 - 1);
});

test("two keys that swap their values are noticed", () => {
  const other = { ...RECORD, value: "other" };
  const straight = hashOf((hasher) => {
    add(hasher, "a", RECORD);
    add(hasher, "b", other);
  });
  const crossed = hashOf((hasher) => {
    add(hasher, "a", other);
    add(hasher, "b", RECORD);
  });
  assert.notEqual(straight, crossed);
});

test("a state that was changed on its way is refused", () => {
  const machine = new KvStateMachine();
  const log = new LogWriter(machine);
  log.apply(encodePut({ key: "a", value: bytes("the value"), type: "text" }));
  const state = Buffer.concat(captureChunks(machine));
  const at = state.indexOf("the value");
  state.writeUInt8(state.readUInt8(at) ^ 1, at);
  assert.throws(
    () => restoreFrom(new KvStateMachine(), [state]),
    (error) => error instanceof SnapshotFormatError && /hash/.test(error.message),
  );
  const hashVersionAt = 34;
  assert.equal(state.readUInt32LE(hashVersionAt), HASH_VERSION);
  state.writeUInt32LE(HASH_VERSION + 1, hashVersionAt);
  restoreFrom(new KvStateMachine(), [state]);
});

test("memory that changed under the machine goes into no snapshot", ({ mock }) => {
  const copy = mock.method(StoredRecord.prototype, "copy");
  for (const [field, value] of [
    ["value", "wrong"],
    ["revision", 2],
  ] as const) {
    const machine = new KvStateMachine();
    const log = new LogWriter(machine);
    log.apply(encodePut({ key: "a", value: bytes("right"), type: "text" }));
    machine.get("a");
    const record = copy.mock.calls.at(-1)?.this;
    assert(record instanceof StoredRecord);
    Reflect.set(record, field, value);
    assert.throws(() => captureChunks(machine), InvariantError);
  }
});

test("another way of hashing is another version", () => {
  const value = hashOf((hasher) => {
    add(hasher, "key", RECORD);
    hasher.addSession("id", SESSION);
  });
  assert.deepEqual({ version: HASH_VERSION, value }, { version: 1, value: "6980bb626cae8167" });
});
