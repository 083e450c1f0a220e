/**
 * Reads the log back after a restart: finds the segments that make one history, judges them, and
 * replays their records in order.
 *
 * The newest segment that has begun names the one before it, and so on; that walk is the log. A
 * file that the walk skips is a leftover. A file that it needs and does not find is damage, unless
 * all older ones are gone too: then compaction dropped them.
 */
import type { Entry, HardState, LogIndex } from "../raft/index.ts";
import { assert } from "../raft/index.ts";
import type { Identity } from "./contract.ts";
import { EntryChain } from "./entry-chain.ts";
import { previousOf } from "./entry-codec.ts";
import { CorruptionError, IdentityMismatchError, MalformedError } from "./errors.ts";
import { type FileSystem, readFileSync } from "./file-system.ts";
import { readOrDamage } from "./page-read.ts";
import {
  decodeCoveredRecords,
  decodeRecords,
  type LogRecord,
  type LogStart,
} from "./record-codec.ts";
import type { StorageReport } from "./report.ts";
import { PAGE_BYTES } from "./sector.ts";
import { type SegmentHeader, segmentName, segmentSequence } from "./segment-header.ts";
import {
  type ScannedBatch,
  type ScannedSegment,
  scanSegment,
  scanSegmentHeader,
} from "./segment-scan.ts";

export interface RecoveredSegment {
  readonly sequence: number;
  readonly segmentBytes: number;
  /** No entry in it has a higher index; 0 when it holds none that still counts. */
  readonly lastIndex: number;
}

export interface RecoveredLog {
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  /** Where the log begins, when a restart record or its first entry told it. */
  readonly start: LogStart | undefined;
  /** Terms and checksums of `entries`. */
  readonly entryChain: EntryChain;
  /** Oldest first; only those whose batches are proven durable stand in the log from here on. */
  readonly segments: readonly RecoveredSegment[];
  /**
   * Records of the last batch: whole, but nothing proves that the disk and not only a cache holds
   * them. The next segment takes them over before anybody relies on them.
   */
  readonly unproven: readonly LogRecord[];
  /** The next segment begins with this batch, after this chain checksum and segment. */
  readonly nextBatch: number;
  readonly chain: number;
  readonly previousSegment: number;
  /** Higher than every segment number ever used in the directory. */
  readonly nextSegment: number;
  /** Files that hold nothing: prepared space and remains. */
  readonly spares: readonly { readonly name: string; readonly segmentBytes: number }[];
  /** Holds nothing but `unproven`: to be removed once the next segment has taken that over. */
  readonly superseded: string | undefined;
  /** True when a segment had begun: the node has a past. */
  readonly hasBegun: boolean;
}

export interface RecoveryOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly identity: Identity;
  /** The newest segment known to have begun, from the hard-state file; 0 for none. */
  readonly newestSegment: number;
  /** A segment that the log begins in or before, from the hard-state file; 0 for none. */
  readonly oldestSegment: number;
  /**
   * Entries before this one are in a snapshot that was found whole: their bytes are checked like
   * all others, but nobody needs them as entries. 0, or left out, for none.
   */
  readonly coveredIndex?: LogIndex;
  readonly onReport: (report: StorageReport) => void;
}

export function recoverLog(options: RecoveryOptions): RecoveredLog {
  return new LogRecovery(options).run();
}

interface BegunSegment {
  readonly sequence: number;
  readonly header: SegmentHeader;
}

class LogRecovery {
  readonly #options: RecoveryOptions;
  readonly #sequences: readonly number[];
  readonly #spares: { name: string; segmentBytes: number }[] = [];
  readonly #replay = new Replay();
  #lostBeginning: CorruptionError | undefined;
  #scratch = Buffer.alloc(0);

