/** Linearizable reads, the leader's side and the follower's side. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "./assert.ts";
import { FollowerReads, LeaderReads } from "./read-index.ts";

const OWN = 0;

function own(context: number) {
  return { from: OWN, context };
}

test("reads wait for a round that starts after them, at the commit index of its start", () => {
  const reads = new LeaderReads();
  reads.register(own(1));
  assert.ok(reads.isRoundDue);
  const round = reads.startRound(10, 7);
  assert.ok(!reads.isRoundDue);
  reads.register(own(2));
  assert.ok(!reads.isRoundDue, "it waits for the round under way to end");
  assert.deepEqual(reads.confirm(round), [{ from: OWN, context: 1, index: 7 }]);
  assert.ok(reads.isRoundDue);
  const next = reads.startRound(20, 9);
  assert.deepEqual(reads.confirm(round), [], "an old answer confirms nothing new (etcd 20418)");
  assert.deepEqual(reads.confirm(next), [{ from: OWN, context: 2, index: 9 }]);
});

test("a later round confirms the ones before it, so a lost round needs no repeat", () => {
  const reads = new LeaderReads();
  reads.register(own(1));
  reads.startRound(10, 7);
  reads.register(own(2));
  const heartbeat = reads.startRound(60, 8);
  assert.deepEqual(reads.confirm(heartbeat), [
    { from: OWN, context: 1, index: 7 },
    { from: OWN, context: 2, index: 8 },
  ]);
});

test("no read goes with a round before a commit of the own term (etcd 7331)", () => {
  const reads = new LeaderReads();
  reads.register(own(1));
  assert.deepEqual(reads.confirm(reads.startRound(10, undefined)), []);
  assert.ok(reads.isRoundDue);
  assert.deepEqual(reads.confirm(reads.startRound(20, 3)), [{ from: OWN, context: 1, index: 3 }]);
});

test("only rounds that were sent are acknowledged", () => {
  assert.throws(() => new LeaderReads().confirm(1), InvariantError);
});

test("a follower that repeats itself is answered once, for the newer request", () => {
  const reads = new LeaderReads();
  reads.register({ from: 2, context: 100 });
  reads.register({ from: 3, context: 100 });
  reads.register({ from: 2, context: 101 });
  assert.deepEqual(reads.confirm(reads.startRound(0, 5)), [
    { from: 3, context: 100, index: 5 },
    { from: 2, context: 101, index: 5 },
  ]);
});

test("whoever stops leading gets back all that is not confirmed", () => {
  const reads = new LeaderReads();
  reads.register(own(1));
  reads.startRound(0, 5);
  reads.register({ from: 2, context: 9 });
  assert.deepEqual(reads.drain(), [own(1), { from: 2, context: 9 }]);
  assert.deepEqual(reads.drain(), []);
});

test("a lease counts from the sending of the newest confirmed round, until it is given up", () => {
  const reads = new LeaderReads();
  assert.equal(reads.leaseFromMs, undefined);
  const rounds = [10, 20, 30].map((now) => reads.startRound(now, undefined));
  reads.confirm(rounds[1] ?? 0);
  assert.equal(reads.leaseFromMs, 20, "not from when the answer came");
  reads.confirm(rounds[0] ?? 0);
  assert.equal(reads.leaseFromMs, 20);
  reads.giveUpLease();
  reads.confirm(rounds[2] ?? 0);
  assert.equal(reads.leaseFromMs, undefined, "for good");
});

test("a follower asks once for all that gathered, and only one question is open", () => {
  const reads = new FollowerReads(500);
  assert.ok(!reads.isRequestDue);
  reads.register(1);
  reads.register(2);
  assert.ok(reads.isRequestDue);
  assert.equal(reads.startRequest(), 500);
  reads.register(3);
  assert.ok(!reads.isRequestDue);
  assert.deepEqual(reads.answered(500), [1, 2]);
  assert.ok(reads.isRequestDue);
  assert.equal(reads.startRequest(), 501);
  assert.deepEqual(reads.answered(500), [], "an old answer settles nothing new");
  assert.deepEqual(reads.answered(501), [3]);
});

test("an unanswered question is asked again under a new id, and either answer will do", () => {
  const reads = new FollowerReads(1);
  reads.register(1);
  const first = reads.startRequest();
  reads.tick(25, 50);
  assert.ok(!reads.isRequestDue);
  reads.tick(25, 50);
  assert.ok(reads.isRequestDue);
  reads.register(2);
  const second = reads.startRequest();
  assert.deepEqual(reads.answered(first), [1], "slow, not lost: it left after the read came");
  assert.ok(!reads.isRequestDue, "the second is still open");
  assert.deepEqual(reads.answered(second), [2]);
});

test("an answer from before a change of leader settles nothing", () => {
  const reads = new FollowerReads(1);
  reads.register(1);
  const old = reads.startRequest();
  assert.deepEqual(reads.drain(), [1]);
  reads.register(2);
  assert.ok(reads.isRequestDue);
  const request = reads.startRequest();
  assert.deepEqual(reads.answered(old), []);
  assert.deepEqual(reads.answered(request + 1), [], "never asked");
  assert.deepEqual(reads.answered(request), [2]);
});
