import assert from "node:assert/strict";
import { test } from "node:test";
import { Pulse } from "./pulse.ts";

test("the longest silence is the longest between two acknowledgements", () => {
  const pulse = new Pulse();
  for (const atMs of [100, 110, 160, 170]) pulse.acknowledged(atMs - 5, atMs);
  assert.deepEqual(pulse.longest, { fromMs: 110, lastedMs: 50 });
  assert.equal(pulse.takeLap().lastedMs, 50);
  pulse.acknowledged(180, 190);
  assert.equal(pulse.takeLap().lastedMs, 20);
  assert.deepEqual([pulse.longest.lastedMs, pulse.count], [50, 5]);
});

test("only a write that begins afterwards shows that there is life again", async () => {
  const pulse = new Pulse();
  const next = pulse.next(100);
  pulse.acknowledged(99, 120);
  pulse.acknowledged(101, 130);
  assert.equal(await next, 130);
});
