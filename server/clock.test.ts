import assert from "node:assert/strict";
import { test } from "node:test";
import { SystemClock } from "./clock.ts";

const clock = new SystemClock();

test("now never runs backwards", () => {
  const readings = Array.from({ length: 1000 }, () => clock.now());
  assert.deepEqual(
    readings,
    readings.toSorted((a, b) => a - b),
  );
});

test("what is put off until soon runs after this turn and before the timers of the next", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    clock.soon(() => {
      order.push("soon");
      resolve();
    });
    order.push("this turn");
  });
  assert.deepEqual(order, ["this turn", "soon"]);
});

test("a cancelled timer never fires", async () => {
  const fired: string[] = [];
  clock.after(0, () => fired.push("cancelled after")).cancel();
  clock.every(1, () => fired.push("cancelled every")).cancel();
  await new Promise<void>((resolve) => void clock.after(5, resolve));
  assert.deepEqual(fired, []);
});

test("an interval fires again and again until it is cancelled", async () => {
  let count = 0;
  await new Promise<void>((resolve) => {
    const timer = clock.every(1, () => {
      count += 1;
      if (count < 3) return;
      timer.cancel();
      resolve();
    });
  });
  assert.equal(count, 3);
});
