import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { SeededRandom } from "../raft/index.ts";
import { checksum, checksumOfFirst } from "./checksum.ts";

test("short and long, a checksum is what native code computes", () => {
  const random = new SeededRandom(3);
  for (let length = 0; length < 150; length += 1) {
    const bytes = Buffer.from(Array.from({ length }, () => random.below(256)));
    const seed = random.below(2 ** 32);
    assert.equal(checksum(bytes), crc32(bytes));
    assert.equal(checksum(bytes, seed), crc32(bytes, seed));
    for (const count of [0, length >> 1, length]) {
      assert.equal(checksumOfFirst(bytes, count), crc32(bytes.subarray(0, count)));
    }
  }
});
