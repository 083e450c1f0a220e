import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaderFinder } from "./leader-finder.ts";

const A = "http://a:8001";
const B = "http://b:8001";
const C = "http://c:8001";

function current(finder: LeaderFinder): string {
  return finder.next().endpoint;
}

test("it begins with the first endpoint, asks it not to forward, and stays", () => {
  const finder = new LeaderFinder([A, B, C]);
  assert.deepEqual(finder.next(), { endpoint: A, forward: false });
  assert.deepEqual(finder.next(), { endpoint: A, forward: false });
});

test("a named leader is asked next", () => {
  const finder = new LeaderFinder([A, B, C]);
  assert.equal(finder.redirected(A, "c:8001"), true);
  assert.equal(current(finder), C);
});

test("a hint that leads nowhere, or back, is no hint: the next endpoint is tried", () => {
  for (const hint of [undefined, "a:8001", "http://c:8001", "nonsense"]) {
    const finder = new LeaderFinder([A, B, C]);
    assert.equal(finder.redirected(A, hint), false);
    assert.equal(current(finder), B, String(hint));
  }
});

test("nodes that fail take turns", () => {
  const finder = new LeaderFinder([A, B, C]);
  const order = [];
  for (let i = 0; i < 6; i += 1) {
    order.push(current(finder));
    if (i % 2 === 0) finder.unreachable(current(finder));
    else finder.unavailable(current(finder));
  }
  assert.deepEqual(order, [A, B, C, A, B, C]);
});

test("a node that keeps naming a dead leader does not keep us from asking the others", () => {
  const finder = new LeaderFinder([A, B, C]);
  finder.unreachable(A);
  finder.redirected(B, "a:8001");
  assert.equal(current(finder), A);
  finder.unreachable(A);
  assert.equal(current(finder), C);
  finder.redirected(C, "a:8001");
  finder.unreachable(A);
  assert.equal(current(finder), B, "A has just failed and is skipped");
});

test("old news changes nothing: many requests that lost one leader move on once", () => {
  const finder = new LeaderFinder([A, B, C]);
  for (let i = 0; i < 50; i += 1) finder.unreachable(A);
  assert.equal(current(finder), B);
  assert.equal(finder.redirected(A, "c:8001"), true, "there is somewhere else to ask at once");
  assert.equal(current(finder), B);
});

test("when a named leader outside the configuration cannot be reached, the nodes forward", () => {
  const finder = new LeaderFinder([A, B]);
  finder.redirected(A, "10.0.0.9:8001");
  assert.deepEqual(finder.next(), { endpoint: "http://10.0.0.9:8001", forward: false });
  finder.unreachable("http://10.0.0.9:8001");
  assert.deepEqual(finder.next(), { endpoint: A, forward: true });
  finder.unavailable(A);
  assert.deepEqual(finder.next(), { endpoint: B, forward: false }, "then it looks again");
});

test("a leader outside the configuration that steps down gives the turn back", () => {
  const finder = new LeaderFinder([A, B]);
  finder.redirected(A, "d:8001");
  finder.unavailable("http://d:8001");
  assert.deepEqual(finder.next(), { endpoint: B, forward: false });
});

test("a single endpoint is asked again and again", () => {
  const finder = new LeaderFinder([A]);
  finder.unreachable(A);
  finder.unavailable(A);
  assert.equal(current(finder), A);
});
