/**
 * The one checksum of every format here: CRC-32 as zlib computes it. Native code is many times
 * faster per byte, but the way there and back costs as much as some 150 bytes by table, and the
 * parts of a small entry are shorter than that.
 */
import { crc32 } from "node:zlib";
import { getUint8, getUint32 } from "./bytes.ts";

const SHORT_BYTES = 128;
/** What a byte adds to the sum when none, one, two or three bytes follow it. */
const TABLE_0 = Int32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  return sum;
});
const TABLE_1 = TABLE_0.map(oneByteOn);
const TABLE_2 = TABLE_1.map(oneByteOn);
const TABLE_3 = TABLE_2.map(oneByteOn);

/** `seed` is the checksum of what stands before `bytes`. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return bytes.length > SHORT_BYTES ? crc32(bytes, seed) : byTable(bytes, bytes.length, seed);
}

/** Of the first `count` bytes, which must be there. */
export function checksumOfFirst(bytes: Uint8Array, count: number): number {
  return count > SHORT_BYTES ? crc32(bytes.subarray(0, count)) : byTable(bytes, count, 0);
}

/** Four bytes a step: each has a table of its own, so that none waits for the one before it. */
function byTable(bytes: Uint8Array, count: number, seed: number): number {
  let sum = ~seed;
  let at = 0;
  for (; at + 4 <= count; at += 4) {
    const word = sum ^ getUint32(bytes, at);
    sum =
      lookUp(TABLE_3, word) ^
      lookUp(TABLE_2, word >>> 8) ^
      lookUp(TABLE_1, word >>> 16) ^
      lookUp(TABLE_0, word >>> 24);
  }
  for (; at < count; at += 1) sum = checksumStep(sum, getUint8(bytes, at));
  return ~sum >>> 0;
}

/** One byte more, for bytes that stand in no buffer. A sum begins as -1 and is inverted last. */
export function checksumStep(sum: number, byte: number): number {
  return lookUp(TABLE_0, sum ^ byte) ^ (sum >>> 8);
}

function oneByteOn(sum: number): number {
  return checksumStep(sum, 0);
}

function lookUp(table: Int32Array, word: number): number {
  return table[word & 0xff] ?? 0;
}