  constructor(options: RecoveryOptions) {
    this.#options = options;
    const sequences: number[] = [];
    for (const name of options.fileSystem.listSync(options.directory)) {
      const sequence = segmentSequence(name);
      if (sequence !== undefined) sequences.push(sequence);
    }
    this.#sequences = sequences.sort((a, b) => a - b);
  }

  run(): RecoveredLog {
    const newest = this.#findNewest();
    const nextSegment = (this.#sequences.at(-1) ?? 0) + 1;
    if (newest === undefined) {
      const { entries, hardState, start, chain: entryChain } = this.#replay;
      const nothing = {
        entries,
        entryChain,
        hardState,
        start,
        segments: [],
        unproven: [],
      } as const;
      const place = { nextBatch: 1, chain: 0, previousSegment: 0, nextSegment } as const;
      const spares = this.#spares;
      return { ...nothing, ...place, spares, superseded: undefined, hasBegun: false };
    }
    const history = this.#history(newest.segment.sequence, newest.segment.header);
    const segments: RecoveredSegment[] = [];
    for (const [position, { sequence, header }] of history.entries()) {
      const next = history[position + 1]?.header;
      // The last one was scanned when it was found to be the newest.
      const scanned = next === undefined ? newest.scanned : this.#scan(sequence, next);
      if (scanned.kind === "begun") this.#replaySegment(sequence, header, scanned, segments);
    }
    if (this.#lostBeginning !== undefined && this.#replay.start === undefined) {
      throw this.#lostBeginning;
    }
    return this.#result(newest.scanned, history, segments, nextSegment);
  }

  #result(
    scanned: ScannedSegment & { kind: "begun" },
    history: readonly BegunSegment[],
    segments: RecoveredSegment[],
    nextSegment: number,
  ): RecoveredLog {
    const last = scanned.batches.at(-1);
    assert(last !== undefined, "a segment that has begun holds its first batch");
    const { entries, hardState, start, chain: entryChain } = this.#replay;
    const result = {
      entryChain,
      entries,
      hardState,
      start,
      nextSegment,
      superseded: undefined,
      hasBegun: true,
    };
    const { header } = scanned;
    const path = this.#path(header.sequence);
    const rest = { ...result, segments, spares: this.#spares, previousSegment: header.sequence };
    if (scanned.tornOffset !== undefined) {
      // The next batch was on its way already: that proves the last whole one.
      return { ...rest, unproven: [], nextBatch: last.sequence + 1, chain: last.chain };
    }
    const nextBatch = last.sequence;
    const { records: unproven } = recordsOf(last, path);
    const taken = { unproven, nextBatch, chain: last.previousChain };
    if (scanned.batches.length > 1) return { ...rest, ...taken };
    // Header and only batch are one unproven write: the whole segment is taken over.
    const previousSegment = history.at(-2)?.sequence ?? header.previousSegment;
    const superseded = segmentName(header.sequence);
    return { ...rest, ...taken, segments: segments.slice(0, -1), superseded, previousSegment };
  }

  #findNewest():
    | { segment: BegunSegment; scanned: ScannedSegment & { kind: "begun" } }
    | undefined {
    for (const sequence of this.#sequences.toReversed()) {
      const bytes = this.#read(sequence);
      const scanned = scanSegment(bytes, sequence, this.#path(sequence), undefined);
      if (scanned.kind === "begun") {
        this.#checkNewest(sequence);
        this.#checkIdentity(scanned.header);
        if (scanned.tornOffset !== undefined) this.#reportTorn(sequence, scanned.tornOffset);
        return { segment: { sequence, header: scanned.header }, scanned };
      }
      if (scanned.torn) this.#reportTorn(sequence, 0);
      // A file that was cut inside a page has no room that could be trusted: it is a leftover.
      const isWholePages = bytes.length % PAGE_BYTES === 0;
      const segmentBytes = isWholePages ? bytes.length : 0;
      this.#spares.push({ name: segmentName(sequence), segmentBytes });
    }
    this.#checkNewest(0);
    return undefined;
  }

  /** A whole missing segment leaves no trace in the others; the hard-state file remembers it. */
  #checkNewest(found: number): void {
    const { newestSegment } = this.#options;
    if (found >= newestSegment) return;
    const reason = "the segment had begun and is missing or empty now";
    throw new CorruptionError(this.#path(newestSegment), 0, reason);
  }

  /** The segments from the oldest to the newest, by walking back. */
  #history(newest: number, header: SegmentHeader): readonly BegunSegment[] {
    const history: BegunSegment[] = [{ sequence: newest, header }];
    let previous = header.previousSegment;
    while (previous !== 0 && this.#sequences.includes(previous)) {
      const found = scanSegmentHeader(this.#readHeader(previous), previous, this.#path(previous));
      this.#checkIdentity(found);
      history.push({ sequence: previous, header: found });
      previous = found.previousSegment;
    }
    if (previous !== 0) this.#checkOldest(history.at(-1)?.sequence ?? 0);
    if (previous !== 0 && this.#sequences.some((sequence) => sequence < previous)) {
      throw new CorruptionError(this.#path(previous), 0, "a segment in the middle is missing");
    }
    const used = new Set(history.map((segment) => segment.sequence));
    for (const sequence of this.#sequences) {
      if (used.has(sequence) || sequence > newest) continue;
      this.#spares.push({ name: segmentName(sequence), segmentBytes: 0 });
    }
    return history.reverse();
  }

  /** What it held is missed only if no later entry says that the log goes on behind a snapshot. */
  #checkOldest(found: number): void {
    const { oldestSegment } = this.#options;
    if (oldestSegment === 0 || found <= oldestSegment) return;
    const reason = "the log begins in this segment, and it is missing";
    this.#lostBeginning = new CorruptionError(this.#path(oldestSegment), 0, reason);
  }

  #scan(sequence: number, next: SegmentHeader): ScannedSegment {
    return scanSegment(this.#read(sequence), sequence, this.#path(sequence), next);
  }

  #replaySegment(
    sequence: number,
    header: SegmentHeader,
    scanned: ScannedSegment & { kind: "begun" },
    segments: RecoveredSegment[],
  ): void {
    const path = this.#path(sequence);
    let lastIndex = 0;
    for (const batch of scanned.batches) {
      const { records, coveredThrough } = recordsOf(batch, path, this.#options.coveredIndex);
      for (const record of records) {
        this.#replay.apply(record, path, batch.offset);
        if (record.kind === "entry") lastIndex = Math.max(lastIndex, record.entry.index);
        if (record.kind === "restart") {
          lastIndex = 0;
          for (const [i, older] of segments.entries()) segments[i] = { ...older, lastIndex: 0 };
        }
      }
      if (coveredThrough !== undefined) {
        this.#replay.goOnAfter(coveredThrough);
        lastIndex = Math.max(lastIndex, coveredThrough.index);
      }
    }
    segments.push({ sequence, segmentBytes: header.segmentBytes, lastIndex });
  }

  /** The bytes of a segment until the next one is read: a scan copies what it keeps. */
  #read(sequence: number): Buffer {
    const path = this.#path(sequence);
    return readOrDamage(path, () =>
      readFileSync(this.#options.fileSystem, path, (byteLength) => {
        if (this.#scratch.length < byteLength) this.#scratch = Buffer.allocUnsafeSlow(byteLength);
        return this.#scratch.subarray(0, byteLength);
      }),
    );
  }

  /** The first page only: the rest is read when its turn comes. */
  #readHeader(sequence: number): Buffer {
    const path = this.#path(sequence);
    const file = this.#options.fileSystem.openSync(path, { access: "read" });
    try {
      const page = Buffer.alloc(PAGE_BYTES);
      return page.subarray(
        0,
        readOrDamage(path, () => file.readSync(page, 0)),
      );
    } finally {
      file.closeSync();
    }
  }

