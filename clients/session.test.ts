import assert from "node:assert/strict";
import { test } from "node:test";
import { AbortedError, TimeoutError } from "./errors.ts";
import { Operation } from "./operation.ts";
import { Session } from "./session.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { rejection } from "./testing/harness.ts";

function setUp(windowMax = 3) {
  const clock = new FakeClock();
  const session = new Session("id", windowMax);
  const begin = (timeoutMs = 1_000, signal?: AbortSignal) =>
    session.begin(new Operation(clock, timeoutMs, signal));
  return { clock, session, begin };
}

test("sequences rise from 1, and the header tells the lowest that is unanswered", async () => {
  const { session, begin } = setUp();
  assert.deepEqual([await begin(), await begin(), await begin()], [1, 2, 3]);
  assert.equal(session.header(3), "id;3;1");
  session.finish(2);
  assert.equal(session.header(3), "id;3;1");
  session.finish(1);
  assert.equal(session.header(3), "id;3;3");
});

test("a full window makes writes wait, and lets them in as they came", async () => {
  const { clock, session, begin } = setUp(2);
  await begin();
  await begin();
  const order: (number | undefined)[] = [];
  const waiting = [begin(), begin(), begin()].map((each) => each.then((n) => order.push(n)));
  await clock.idle();
  assert.deepEqual(order, []);
  session.finish(2);
  await clock.idle();
  assert.deepEqual(order, [], "the window is about the span, not about the number");
  session.finish(1);
  await clock.idle();
  assert.deepEqual(order, [3, 4]);
  session.finish(3);
  session.finish(4);
  await Promise.all(waiting);
  assert.deepEqual(order, [3, 4, 5]);
  assert.equal(clock.timerCount, 0);
});

test("a write that gives up waiting takes no sequence and leaves no timer", async () => {
  const { clock, session, begin } = setUp(1);
  await begin();
  const controller = new AbortController();
  const aborted = rejection(begin(1_000, controller.signal));
  const timedOut = rejection(begin(50));
  const patient = begin(1_000);
  controller.abort();
  assert.ok((await aborted) instanceof AbortedError);
  assert.ok((await clock.settle(timedOut)) instanceof TimeoutError);
  session.finish(1);
  assert.equal(await patient, 2);
  assert.equal(clock.timerCount, 0);
});

test("an expired session lets everyone go", async () => {
  const { session, begin } = setUp(1);
  await begin();
  const waiting = [begin(), begin()];
  session.expire();
  assert.deepEqual(await Promise.all(waiting), [undefined, undefined]);
  assert.equal(await begin(), undefined);
});
