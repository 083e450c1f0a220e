/**
 * Reads one segment file and judges every sector of it: what was durable is handed on, what never
 * became durable is told apart from what was durable and rotted.
 *
 * One write is in flight at a time, so a crash can leave at most one batch unfinished, and it is
 * the last. Sectors missing there (zero or stale), in any subset, are a tear and are cut. A damaged
 * sector anywhere, or a sector missing where later bytes prove that the batch was durable, is rot:
 * CorruptionError, never cut, since this node may have acknowledged it.
 */
import { batchChain, decodeBatch } from "./batch-codec.ts";
import { CorruptionError, MalformedError } from "./errors.ts";
import {
  classifySector,
  isZeroRange,
  PAGE_BYTES,
  pagesFor,
  SECTOR_BYTES,
  type Sector,
  skipZeros,
} from "./sector.ts";
import { decodeSegmentHeader, type SegmentHeader } from "./segment-header.ts";

export interface ScannedBatch {
  readonly kind: "batch" | "mark";
  readonly sequence: number;
  readonly offset: number;
  /** The first byte behind its last page. */
  readonly end: number;
  readonly records: Buffer;
  /** Where the log ends behind it, or an entry of it that was replaced; 0 when it holds none. */
  readonly lastIndex: number;
  /** The chain checksum before and after this batch. */
  readonly previousChain: number;
  readonly chain: number;
}

/** What the segment after this one says about the end of this one. */
export interface SegmentEnd {
  readonly firstBatch: number;
  readonly previousChain: number;
}

export type ScannedSegment =
  /** Nothing durable stands in it; `torn` when a first batch was on its way. */
  | { readonly kind: "unbegun"; readonly torn: boolean }
  | {
      readonly kind: "begun";
      readonly header: SegmentHeader;
      readonly batches: readonly ScannedBatch[];
      /** Where a batch that never became durable was cut; undefined when there was none. */
      readonly tornOffset: number | undefined;
    };

/** The header of a segment that a newer one follows, and so must have begun. */
export function scanSegmentHeader(bytes: Buffer, sequence: number, file: string): SegmentHeader {
  const header = new SegmentScan(bytes, sequence, file, undefined).header();
  if (header === undefined) {
    throw new CorruptionError(file, 0, "the segment header is missing though a newer one follows");
  }
  return header;
}

/** `end` is undefined for the newest segment that has begun. */
export function scanSegment(
  bytes: Buffer,
  sequence: number,
  file: string,
  end: SegmentEnd | undefined,
): ScannedSegment {
  return new SegmentScan(bytes, sequence, file, end).run();
}

class SegmentScan {
  readonly #bytes: Buffer;
  readonly #sequence: number;
  readonly #file: string;
  readonly #end: SegmentEnd | undefined;

  constructor(bytes: Buffer, sequence: number, file: string, end: SegmentEnd | undefined) {
    this.#bytes = bytes;
    this.#sequence = sequence;
    this.#file = file;
    this.#end = end;
  }

