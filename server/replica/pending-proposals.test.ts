import assert from "node:assert/strict";
import { test } from "node:test";
import type { WriteOutcome } from "../gateway.ts";
import { PendingProposals, type Waiter } from "./pending-proposals.ts";

function setUp() {
  const log: string[] = [];
  const pending = new PendingProposals<string>((waiter, outcome) => {
    if (waiter.kind === "local") waiter.done(outcome);
  });
  const waiter = (name: string): Waiter<string> => ({
    kind: "local",
    done: (outcome) => log.push(`${name}: ${describe(outcome)}`),
  });
  return { pending, waiter, log };
}

function describe(outcome: WriteOutcome<string>): string {
  return outcome.kind === "applied" ? outcome.result : `${outcome.kind} ${outcome.reason}`;
}

test("an entry applied in its own term answers whoever proposed it, once", () => {
  const { pending, waiter, log } = setUp();
  pending.add(5, 2, waiter("a"), 100);
  pending.applied(5, 2, "done");
  pending.applied(5, 2, "again");
  assert.deepEqual(log, ["a: done"]);
  assert.equal(pending.size, 0);
});

test("another leader's entry in its place means it was certainly not applied", () => {
  const { pending, waiter, log } = setUp();
  pending.add(5, 2, waiter("a"), 100);
  pending.add(6, 2, waiter("b"), 100);
  pending.applied(5, 3, "someone else's");
  pending.replaced(6);
  assert.deepEqual(log, ["a: not-applied no-leader", "b: not-applied no-leader"]);
});

test("an applied entry of a newer term ends what older terms proposed behind it", () => {
  const { pending, waiter, log } = setUp();
  pending.add(6, 2, waiter("a"), 100);
  pending.add(7, 2, waiter("b"), 100);
  pending.add(8, 4, waiter("c"), 100);
  pending.overtaken(2);
  assert.deepEqual(log, []);
  pending.overtaken(4);
  assert.deepEqual(log, ["a: not-applied no-leader", "b: not-applied no-leader"]);
  assert.equal(pending.size, 1);
});

test("time, a snapshot and an end leave the outcome unknown", () => {
  const { pending, waiter, log } = setUp();
  pending.add(5, 2, waiter("late"), 100);
  pending.add(6, 2, waiter("jumped"), 200);
  pending.add(9, 2, waiter("ended"), 300);
  pending.expire(99);
  assert.deepEqual(log, []);
  pending.expire(100);
  pending.skipped(8);
  pending.abandon();
  assert.deepEqual(log, [
    "late: unknown timeout",
    "jumped: unknown leadership-lost",
    "ended: unknown leadership-lost",
  ]);
});

test("an index taken again after a truncation leaves the earlier proposal unknown", () => {
  const { pending, waiter, log } = setUp();
  pending.add(5, 2, waiter("old"), 100);
  pending.add(5, 4, waiter("new"), 200);
  pending.applied(5, 4, "done");
  assert.deepEqual(log, ["old: unknown leadership-lost", "new: done"]);
});

test("what an older term proposed ends with it, wherever a newer one proposed since", () => {
  const { pending, waiter, log } = setUp();
  pending.add(8, 2, waiter("a"), 300);
  pending.add(9, 2, waiter("b"), 100);
  pending.add(6, 4, waiter("c"), 200);
  pending.expire(100);
  assert.deepEqual(log, ["b: unknown timeout"]);
  pending.applied(6, 4, "done");
  pending.overtaken(4);
  assert.deepEqual(log.slice(1), ["c: done", "a: not-applied no-leader"]);
  assert.equal(pending.size, 0);
});
