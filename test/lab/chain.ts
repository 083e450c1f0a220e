/**
 * A value that stands for everything that was ever appended to it, in its order, in a few bytes:
 * how many pieces, the last one, and a hash over all of them. Two chains are equal when the texts
 * they stand for are; so a key that is appended to for a minute stays as small as on the first day,
 * and a lost, repeated or reordered piece still shows.
 */
import { crc32 } from "node:zlib";

export const EMPTY_CHAIN = "0 0";

export function append(chain: string, piece: string): string {
  const [pieces = "0", hash = "0"] = chain.split(" ");
  const next = crc32(piece, Number.parseInt(hash, 16)) >>> 0;
  return `${Number(pieces) + 1} ${next.toString(16)} ${piece}`;
}
