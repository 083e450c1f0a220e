/** What a completed flush proves, and what it no longer does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "./assert.ts";
import { FlushQueue } from "./flush-queue.ts";

test("sequences rise by one, and a completion covers all before it", () => {
  const flushes = new FlushQueue();
  assert.deepEqual(
    [flushes.issue(3, 1, 0), flushes.issue(5, 1, 2), flushes.issue(9, 2, 2)],
    [1, 2, 3],
  );
  assert.deepEqual(flushes.complete(2), { sequence: 2, lastIndex: 5, term: 1, vote: 2 });
  assert.ok(!flushes.isEmpty);
  assert.equal(flushes.complete(2), undefined, "a repeat says nothing new");
  assert.equal(flushes.complete(3)?.term, 2);
  assert.ok(flushes.isEmpty);
  assert.equal(flushes.newest, 3);
});

test("a flush does not prove what a later truncation took away, even if it came back (ABA)", () => {
  const flushes = new FlushQueue();
  const original = flushes.issue(10, 1, 0);
  flushes.truncated(8);
  const replacement = flushes.issue(10, 2, 0);
  flushes.truncated(9);
  const same = flushes.issue(10, 3, 0);
  assert.equal(flushes.complete(original)?.lastIndex, 7);
  assert.equal(flushes.complete(replacement)?.lastIndex, 8);
  assert.equal(flushes.complete(same)?.lastIndex, 10);
});

test("only what was issued completes", () => {
  assert.throws(() => new FlushQueue().complete(1), InvariantError);
});
