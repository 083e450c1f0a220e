import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, defaultRetryPolicy, retryAfterMs } from "./retry.ts";

test("the bound of a delay doubles from 25 ms up to 250 ms", () => {
  const almostOne = () => 1 - 2 ** -53;
  const bounds = [0, 1, 2, 3, 4, 5, 1_000].map((retries) =>
    Math.round(backoffMs(defaultRetryPolicy, retries, almostOne)),
  );
  assert.deepEqual(bounds, [25, 50, 100, 200, 250, 250, 250]);
});

test("the jitter is full: a delay can be anything from zero to its bound", () => {
  assert.equal(
    backoffMs(defaultRetryPolicy, 3, () => 0),
    0,
  );
  assert.equal(
    backoffMs(defaultRetryPolicy, 3, () => 0.25),
    50,
  );
});

test("Retry-After is read in seconds, and anything else is ignored", () => {
  const headers = ["0", "2", " 3 ", null, "", "-1", "1.5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"];
  assert.deepEqual(headers.map(retryAfterMs), [0, 2_000, 3_000, 0, 0, 0, 0, 0, 0]);
});
