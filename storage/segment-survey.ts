/**
 * Reads a damaged segment for all that is left of it. Unlike the scan it takes nothing for fatal.
 *
 * Every whole sector names its batch and its place in it, so each one found anchors a whole batch,
 * its damaged sectors included. Where batches are missing between anchors, damaged sectors that
 * begin on a page may be what is left of them.
 */
import { CorruptionError } from "./errors.ts";
import { UNREADABLE_BYTE } from "./page-read.ts";
import type { DamagePlace } from "./repair-contract.ts";
import {
  classifySector,
  PAGE_BYTES,
  pagesFor,
  SECTOR_BYTES,
  type Sector,
  skipZeros,
} from "./sector.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { scanSegmentHeader } from "./segment-scan.ts";

export interface SectorRun {
  readonly offset: number;
  readonly count: number;
}

export interface SurveyedBatch extends SectorRun {
  readonly sequence: number;
  /** "unfinished": a part was never written. Only the last batch of all can be so by a crash. */
  readonly state: "whole" | "damaged" | "unfinished";
}

export interface SurveyedSegment {
  readonly sequence: number;
  /** The file, filled up with what is missing at its end. */
  readonly bytes: Buffer;
  /** Undefined when it is damaged or was never written. */
  readonly header: SegmentHeader | undefined;
  /** In file order. */
  readonly batches: readonly SurveyedBatch[];
  readonly damage: readonly DamagePlace[];
}

export function surveySegment(found: Buffer, sequence: number, file: string): SurveyedSegment {
  const header = readHeader(found, sequence, file);
  // Without the header nobody knows how long the file was: a page more tells that it goes on.
  const length = header?.segmentBytes ?? found.length + 2 * PAGE_BYTES;
  const bytes = filledUp(found, length - (length % PAGE_BYTES));
  const anchors = new Map<number, Anchor>();
  const damage = new DamageList(file);
  if (found.length !== (header?.segmentBytes ?? found.length)) {
    damage.add(found.length, "the file has another length than its header says");
  }
  for (let at = 0; at < bytes.length; at = skipZeros(bytes, at + SECTOR_BYTES)) {
    const sector = classifySector(bytes, at, sequence);
    if (sector.state === "ours") addAnchor(anchors, at, sector, bytes.length);
    else if (sector.state === "damaged" && at < found.length) damage.add(at, sector.reason);
  }
  const batches = [...anchors.values()]
    .sort((a, b) => a.offset - b.offset)
    .map((anchor) => ({ ...anchor, state: stateOf(bytes, sequence, anchor) }));
  return { sequence, bytes, header, batches, damage: damage.places };
}

/** The first byte behind the pages of a batch. */
export function endOf(run: SectorRun): number {
  return run.offset + pagesFor(run.count) * PAGE_BYTES;
}

/**
 * Damaged sectors from `from` on, where no whole sector says what they are. Batches follow each
 * other without a gap, so the first page that begins with an unwritten sector ends the search.
 */
export function damagedRuns(segment: SurveyedSegment, from: number, to: number): SectorRun[] {
  const { bytes, sequence } = segment;
  const runs: SectorRun[] = [];
  let offset = from;
  while (offset < to) {
    let count = 0;
    while (offset + count * SECTOR_BYTES < to) {
      if (survivorAt(bytes, offset + count * SECTOR_BYTES, sequence).state !== "damaged") break;
      count += 1;
    }
    if (count === 0) break;
    const run = { offset, count };
    runs.push(run);
    offset = endOf(run);
  }
  return runs;
}

/** A zero sector with one bad byte was never written: a written one has more in it than that. */
export function survivorAt(bytes: Buffer, at: number, segment: number): Sector {
  const sector = classifySector(bytes, at, segment);
  if (sector.state !== "damaged" || at + SECTOR_BYTES > bytes.length) return sector;
  let written = 0;
  for (let i = at; i < at + SECTOR_BYTES && written < 2; i += 1) {
    if (bytes[i] !== 0) written += 1;
  }
  return written < 2 ? { state: "zero" } : sector;
}

type Anchor = Omit<SurveyedBatch, "state">;

function addAnchor(
  anchors: Map<number, Anchor>,
  at: number,
  sector: Sector & { readonly state: "ours" },
  length: number,
): void {
  const offset = at - sector.index * SECTOR_BYTES;
  if (sector.kind === "segment-header" || sector.index >= sector.count) return;
  if (offset < PAGE_BYTES || offset % PAGE_BYTES !== 0 || anchors.has(offset)) return;
  // A file cut short of unknown length may end inside a batch.
  const count = Math.min(sector.count, Math.floor((length - offset) / SECTOR_BYTES));
  anchors.set(offset, { sequence: sector.batch, offset, count });
}

function stateOf(bytes: Buffer, segment: number, anchor: Anchor): SurveyedBatch["state"] {
  let state: SurveyedBatch["state"] = "whole";
  for (let i = 0; i < anchor.count; i += 1) {
    const sector = survivorAt(bytes, anchor.offset + i * SECTOR_BYTES, segment);
    if (sector.state === "zero" || sector.state === "stale") return "unfinished";
    const isOurs =
      sector.state === "ours" &&
      sector.batch === anchor.sequence &&
      sector.index === i &&
      sector.count === anchor.count;
    if (!isOurs) state = "damaged";
  }
  return state;
}

function readHeader(bytes: Buffer, sequence: number, file: string): SegmentHeader | undefined {
  try {
    return scanSegmentHeader(bytes, sequence, file);
  } catch (error) {
    if (error instanceof CorruptionError) return undefined;
    throw error;
  }
}

function filledUp(found: Buffer, length: number): Buffer {
  if (found.length >= length) return found.subarray(0, length);
  const bytes = Buffer.alloc(length, UNREADABLE_BYTE);
  found.copy(bytes);
  return bytes;
}

/** One place for each run of damaged sectors. */
class DamageList {
  readonly places: DamagePlace[] = [];
  readonly #file: string;
  #end = -1;

  constructor(file: string) {
    this.#file = file;
  }

  add(offset: number, reason: string): void {
    if (offset !== this.#end) this.places.push({ file: this.#file, offset, reason });
    this.#end = offset + SECTOR_BYTES;
  }
}
