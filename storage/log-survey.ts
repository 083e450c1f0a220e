/**
 * Puts what is left of the segments in order: batch by batch as they were written, with a note
 * wherever one is gone that nobody can name. Batches are numbered without gaps, so a number that
 * is missing is a batch that is lost, also when its whole segment is.
 */
import type { HardState } from "../raft/index.ts";
import { decodeBatch } from "./batch-codec.ts";
import { MalformedError } from "./errors.ts";
import { HoledLog } from "./holed-log.ts";
import { newerHardState } from "./log-recovery.ts";
import { UNREADABLE_BYTE } from "./page-read.ts";
import { decodeRecords, type LogRecord } from "./record-codec.ts";
import { salvageBatch } from "./salvage.ts";
import {
  classifySector,
  gatherPayload,
  namesSegment,
  PAGE_BYTES,
  SECTOR_BYTES,
  SECTOR_PAYLOAD_BYTES,
  SECTORS_PER_PAGE,
  type Sector,
} from "./sector.ts";
import {
  damagedRuns,
  endOf,
  type SectorRun,
  type SurveyedBatch,
  type SurveyedSegment,
  survivorAt,
} from "./segment-survey.ts";

export interface LogSurvey {
  readonly log: HoledLog;
  /** From whole batches. */
  readonly hardState: HardState | undefined;
}

/** The ends of the log as the hard state knows them; 0 for none. */
export interface LogEnds {
  /** Known to have begun. */
  readonly newestSegment: number;
  /** The log begins in it or before. */
  readonly oldestSegment: number;
}

/** `segments` oldest first. */
export function surveyLog(
  segments: readonly SurveyedSegment[],
  { newestSegment, oldestSegment }: LogEnds,
): LogSurvey {
  const begun = segments.filter(hasBegun);
  const first = begun.findLastIndex((segment) => segment.header?.previousSegment === 0);
  const replay = new SurveyReplay();
  if (first < 0 && oldestSegment > 0 && (begun[0]?.sequence ?? 0) > oldestSegment) {
    replay.log.apply({ kind: "unknown" });
  }
  for (let i = Math.max(0, first); i < begun.length; i += 1) {
    const segment = begun[i];
    if (segment !== undefined) replay.segment(segment, firstBatchAfter(begun, i));
  }
  const isNewestMissing = newestSegment > (begun.at(-1)?.sequence ?? 0);
  if (isNewestMissing) replay.log.apply({ kind: "unknown" });
  return replay;
}

/** Header and first batch are one write: without a trace of the second nothing ever counted. */
function hasBegun({ batches, bytes, sequence }: SurveyedSegment): boolean {
  if (batches.some((batch) => batch.state !== "unfinished")) return true;
  if (batches.length > 0 || bytes.length < 2 * PAGE_BYTES) return false;
  const header = survivorAt(bytes, 0, sequence).state;
  const first = survivorAt(bytes, PAGE_BYTES, sequence).state;
  return first === "damaged" && (header === "damaged" || header === "ours");
}

function firstBatchOf({ header, batches }: SurveyedSegment): number | undefined {
  const [first] = batches;
  return header?.firstBatch ?? (first?.offset === PAGE_BYTES ? first.sequence : undefined);
}

/** Where the batches of segment `i` end; undefined for the newest. */
function firstBatchAfter(begun: readonly SurveyedSegment[], i: number): number | undefined {
  for (const later of begun.slice(i + 1)) {
    const found = firstBatchOf(later) ?? later.batches[0]?.sequence;
    if (found !== undefined) return found;
  }
  return undefined;
}

class SurveyReplay {
  readonly log = new HoledLog();
  hardState: HardState | undefined;
  /** The number of the batch that comes next; undefined before the first. */
  #next: number | undefined;
  /** All batches up to this one were applied; a run begins by writing the last one again. */
  #applied = 0;