  run(): ScannedSegment {
    const header = this.header();
    if (header === undefined) return this.#unbegun();
    if (header.segmentBytes !== this.#bytes.length) {
      const reason = `the file has ${this.#bytes.length} bytes instead of ${header.segmentBytes}`;
      throw this.#corrupt(Math.min(header.segmentBytes, this.#bytes.length), reason);
    }
    const batches: ScannedBatch[] = [];
    let at = PAGE_BYTES;
    let expected = header.firstBatch;
    let chain = header.previousChain;
    while (at < this.#bytes.length && expected !== this.#end?.firstBatch) {
      const batch = this.#batch(at, expected, chain);
      if (batch === undefined) break;
      batches.push(batch);
      expected += 1;
      chain = batch.chain;
      at = batch.end;
    }
    this.#checkEnd(at, expected, chain);
    const torn = this.#checkTail(at, expected);
    if (this.#end === undefined && batches.length === 0) return { kind: "unbegun", torn: true };
    return { kind: "begun", header, batches, tornOffset: torn ? at : undefined };
  }

  /** Undefined when the header never reached the disk. */
  header(): SegmentHeader | undefined {
    if (this.#bytes.length < PAGE_BYTES) {
      throw this.#corrupt(this.#bytes.length, "the file is shorter than a page");
    }
    const sector = this.#classify(0);
    if (sector.state === "damaged") throw this.#corrupt(0, sector.reason);
    if (sector.state !== "ours") return undefined;
    if (sector.kind !== "segment-header" || sector.index !== 0 || sector.count !== 1) {
      throw this.#corrupt(0, "no segment header stands where one must");
    }
    if (!this.#isZero(SECTOR_BYTES, PAGE_BYTES)) return undefined;
    try {
      return decodeSegmentHeader(this.#bytes, this.#sequence, sector.batch);
    } catch (error) {
      if (error instanceof MalformedError) throw this.#corrupt(0, error.message);
      throw error;
    }
  }

  /** The whole batch at `at`, or undefined when some of it is missing. */
  #batch(at: number, expected: number, chain: number): ScannedBatch | undefined {
    const first = this.#classify(at);
    if (first.state === "damaged") throw this.#corrupt(at, first.reason);
    if (first.state !== "ours" || first.batch !== expected || first.index !== 0) return undefined;
    if (first.kind === "segment-header") throw this.#corrupt(at, "a second segment header");
    const { count, kind } = first;
    const end = at + pagesFor(count) * PAGE_BYTES;
    if (count === 0 || end > this.#bytes.length) throw this.#corrupt(at, "a batch has no end");
    let missing = false;
    for (let i = 1; i < count; i += 1) {
      const sectorAt = at + i * SECTOR_BYTES;
      const sector = this.#classify(sectorAt);
      if (sector.state === "damaged") throw this.#corrupt(sectorAt, sector.reason);
      if (sector.state !== "ours") missing = true;
      else if (!continues(sector, first, i)) {
        throw this.#corrupt(sectorAt, "a sector of another place stands here");
      }
    }
    // Stale bytes in the padding: the write that would have zeroed them never finished.
    if (missing || !this.#isZero(at + count * SECTOR_BYTES, end)) return undefined;
    return this.#decode(at, count, kind, expected, chain);
  }

  #decode(
    offset: number,
    count: number,
    kind: "batch" | "mark",
    sequence: number,
    previousChain: number,
  ): ScannedBatch {
    try {
      const { header, records } = decodeBatch(this.#bytes, offset, count);
      if (header.previousChain !== previousChain) {
        throw this.#corrupt(offset, "the batch does not follow the one before");
      }
      const chain = batchChain(this.#bytes, offset, count, previousChain);
      const end = offset + pagesFor(count) * PAGE_BYTES;
      const { lastIndex } = header;
      return { kind, sequence, offset, end, records, lastIndex, previousChain, chain };
    } catch (error) {
      if (error instanceof MalformedError) throw this.#corrupt(offset, error.message);
      throw error;
    }
  }

  #checkEnd(at: number, expected: number, chain: number): void {
    if (this.#end === undefined) return;
    if (expected !== this.#end.firstBatch) {
      const reason = `batch ${expected} is missing though the next segment proves it was durable`;
      throw this.#corrupt(at, reason);
    }
    if (chain !== this.#end.previousChain) {
      throw this.#corrupt(at, "the next segment follows another history");
    }
  }

  /** Judges all that stands behind the last whole batch; true when a tear is found. */
  #checkTail(start: number, expected: number): boolean {
    let torn = false;
    const bytes = this.#bytes;
    for (
      let at = skipZeros(bytes, start);
      at < bytes.length;
      at = skipZeros(bytes, at + SECTOR_BYTES)
    ) {
      const sector = this.#classify(at);
      if (sector.state === "damaged") throw this.#corrupt(at, sector.reason);
      if (sector.state !== "ours") continue;
      const inPlace = sector.batch === expected && start + sector.index * SECTOR_BYTES === at;
      if (!inPlace || sector.index >= sector.count || sector.kind === "segment-header") {
        const reason = `batch ${expected} is missing here though later bytes prove it was durable`;
        throw this.#corrupt(start, reason);
      }
      torn = true;
    }
    return torn;
  }

  /**
   * Header and first batch are one write: without the header nothing here was durable, unless a
   * sector behind the first batch says otherwise.
   */
  #unbegun(): ScannedSegment {
    let torn = false;
    let count: number | undefined;
    let batch: number | undefined;
    const bytes = this.#bytes;
    for (let at = 0; at + SECTOR_BYTES <= bytes.length; at = skipZeros(bytes, at + SECTOR_BYTES)) {
      const sector = this.#classify(at);
      if (sector.state === "damaged") throw this.#corrupt(at, sector.reason);
      if (sector.state !== "ours") continue;
      torn = true;
      if (sector.kind === "segment-header") continue;
      count ??= sector.count;
      batch ??= sector.batch;
      const inPlace = PAGE_BYTES + sector.index * SECTOR_BYTES === at;
      if (!inPlace || sector.batch !== batch || sector.count !== count) {
        throw this.#corrupt(0, "the segment header is missing though later bytes need it");
      }
    }
    return { kind: "unbegun", torn };
  }

  #classify(at: number): Sector {
    return classifySector(this.#bytes, at, this.#sequence);
  }

  /** False when an unfinished write left stale sectors; damage is thrown. */
  #isZero(from: number, to: number): boolean {
    if (isZeroRange(this.#bytes, from, to)) return true;
    let zero = true;
    for (let at = from; at < to; at += SECTOR_BYTES) {
      const sector = this.#classify(at);
      if (sector.state === "damaged") throw this.#corrupt(at, sector.reason);
      if (sector.state === "ours") throw this.#corrupt(at, "a sector stands where padding must");
      if (sector.state === "stale") zero = false;
    }
    return zero;
  }

  #corrupt(offset: number, reason: string): CorruptionError {
    return new CorruptionError(this.#file, offset, reason);
  }
}

function continues(sector: Sector, first: Sector, index: number): boolean {
  if (sector.state !== "ours" || first.state !== "ours") return false;
  if (sector.kind !== first.kind || sector.batch !== first.batch) return false;
  return sector.index === index && sector.count === first.count;
}
