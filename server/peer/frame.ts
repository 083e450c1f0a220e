/**
 * The frame around every message between members.
 *
 *     0        4        8         9      10
 *     +--------+--------+---------+------+------------+
 *     | length | CRC-32 | version | kind | payload    |
 *     +--------+--------+---------+------+------------+
 *
 * Little-endian. `length` counts everything after the CRC, the CRC covers the same bytes. TCP's own
 * checksum misses about one damaged segment in 65,536; a damaged entry must not enter a log.
 */
import { crc32 } from "node:zlib";
import type { Message } from "../../raft/index.ts";
import type { ByteWriter } from "./byte-writer.ts";

export const FRAME_FORMAT_VERSION = 1;
/** Length and CRC. */
export const FRAME_PREFIX_BYTES = 8;
/** Version and kind: the least that can follow. */
export const FRAME_BODY_BYTES_MIN = 2;
/** An append is 256 KiB and one more entry of up to a value's limit; the rest is head room. */
export const FRAME_BYTES_MAX = 8 * 1024 * 1024;

/** Numbers on the wire: never reused for something else. */
export const FRAME_KINDS = {
  "keep-alive": 0,
  "request-vote": 1,
  "request-vote-response": 2,
  "append-entries": 3,
  "append-entries-response": 4,
  heartbeat: 5,
  "heartbeat-response": 6,
  "install-snapshot": 7,
  "install-snapshot-response": 8,
  "timeout-now": 9,
  "read-index": 10,
  "read-index-response": 11,
  forward: 12,
  "forward-results": 13,
  "repair-request": 14,
  "repair-answer": 15,
  "state-report": 16,
  "state-verdict": 17,
} as const satisfies Record<Message["kind"], number> & Record<string, number>;

export type FrameKind = (typeof FRAME_KINDS)[keyof typeof FRAME_KINDS];

/** Returns where the frame starts, for `endFrame`. */
export function beginFrame(writer: ByteWriter, kind: FrameKind): number {
  const start = writer.length;
  writer.u32(0);
  writer.u32(0);
  writer.u8(FRAME_FORMAT_VERSION);
  writer.u8(kind);
  return start;
}

/** False when the frame would be too large; it is taken back then. */
export function endFrame(writer: ByteWriter, start: number): boolean {
  if (writer.length - start > FRAME_BYTES_MAX) {
    writer.truncate(start);
    return false;
  }
  const body = writer.view(start + FRAME_PREFIX_BYTES);
  writer.patchU32(start, body.length);
  writer.patchU32(start + 4, crc32(body));
  return true;
}

/**
 * The body for keeping: itself when the memory it stands in is mostly its own, a copy otherwise, so
 * that one kept entry does not pin a whole chunk of unrelated traffic.
 */
export function ownedBody(body: Buffer): Buffer {
  if (body.buffer.byteLength <= 2 * body.length + 64) return body;
  const copy = Buffer.allocUnsafeSlow(body.length);
  body.copy(copy);
  return copy;
}
