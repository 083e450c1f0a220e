import assert from "node:assert/strict";
import { test } from "node:test";
import { OrderedMap } from "./ordered-map.ts";
import { RecordMap } from "./record-map.ts";
import type { Session } from "./sessions.ts";
import { CHUNK_BYTES, type StateSummary } from "./snapshot-format.ts";
import { KvStateCapture } from "./state-capture.ts";

const SUMMARY: StateSummary = {
  revision: 1,
  compactedRevision: 0,
  featureLevel: 0,
  clusterTime: 0,
  hash: { version: 1, value: "0000000000000000" },
};

/** The chunks of a state whose last record has a revision that no snapshot can hold. */
function* chunksUpTo(badRevision: number): IterableIterator<Uint8Array> {
  const records = new RecordMap();
  const value = "v".repeat(1_000);
  for (let n = 1_000; n < 2_000; n += 1) records.put(`key-${n}`, undefined, value, "text", 1);
  records.put("last", undefined, value, "text", badRevision);
  const pinned = records.pin(Number.MAX_SAFE_INTEGER);
  const sessions = new OrderedMap<Session>();
  yield* new KvStateCapture({ summary: SUMMARY, records: pinned, sessions }, () => {}).chunks();
}

test("a step of a capture reads a chunk of the state and no more: the loop turns in between", () => {
  const chunks = chunksUpTo(-1);
  for (let n = 0; n < 4; n += 1) {
    const { value } = chunks.next();
    assert.equal(value?.length, CHUNK_BYTES);
  }
  assert.throws(() => chunks.next(), /safe/, "only the fifth step comes to the last record");
});

test("a number that eight bytes can not bring back is not written", () => {
  for (const revision of [-1, 0.5, 2 ** 32 + 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => [...chunksUpTo(revision)], /safe/, String(revision));
  }
});