  segment(segment: SurveyedSegment, end: number | undefined): void {
    const first = firstBatchOf(segment);
    if (first !== undefined) {
      if (this.#next !== undefined && first > this.#next) this.log.apply({ kind: "unknown" });
      this.#next = first;
    }
    let at = PAGE_BYTES;
    for (const batch of segment.batches) {
      const isVoid = end !== undefined && batch.sequence >= end;
      if (isVoid && (batch.state !== "whole" || batch.sequence > end)) break;
      const missing = batch.sequence - (this.#next ?? batch.sequence - 1);
      if (missing > 0 && (this.#next !== undefined || batch.offset > at)) {
        this.#lostBatches(segment, damagedRuns(segment, at, batch.offset), missing);
      }
      this.#batch(segment, batch, end === undefined && batch === segment.batches.at(-1));
      at = endOf(batch);
    }
    const rest = damagedRuns(segment, at, segment.bytes.length);
    if (end === undefined) this.#lostBatches(segment, rest, rest.length);
    else if (this.#next === undefined || end > this.#next) {
      this.#lostBatches(segment, rest, end - (this.#next ?? 0));
    }
  }

  #batch(segment: SurveyedSegment, batch: SurveyedBatch, isLast: boolean): void {
    const isRepeated = batch.sequence <= this.#applied;
    if (batch.state === "whole" && this.#whole(segment, batch)) this.#applied = batch.sequence;
    else if (batch.state === "unfinished" && isLast) return;
    else if (!isRepeated) this.#salvage(segment, batch);
    this.#next = batch.sequence + 1;
  }

  #whole({ bytes }: SurveyedSegment, batch: SurveyedBatch): boolean {
    const records: LogRecord[] = [];
    try {
      const decoded = decodeBatch(bytes, batch.offset, batch.count);
      decodeRecords(decoded.records, (record) => records.push(record));
    } catch (error) {
      if (error instanceof MalformedError) return false;
      throw error;
    }
    for (const record of records) {
      if (record.kind === "hard-state") {
        this.hardState = newerHardState(this.hardState, record.hardState);
      } else this.log.apply(record);
    }
    return true;
  }

  #lostBatches(segment: SurveyedSegment, runs: readonly SectorRun[], missing: number): void {
    const first = this.#next ?? this.#applied + 1;
    for (const [i, run] of runs.entries()) {
      if (first + i > this.#applied) this.#salvage(segment, run);
      else this.#repeated(segment, run);
    }
    const isRepeated = first + missing - 1 <= this.#applied;
    if (runs.length !== missing && !isRepeated) this.log.apply({ kind: "unknown" });
    this.#next = first + missing;
  }

  /** Batches begin on pages: damage of more than one may hide another behind a repeated one. */
  #repeated({ bytes }: SurveyedSegment, { offset, count }: SectorRun): void {
    if (count <= SECTORS_PER_PAGE) return;
    const pieces = salvageBatch(gatherPayload(bytes, offset, count));
    if (pieces.some(({ kind }) => kind === "unknown")) this.log.apply({ kind: "unknown" });
  }

  #salvage({ bytes, sequence }: SurveyedSegment, run: SectorRun): void {
    const { offset, count } = run;
    const payload = gatherPayload(bytes, offset, count);
    for (let i = 0; i < count; i += 1) {
      const sector = classifySector(bytes, offset + i * SECTOR_BYTES, sequence);
      const isOfSegment = namesSegment(bytes, offset + i * SECTOR_BYTES, sequence);
      if (!isAstray(sector, i, run, isOfSegment)) continue;
      payload.fill(UNREADABLE_BYTE, i * SECTOR_PAYLOAD_BYTES, (i + 1) * SECTOR_PAYLOAD_BYTES);
    }
    for (const piece of salvageBatch(payload)) this.log.apply(piece);
  }
}

/**
 * What the sector says belongs elsewhere: a misdirected write put it here, or it is of an earlier
 * life of the file, as a damaged one that stands for itself and names another segment may be.
 */
function isAstray(
  sector: Sector,
  position: number,
  run: SectorRun | SurveyedBatch,
  isOfSegment: boolean,
): boolean {
  const isPlaced = "sequence" in run;
  switch (sector.state) {
    case "damaged":
      return sector.isMisplaced || (!isPlaced && !isOfSegment);
    case "ours":
      return sector.index !== position || (isPlaced && sector.batch !== run.sequence);
    default:
      return false;
  }
}
