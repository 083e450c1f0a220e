/** The three states of a follower as its leader sees it, and the window. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Progress } from "./progress.ts";

const LIMITS = { inflightMessagesMax: 3, inflightBytesMax: 1000 };

/** Probing at `nextIndex`. */
function probing(nextIndex: number): Progress {
  return new Progress(2, true, nextIndex, 0, LIMITS);
}

/** Replicating, with everything up to `matchIndex` acknowledged and the commit index told. */
function replicating(matchIndex: number): Progress {
  const peer = probing(matchIndex + 1);
  peer.accepted(matchIndex, 1);
  peer.commitSent(matchIndex);
  return peer;
}

function shape(peer: Progress) {
  return [peer.state, peer.matchIndex, peer.nextIndex, peer.inflight];
}

test("a probe sends one append and waits for its answer", () => {
  const peer = probing(8);
  assert.ok(peer.canSend && peer.isEmptyAppendDue(0));
  peer.appendSent(9, 100, 0);
  assert.ok(!peer.canSend && !peer.isEmptyAppendDue(9));
  assert.deepEqual(shape(peer), ["probe", 0, 8, 0], "nextIndex stays until something is known");
  assert.equal(peer.accepted(9, 1), true);
  assert.deepEqual(shape(peer), ["replicate", 9, 10, 0]);
});

test("an answered heartbeat lets a probe try again, for its append may be lost", () => {
  const peer = probing(8);
  peer.appendSent(7, 0, 0);
  peer.heartbeatAnswered();
  assert.ok(peer.canSend);
});

test("a rejected probe goes back to where the logs may agree; old answers do not count", () => {
  const peer = probing(20);
  assert.equal(peer.rejected(15, 3), false);
  assert.equal(peer.rejected(19, 7), true);
  assert.deepEqual(shape(peer), ["probe", 0, 8, 0]);
  assert.equal(peer.rejected(19, 2), false);
  assert.equal(peer.rejected(7, 30), true, "always back by one at least");
  assert.deepEqual(shape(peer), ["probe", 0, 7, 0]);
});

test("replicating runs ahead within a window of messages", () => {
  const peer = replicating(4);
  for (const index of [5, 6, 7]) {
    assert.ok(peer.canSend);
    peer.appendSent(index, 10, 4);
  }
  assert.ok(!peer.canSend);
  assert.deepEqual(shape(peer), ["replicate", 4, 8, 3]);
  assert.equal(peer.accepted(6, 1), true);
  assert.deepEqual(shape(peer), ["replicate", 6, 8, 1], "one answer covers all before it");
  assert.equal(peer.accepted(5, 1), false, "matchIndex never goes back");
  assert.equal(peer.matchIndex, 6);
});

test("replicating runs ahead within a window of bytes", () => {
  const peer = replicating(4);
  peer.appendSent(5, 900, 4);
  assert.ok(peer.canSend, "one append may go over the bound");
  peer.appendSent(6, 900, 4);
  assert.ok(!peer.canSend);
  peer.accepted(5, 1);
  assert.ok(peer.canSend);
});

test("the commit index goes alone only after a tick in which no append could carry it", () => {
  const peer = replicating(4);
  assert.ok(!peer.isEmptyAppendDue(4), "it knows");
  peer.appendSent(5, 10, 4);
  peer.tick();
  assert.ok(!peer.isEmptyAppendDue(5), "an append is in flight: the heartbeat will tell");
  peer.accepted(5, 1);
  assert.ok(!peer.isEmptyAppendDue(5), "it may ride the next append");
  peer.tick();
  assert.ok(peer.isEmptyAppendDue(5));
  peer.appendSent(5, 0, 5);
  assert.ok(!peer.isEmptyAppendDue(5));
  assert.equal(peer.inflight, 0, "an append without entries takes no place in the window");
});

test("a rejection while replicating falls back to what is known, and only once", () => {
  const peer = replicating(4);
  for (const index of [5, 6, 7]) peer.appendSent(index, 10, 4);
  assert.equal(peer.rejected(3, 1), false, "at or below matchIndex it is old");
  assert.equal(peer.rejected(5, 4), true);
  assert.deepEqual(shape(peer), ["probe", 4, 5, 0]);
  peer.appendSent(5, 10, 4);
  assert.equal(peer.rejected(6, 4), false, "the rest of the window fails, too: that is no news");
  assert.ok(!peer.canSend);
});

test("a window that stands still over two heartbeats is nudged with an empty append", () => {
  const peer = replicating(4);
  peer.appendSent(5, 10, 4);
  peer.heartbeatAnswered();
  assert.ok(!peer.isEmptyAppendDue(4), "it may just be on its way");
  peer.heartbeatAnswered();
  assert.ok(peer.isEmptyAppendDue(4));
  peer.appendSent(5, 0, 4);
  assert.ok(!peer.isEmptyAppendDue(4));
  peer.appendSent(6, 10, 4);
  peer.accepted(5, 1);
  peer.heartbeatAnswered();
  assert.ok(!peer.isEmptyAppendDue(4), "it moved");
});

test("lost messages mean probing from what is known", () => {
  const peer = replicating(4);
  peer.appendSent(5, 10, 4);
  peer.lost();
  assert.deepEqual(shape(peer), ["probe", 4, 5, 0]);
  peer.appendSent(5, 10, 4);
  peer.lost();
  assert.ok(!peer.canSend, "a probe that is out stays out");
});

test("nothing is appended while a snapshot is under way; after it, the next is behind it", () => {
  const peer = probing(3);
  peer.snapshotSent(50);
  assert.ok(!peer.canSend && !peer.isEmptyAppendDue(60));
  peer.heartbeatAnswered();
  assert.equal(peer.rejected(2, 1), false);
  assert.deepEqual(shape(peer), ["snapshot", 0, 3, 0]);
  assert.equal(peer.accepted(50, 40), true);
  assert.deepEqual(shape(peer), ["replicate", 50, 51, 0]);
});

test("a snapshot that arrived or failed is followed by a probe, after the next heartbeat", () => {
  for (const [isDelivered, nextIndex] of [[true, 51] as const, [false, 1] as const]) {
    const peer = probing(3);
    peer.snapshotSent(50);
    peer.snapshotEnded(isDelivered);
    assert.deepEqual(shape(peer), ["probe", 0, nextIndex, 0]);
    assert.ok(!peer.canSend);
    peer.heartbeatAnswered();
    assert.ok(peer.canSend);
    peer.snapshotEnded(false);
    assert.equal(peer.nextIndex, nextIndex, "a second report is about nothing");
  }
});

test("a late acknowledgement ends a snapshot that is not needed after all", () => {
  const peer = probing(3);
  peer.snapshotSent(50);
  peer.accepted(20, 40);
  assert.equal(peer.state, "snapshot", "the log starts behind it");
  peer.accepted(39, 40);
  assert.deepEqual(shape(peer), ["replicate", 39, 40, 0]);
});
