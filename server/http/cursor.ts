/**
 * Where a listing goes on: an opaque string that carries the rest of the range, so that a cursor
 * is complete in itself and cannot silently continue a different listing.
 *
 *   base64url( version 1 | has end 0/1 | length of start, 2 bytes | start | end )
 */
import { LIMITS } from "../../clients/contract.ts";
import type { ByteString } from "../kv/index.ts";

export interface Range {
  readonly start: ByteString;
  /** Exclusive; undefined for "to the last key". */
  readonly end: ByteString | undefined;
}

const VERSION = 1;
const HEADER_BYTES = 4;
/** One more than a key: the end of a prefix range may be a key with its last byte raised. */
const BOUND_BYTES_MAX = LIMITS.keyBytesMax + 1;
const CURSOR_CHARS_MAX = Math.ceil(((HEADER_BYTES + 2 * BOUND_BYTES_MAX) * 4) / 3);

export function encodeCursor(rest: Range): string {
  const { start, end } = rest;
  const header = String.fromCharCode(
    VERSION,
    end === undefined ? 0 : 1,
    start.length >> 8,
    start.length & 0xff,
  );
  return Buffer.from(`${header}${start}${end ?? ""}`, "latin1").toString("base64url");
}

/** Undefined for anything `encodeCursor` did not write. */
export function decodeCursor(text: string): Range | undefined {
  if (text.length > CURSOR_CHARS_MAX || !/^[\w-]+$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url").toString("latin1");
  if (bytes.length < HEADER_BYTES || bytes.charCodeAt(0) !== VERSION) return undefined;
  const startBytes = (bytes.charCodeAt(2) << 8) | bytes.charCodeAt(3);
  const start = bytes.slice(HEADER_BYTES, HEADER_BYTES + startBytes);
  const rest = bytes.slice(HEADER_BYTES + startBytes);
  const end = bytes.charCodeAt(1) === 1 ? rest : undefined;
  const range: Range = { start, end };
  // Only what we would write ourselves is a cursor: this settles lengths, flags and padding bits.
  return encodeCursor(range) === text ? range : undefined;
}
