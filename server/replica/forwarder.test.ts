import assert from "node:assert/strict";
import { test } from "node:test";
import type { WriteOutcome } from "../gateway.ts";
import type { Forward } from "../peer/index.ts";
import { ForwardIntake, ForwardOrigin } from "./forwarder.ts";

const SELF = { id: 2, incarnation: 77 };
const COMMAND = new Uint8Array([1]);

function setUp() {
  const log: string[] = [];
  const sent: Forward[] = [];
  const origin = new ForwardOrigin<string>(SELF);
  const queue = (name: string, deadlineMs = 100) =>
    origin.queue(COMMAND, deadlineMs, (outcome) => log.push(`${name}: ${describe(outcome)}`));
  const send = (message: Forward) => {
    sent.push(message);
    return true;
  };
  return { origin, queue, send, sent, log };
}

function describe(outcome: WriteOutcome<string>): string {
  return outcome.kind === "applied" ? outcome.result : `${outcome.kind} ${outcome.reason}`;
}

test("what gathers in a turn leaves as one message with a rising sequence", () => {
  const { origin, queue, send, sent, log } = setUp();
  queue("a");
  queue("b");
  origin.flush(1, 4, send);
  origin.flush(1, 4, send);
  queue("c");
  origin.flush(1, 4, send);
  assert.deepEqual(
    sent.map(({ sequence, leaderTerm, requests }) => [sequence, leaderTerm, requests.length]),
    [
      [1, 4, 2],
      [2, 4, 1],
    ],
  );
  const ids = sent.flatMap(({ requests }) => requests.map(({ id }) => id));
  origin.results({
    kind: "forward-results",
    from: 1,
    to: 2,
    originIncarnation: 77,
    results: ids.map((id) => ({ id, outcome: { kind: "applied", result: `r${id}` } })),
  });
  assert.deepEqual(log, ["a: r1", "b: r2", "c: r3"]);
});

test("without a leader, or when nothing could be sent, the write was not applied", () => {
  const { origin, queue, log } = setUp();
  queue("a");
  origin.flush(0, 4, () => true);
  queue("b");
  origin.flush(1, 4, () => false);
  assert.deepEqual(log, ["a: not-applied no-leader", "b: not-applied no-leader"]);
  assert.equal(origin.size, 0);
});

test("a lost link and a passed deadline leave the outcome unknown", () => {
  const { origin, queue, send, log } = setUp();
  queue("a", 50);
  origin.flush(1, 4, send);
  queue("b", 100);
  origin.flush(3, 5, send);
  origin.expire(50);
  origin.linkLost(1);
  origin.linkLost(3);
  assert.deepEqual(log, ["a: unknown timeout", "b: unknown link-lost"]);
});

test("answers meant for an earlier process of this node are dropped", () => {
  const { origin, queue, send, log } = setUp();
  queue("a");
  origin.flush(1, 4, send);
  const results = [{ id: 1, outcome: { kind: "applied", result: "stale" } as const }];
  origin.results({ kind: "forward-results", from: 1, to: 2, originIncarnation: 76, results });
  assert.deepEqual(log, []);
});

test("the leader takes each batch once, whichever process of its origin sent it", () => {
  const intake = new ForwardIntake<string>(1);
  const batch = (originIncarnation: number, sequence: number): Forward => ({
    kind: "forward",
    from: 2,
    to: 1,
    leaderTerm: 4,
    originIncarnation,
    sequence,
    requests: [],
  });
  assert.equal(intake.admit(batch(77, 1)), true);
  assert.equal(intake.admit(batch(77, 1)), false);
  assert.equal(intake.admit(batch(77, 5)), true);
  assert.equal(intake.admit(batch(77, 3)), false);
  assert.equal(intake.admit(batch(78, 1)), true);
  assert.equal(intake.admit(batch(76, 9)), true, "a straggler of a life nobody heard of");
  assert.equal(intake.admit(batch(78, 2)), true, "does not silence the present one");
  assert.equal(intake.admit(batch(76, 9)), false);
  assert.equal(intake.admit(batch(77, 5)), false);
  assert.equal(intake.admit(batch(78, 2)), false);
});

test("answers gather by origin and leave once", () => {
  const intake = new ForwardIntake<string>(1);
  const sent: string[] = [];
  const send = (message: { to: number; results: readonly { id: number }[] }) => {
    sent.push(`${message.to}: ${message.results.map(({ id }) => id).join(",")}`);
  };
  intake.answer(2, 77, 1, { kind: "applied", result: "x" });
  intake.answer(3, 99, 1, { kind: "applied", result: "y" });
  intake.answer(2, 77, 2, { kind: "applied", result: "z" });
  intake.flush(send);
  intake.flush(send);
  assert.deepEqual(sent, ["2: 1,2", "3: 1"]);
});
