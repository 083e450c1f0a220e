import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { SeededRandom } from "../../raft/index.ts";
import { checksumOf } from "./stored-record.ts";

test("a short value has the same checksum as native code computes, whatever its bytes", () => {
  const random = new SeededRandom(11);
  for (let length = 0; length < 40; length += 1) {
    for (const below of [128, 256]) {
      for (let i = 0; i < 50; i += 1) {
        const bytes = Array.from({ length }, () => random.below(below));
        const value = Buffer.from(bytes).toString("latin1");
        assert.equal(checksumOf(value), crc32(value) | 0, JSON.stringify(value));
      }
    }
  }
});
