/**
 * The self-identifying sector: the unit a disk writes whole or not at all. A log segment is an
 * array of them, so after a crash each sector of a segment is exactly one of: ours, stale (from an
 * earlier life of a recycled file), zero, or damaged. A write that never finished leaves stale and
 * zero sectors; only rot makes damaged ones. Telling the two apart rests on that.
 *
 *   0 CRC over bytes 4 to 511 (4)     4 format version (1)   5 kind (1)   6 zero (2)
 *   8 segment sequence (8)           16 batch sequence (8)
 *  24 index within the batch (4)     28 sectors in the batch (4)
 *  32 payload (480)
 *
 * Writes cover whole pages and never touch a page that holds durable bytes, so a failing write can
 * only harm what nobody was promised.
 */
import { assert } from "../raft/index.ts";
import { getUint8, getUint32, getUint64, putUint32, putUint64 } from "./bytes.ts";
import { checksum } from "./checksum.ts";
import { UnsupportedFormatError } from "./errors.ts";

export const SECTOR_BYTES = 512;
export const SECTOR_HEADER_BYTES = 32;
export const SECTOR_PAYLOAD_BYTES = SECTOR_BYTES - SECTOR_HEADER_BYTES;
export const PAGE_BYTES = 4096;
export const SECTORS_PER_PAGE = PAGE_BYTES / SECTOR_BYTES;

const FORMAT_VERSION = 1;
const KIND_SEGMENT_HEADER = 1;
const KIND_BATCH = 2;
const KIND_MARK = 3;

const ZERO_SECTOR = Buffer.alloc(SECTOR_BYTES);
const ZERO_STRIDE = Buffer.alloc(64 * 1024);

export type SectorKind = "segment-header" | "batch" | "mark";

export interface SectorHeader {
  readonly kind: SectorKind;
  readonly segment: number;
  readonly batch: number;
  readonly index: number;
  readonly count: number;
}

export type Sector =
  | ({ readonly state: "ours" } & SectorHeader)
  /** Never written in this life of the file. */
  | { readonly state: "zero" | "stale" }
  /** Misplaced: whole, but of a later segment than the file is. */
  | { readonly state: "damaged"; readonly reason: string; readonly isMisplaced: boolean };

const ZERO: Sector = { state: "zero" };
const STALE: Sector = { state: "stale" };

/** True when all bytes of a range no longer than a stride are zero. */
export function isZeroRange(bytes: Buffer, from: number, to: number): boolean {
  return ZERO_STRIDE.compare(bytes, from, to, 0, to - from) === 0;
}

/** The first sector from `at` on that may not be zero: whole strides are compared at once. */
export function skipZeros(bytes: Buffer, at: number): number {
  let next = at;
  while (next < bytes.length) {
    const stride = Math.min(ZERO_STRIDE.length, bytes.length - next);
    // A sector the file ends inside is for its reader to judge.
    if (stride % SECTOR_BYTES !== 0 || !isZeroRange(bytes, next, next + stride)) break;
    next += stride;
  }
  return next;
}

export function pagesFor(sectors: number): number {
  return Math.ceil(sectors / SECTORS_PER_PAGE);
}

export function sectorsFor(payloadBytes: number): number {
  return Math.ceil(payloadBytes / SECTOR_PAYLOAD_BYTES);
}

/** Writes the header around a payload that already stands at `at + SECTOR_HEADER_BYTES`. */
export function sealSector(bytes: Buffer, at: number, header: SectorHeader): void {
  bytes[at + 4] = FORMAT_VERSION;
  bytes[at + 5] = kindCode(header.kind);
  bytes[at + 6] = 0;
  bytes[at + 7] = 0;
  putUint64(bytes, at + 8, header.segment);
  putUint64(bytes, at + 16, header.batch);
  putUint32(bytes, at + 24, header.index);
  putUint32(bytes, at + 28, header.count);
  putUint32(bytes, at, checksum(bytes.subarray(at + 4, at + SECTOR_BYTES)));
}

/** Judges one sector of the file that is segment `segment` now. */
export function classifySector(bytes: Buffer, at: number, segment: number): Sector {
  if (at + SECTOR_BYTES > bytes.length) return damaged("the file ends inside a sector");
  const stored = getUint32(bytes, at);
  if (stored === 0 && ZERO_SECTOR.compare(bytes, at, at + SECTOR_BYTES) === 0) return ZERO;
  if (checksum(bytes.subarray(at + 4, at + SECTOR_BYTES)) !== stored) {
    return damaged("a sector fails its checksum");
  }
  const version = getUint8(bytes, at + 4);
  if (version !== FORMAT_VERSION) throw new UnsupportedFormatError("log format version", version);
  const writtenFor = getUint64(bytes, at + 8);
  if (writtenFor < segment) return STALE;
  if (writtenFor > segment) {
    return damaged(`a sector of segment ${writtenFor} stands here`, true);
  }
  return {
    state: "ours",
    kind: sectorKind(getUint8(bytes, at + 5)),
    segment,
    batch: getUint64(bytes, at + 16),
    index: getUint32(bytes, at + 24),
    count: getUint32(bytes, at + 28),
  };
}

/** Whether a sector's header names `segment`; of a damaged one that is a claim, not a proof. */
export function namesSegment(bytes: Buffer, at: number, segment: number): boolean {
  return getUint32(bytes, at + 8) + 2 ** 32 * getUint32(bytes, at + 12) === segment;
}

function damaged(reason: string, isMisplaced = false): Sector {
  return { state: "damaged", reason, isMisplaced };
}

/** Spreads payload bytes over the sectors that begin at `at`, leaving room for headers. */
export class SectorPayloadWriter {
  readonly #bytes: Buffer;
  #at: number;
  /** What is left of the present sector's payload. */
  #room = SECTOR_PAYLOAD_BYTES;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at + SECTOR_HEADER_BYTES;
  }

  write(payload: Uint8Array): void {
    let from = 0;
    while (from < payload.length) {
      if (this.#room === 0) {
        this.#at += SECTOR_HEADER_BYTES;
        this.#room = SECTOR_PAYLOAD_BYTES;
      }
      const count = Math.min(this.#room, payload.length - from);
      const whole = count === payload.length;
      this.#bytes.set(whole ? payload : payload.subarray(from, from + count), this.#at);
      this.#at += count;
      this.#room -= count;
      from += count;
    }
  }

  /** Zeroes the unused payload of the last sector and the rest of its page. */
  finish(end: number): void {
    assert(this.#at <= end, "the payload fits its pages");
    this.#bytes.fill(0, this.#at, end);
  }
}

/** The payloads of `count` sectors as one run of bytes of their own. */
export function gatherPayload(bytes: Buffer, at: number, count: number): Buffer {
  const payload = Buffer.allocUnsafe(count * SECTOR_PAYLOAD_BYTES);
  for (let i = 0; i < count; i += 1) {
    const from = at + i * SECTOR_BYTES + SECTOR_HEADER_BYTES;
    bytes.copy(payload, i * SECTOR_PAYLOAD_BYTES, from, from + SECTOR_PAYLOAD_BYTES);
  }
  return payload;
}

function kindCode(kind: SectorKind): number {
  if (kind === "batch") return KIND_BATCH;
  return kind === "mark" ? KIND_MARK : KIND_SEGMENT_HEADER;
}

function sectorKind(code: number): SectorKind {
  if (code === KIND_BATCH) return "batch";
  if (code === KIND_MARK) return "mark";
  if (code === KIND_SEGMENT_HEADER) return "segment-header";
  throw new UnsupportedFormatError("log sector kind", code);
}