  #path(sequence: number): string {
    return `${this.#options.directory}/${segmentName(sequence)}`;
  }

  #reportTorn(sequence: number, offset: number): void {
    this.#options.onReport({ kind: "torn-batch-cut", file: this.#path(sequence), offset });
  }

  #checkIdentity(header: SegmentHeader): void {
    const { identity } = this.#options;
    const found = header.identity;
    if (found.clusterId === identity.clusterId && found.nodeId === identity.nodeId) {
      if (found.incarnation === identity.incarnation) return;
    }
    const path = this.#path(header.sequence);
    throw new IdentityMismatchError(`${path} belongs to another node or another life of this one`);
  }
}

/** The log as an array: what a log file means, without how it is stored. */
class Replay {
  readonly entries: Entry[] = [];
  readonly chain = new EntryChain();
  hardState: HardState | undefined;
  start: LogStart | undefined;

  apply(record: LogRecord, file: string, offset: number): void {
    switch (record.kind) {
      case "hard-state":
        this.hardState = newerHardState(this.hardState, record.hardState);
        return;
      case "restart":
        this.goOnAfter(record.start);
        return;
      case "entry":
        this.#append(record.entry, file, offset);
        return;
    }
  }

  goOnAfter(start: LogStart): void {
    this.entries.length = 0;
    this.start = start;
    this.chain.restart(start.index, start);
  }

