/** The one checksum of every format here: CRC-32 as zlib computes it. */
import { crc32 } from "node:zlib";

/** `seed` is the checksum of what stands before `bytes`. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return crc32(bytes, seed);
}
