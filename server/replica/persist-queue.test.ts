import assert from "node:assert/strict";
import { test } from "node:test";
import { PersistQueue } from "./persist-queue.ts";

/** A queue whose jobs complete when the test says so; `log` tells what happened in which order. */
function setUp() {
  const log: string[] = [];
  const complete = new Map<string, () => void>();
  const queue = new PersistQueue();
  const push = (name: string, options: { barrier?: boolean; empty?: boolean } = {}) =>
    queue.push({
      start: options.empty
        ? undefined
        : (done) => {
            log.push(`start ${name}`);
            complete.set(name, done);
          },
      barrier: options.barrier ?? false,
      finish: () => log.push(`finish ${name}`),
    });
  return { queue, push, log, complete: (name: string) => complete.get(name)?.() };
}

test("several ordinary jobs are under way at once and finish in order", () => {
  const { push, log, complete, queue } = setUp();
  push("a");
  push("b");
  complete("b");
  assert.deepEqual(log, ["start a", "start b"]);
  complete("a");
  assert.deepEqual(log, ["start a", "start b", "finish a", "finish b"]);
  assert.equal(queue.size, 0);
});

test("a job that writes nothing waits for all before it, and for nothing else", () => {
  const { push, log, complete } = setUp();
  push("free", { empty: true });
  assert.deepEqual(log, ["finish free"]);
  push("a");
  push("ack", { empty: true });
  assert.deepEqual(log, ["finish free", "start a"]);
  complete("a");
  assert.deepEqual(log.slice(2), ["finish a", "finish ack"]);
});

test("a barrier starts after all before it and holds back all behind it", () => {
  const { push, log, complete } = setUp();
  push("a");
  push("install", { barrier: true });
  push("b");
  assert.deepEqual(log, ["start a"]);
  complete("a");
  assert.deepEqual(log, ["start a", "finish a", "start install"]);
  complete("install");
  assert.deepEqual(log.slice(3), ["finish install", "start b"]);
});

test("completing a job twice breaks an invariant", () => {
  const { push, complete } = setUp();
  push("a");
  push("b");
  complete("b");
  assert.throws(() => complete("b"), /completes once/);
});