  #append(entry: Entry, file: string, offset: number): void {
    const encoded = entry.encoded;
    if (encoded === undefined) return;
    const previous = previousOf(encoded);
    // The oldest entry on disk: what stands before it was compacted away, or never was.
    if (this.start === undefined || entry.index <= this.start.index) {
      this.start = { index: entry.index - 1, ...previous };
      this.entries.length = 0;
      this.chain.restart(entry.index - 1, previous);
    }
    const before = this.chain.at(entry.index - 1);
    if (before === undefined) {
      const reason = `entry ${entry.index} leaves a gap after ${this.chain.lastIndex}`;
      throw new CorruptionError(file, offset, reason);
    }
    const known = before.checksum !== 0 && previous.checksum !== 0;
    if (known && (before.checksum !== previous.checksum || before.term !== previous.term)) {
      const reason = `entry ${entry.index} follows another history than the entry before it`;
      throw new CorruptionError(file, offset, reason);
    }
    const position = entry.index - this.start.index - 1;
    if (position < this.entries.length) this.entries.length = position;
    this.entries.push(entry);
    this.chain.append(entry);
  }
}

/** A term never goes back, and within a term a vote once given is never taken back. */
export function newerHardState(
  older: HardState | undefined,
  newer: HardState | undefined,
): HardState | undefined {
  if (older === undefined) return newer;
  if (newer === undefined) return older;
  const commitIndex = Math.max(older.commitIndex, newer.commitIndex);
  if (newer.term !== older.term) {
    const { term, vote } = newer.term > older.term ? newer : older;
    return { term, vote, commitIndex };
  }
  return { term: newer.term, vote: newer.vote !== 0 ? newer.vote : older.vote, commitIndex };
}

interface BatchContents {
  readonly records: readonly LogRecord[];
  /** Set when the entries are covered, and are not among the records. */
  readonly coveredThrough: LogStart | undefined;
}

function recordsOf(batch: ScannedBatch, file: string, coveredIndex = 0): BatchContents {
  const records: LogRecord[] = [];
  const add = (record: LogRecord): void => {
    records.push(record);
  };
  const isCovered = batch.lastIndex > 0 && batch.lastIndex < coveredIndex;
  try {
    if (isCovered) return { records, coveredThrough: decodeCoveredRecords(batch.records, add) };
    decodeRecords(batch.records, add);
    return { records, coveredThrough: undefined };
  } catch (error) {
    if (error instanceof MalformedError) {
      throw new CorruptionError(file, batch.offset, error.message);
    }
    throw error;
  }
}
