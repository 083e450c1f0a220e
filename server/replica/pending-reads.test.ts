import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReadOutcome } from "../gateway.ts";
import { PendingReads } from "./pending-reads.ts";

function setUp() {
  const log: string[] = [];
  const reads = new PendingReads();
  const read = (name: string, minRevision = 0, deadlineMs = 100) => ({
    done: (outcome: ReadOutcome) => log.push(`${name}: ${describe(outcome)}`),
    minRevision,
    deadlineMs,
  });
  return { reads, read, log };
}

function describe(outcome: ReadOutcome): string {
  return outcome.kind === "granted" ? outcome.used : outcome.reason;
}

test("reads of one turn share a context and are granted together", () => {
  const { reads, read, log } = setUp();
  reads.gather(read("a"));
  reads.gather(read("b"));
  const context = reads.startBatch();
  reads.gather(read("later"));
  reads.confirmed(context, 7, { index: 7, revision: 3 }, "read-index");
  assert.deepEqual(log, ["a: read-index", "b: read-index"]);
  assert.equal(reads.hasGathered, true);
});

test("a confirmed read waits until its index is applied", () => {
  const { reads, read, log } = setUp();
  reads.gather(read("a"));
  reads.confirmed(reads.startBatch(), 7, { index: 5, revision: 3 }, "lease");
  reads.applied({ index: 6, revision: 4 });
  assert.deepEqual(log, []);
  reads.applied({ index: 7, revision: 5 });
  assert.deepEqual(log, ["a: lease"]);
});

test("a read that names a revision waits for it too", () => {
  const { reads, read, log } = setUp();
  reads.gather(read("a", 9));
  reads.waitForRevision(read("b", 4), "stale");
  reads.confirmed(reads.startBatch(), 1, { index: 1, revision: 3 }, "read-index");
  reads.applied({ index: 2, revision: 4 });
  assert.deepEqual(log, ["b: stale"]);
  reads.applied({ index: 9, revision: 9 });
  assert.deepEqual(log, ["b: stale", "a: read-index"]);
});

test("every read ends: by its deadline, by a refusal, at the end of the process", () => {
  const { reads, read, log } = setUp();
  reads.gather(read("unconfirmed", 0, 10));
  reads.startBatch();
  reads.gather(read("unapplied", 0, 10));
  reads.confirmed(reads.startBatch(), 8, { index: 1, revision: 1 }, "read-index");
  reads.waitForRevision(read("behind", 9, 10), "stale");
  reads.gather(read("refused", 0, 50));
  const context = reads.startBatch();
  reads.expire(10);
  const noLeader = { kind: "refused", reason: "no-leader", leader: undefined } as const;
  reads.refused(context, noLeader);
  reads.refused(context, noLeader);
  reads.gather(read("abandoned"));
  reads.abandon({ kind: "refused", reason: "stopping", leader: undefined });
  assert.deepEqual(log, [
    "unconfirmed: timeout",
    "unapplied: timeout",
    "behind: behind",
    "refused: no-leader",
    "abandoned: stopping",
  ]);
});
