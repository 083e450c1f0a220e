/**
 * The append path of the log. One write at a time, onto preallocated pages, durable when it
 * completes; what is appended meanwhile becomes the next batch. Rolls over to the prepared segment
 * when a batch does not fit: header and first batch are one write, so a roll costs nothing extra.
 *
 * Invariants:
 * - Batches complete in order; batch n is only written when n - 1 is durable, so a crash leaves at
 *   most the last one unfinished.
 * - A page that holds durable bytes is never written again.
 * - Every segment's first record is the hard state of that moment, so older segments can go.
 * - Term and vote are durable here and in the hard-state file before the batch counts (thesis 3.8).
 */
import type { Clock, HardState, LogIndex } from "../raft/index.ts";
import { assert } from "../raft/index.ts";
import { type BatchHeader, batchFileBytes, encodeBatch, recordBytesWithin } from "./batch-codec.ts";
import type { Identity } from "./contract.ts";
import type { File } from "./file-system.ts";
import type { HardStateFile } from "./hard-state-file.ts";
import { PAGE_BYTES } from "./sector.ts";
import { encodeSegmentHeader } from "./segment-header.ts";
import type { SegmentPool } from "./segment-pool.ts";
import { BATCH_OVERHEAD_BYTES, type GatheredBatch, type Pending, WalQueue } from "./wal-queue.ts";

/**
 * Kept back on a full disk, a quarter of a segment or so much: every election writes a page for the
 * vote and one for its first entry, and without space for them there would be no reads either.
 */
const RESERVE_BYTES_MIN = 12 * PAGE_BYTES;

/** A sealed segment, or the present one: what compaction has to know. */
export interface LiveSegment {
  readonly sequence: number;
  readonly segmentBytes: number;
  lastIndex: LogIndex;
}

/** Where the log goes on. */
export interface WalPosition {
  readonly file: File;
  readonly sequence: number;
  readonly segmentBytes: number;
  readonly offset: number;
  readonly nextBatch: number;
  readonly chain: number;
}

export interface WalOptions {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly pool: SegmentPool;
  readonly hardStateFile: HardStateFile;
  /** Sizes of the segments in the order they are made in this run; the last one repeats. */
  readonly segmentBytes: readonly number[];
  readonly batchBytesMax: number;
  readonly idleMarkMs: number;
  readonly onFailure: (error: Error) => void;
}

export interface WalStatistics {
  syncs: number;
  batches: number;
  bytesWritten: number;
}

export class Wal {
  readonly #options: WalOptions;
  readonly #queue: WalQueue;
  readonly statistics: WalStatistics = { syncs: 0, batches: 0, bytesWritten: 0 };
  /** Oldest first; the last one is being written to. */
  readonly #segments: LiveSegment[];
  #file: File;
  #offset: number;
  #nextBatch: number;
  #chain: number;
  /** Something found no room, and there is no space yet. */
  #isFull = false;
  /** The newest segment whose first batch is durable. */
  #begunSegment: number;
  #rolls = 0;
  #buffer = Buffer.alloc(0);
  #writing = false;
  #stopped = false;
  /** Callbacks of batches that are durable. */
  readonly #finished: (() => void)[] = [];
  #isCalling = false;
  /** The newest batch is known durable by a mark behind it. */
  #marked = false;
  #idleTimerRuns = false;
  #closing: (() => void) | undefined;

  constructor(
    options: WalOptions,
    position: WalPosition,
    segments: readonly LiveSegment[],
    hardState: HardState,
  ) {
    this.#options = options;
    this.#queue = new WalQueue(hardState);
    this.#segments = [...segments];
    this.#file = position.file;
    this.#offset = position.offset;
    this.#nextBatch = position.nextBatch;
    this.#chain = position.chain;
    this.#begunSegment = position.sequence;
    options.pool.prepare(this.#nextSegmentBytes());
    this.#startIdleTimer();
  }

  get oldestSegment(): number {
    return this.#segments[0]?.sequence ?? 0;
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get logBytes(): number {
    let bytes = this.#offset;
    for (const segment of this.#segments) bytes += segment.segmentBytes;
    return bytes - (this.#segments.at(-1)?.segmentBytes ?? 0);
  }

  append(item: Pending): void {
    if (this.#stopped) return;
    const wasEmpty = this.#queue.isEmpty;
    this.#queue.push(item);
    if (item.kind === "write" && !item.mustWrite && wasEmpty && !this.#writing) {
      // Nothing to wait for; but a callback never comes before its call returns.
      this.#options.clock.soon(() => this.flush());
    } else this.flush();
  }

  /** Writes what waits, unless a write is on its way: its end calls this again. */
  flush(): void {
    while (!this.#writing && !this.#stopped) {
      const batch = this.#gather();
      if (batch === undefined) break;
      // Nothing to write, and all before it is durable.
      if (!this.#writing) this.#finished.push(...batch.done);
    }
    this.#callFinished();
    this.#finishClose();
  }

  /** In order, also when one of them appends something that finishes at once. */
  #callFinished(): void {
    if (this.#isCalling) return;
    this.#isCalling = true;
    for (let done = this.#finished.shift(); done !== undefined; done = this.#finished.shift()) {
      if (!this.#stopped) done();
    }
    this.#isCalling = false;
  }

  /**
   * True when `bytes` more of entries certainly find allocated room, or room can still be made.
   * Once something found none, nothing does until there is space again: a leader that could still
   * take small writes would never give way to one that takes all.
   */
  hasRoom(bytes: number): boolean {
    const { pool } = this.#options;
    if (!pool.isStarved) {
      this.#isFull = false;
      return true;
    }
    this.#isFull ||= !this.#fits(bytes);
    return !this.#isFull;
  }

  #fits(bytes: number): boolean {
    const { pool } = this.#options;
    const waiting = this.#queue.waitingBytes(Number.MAX_SAFE_INTEGER);
    const prepared = Math.max(0, pool.preparedBytes - PAGE_BYTES);
    const reserve = Math.max(RESERVE_BYTES_MIN, this.#present().segmentBytes / 4);
    return batchFileBytes(bytes + waiting + reserve) <= this.#roomBytes() + prepared;
  }

  /**
   * Takes out the leading segments all of whose entries are at or before `through`: none but those
   * that a newer one follows which has begun on disk.
   */
  dropThrough(through: LogIndex): readonly LiveSegment[] {
    let count = 0;
    for (const { sequence, lastIndex } of this.#segments) {
      if (sequence >= this.#begunSegment || lastIndex > through) break;
      count += 1;
    }
    return this.#segments.splice(0, count);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Writes what waits, leaves a mark, closes the file. */
  close(done: () => void): void {
    this.#closing = done;
    this.flush();
  }

  #finishClose(): void {
    const done = this.#closing;
    if (done === undefined || this.#writing || this.#stopped || this.#isCalling) return;
    // Without room for what waits there is nothing to wait for: it was never acknowledged.
    if (!this.#queue.isEmpty && !this.#options.pool.isStarved) return;
    if (!this.#marked && this.#canMark()) {
      this.#writeMark();
      return;
    }
    this.#stopped = true;
    this.#file.close(() => done());
  }

  /** Starts writing the next batch; undefined when nothing can be done now. */
  #gather(): GatheredBatch | undefined {
    if (this.#queue.isEmpty) return undefined;
    const waiting = this.#queue.waitingBytes(this.#options.batchBytesMax);
    const first = batchFileBytes(this.#queue.firstBytes() + BATCH_OVERHEAD_BYTES);
    if (batchFileBytes(waiting + BATCH_OVERHEAD_BYTES) > this.#roomBytes()) {
      this.#roll(waiting, first);
    }
    if (first > this.#roomBytes()) {
      this.#options.pool.prepare(Math.max(this.#nextSegmentBytes(), first + PAGE_BYTES));
      return undefined;
    }
    const most = batchFileBytes(this.#options.batchBytesMax + BATCH_OVERHEAD_BYTES);
    const room = Math.min(this.#roomBytes(), Math.max(most, first));
    const begins = this.#offset === 0;
    const batch = this.#queue.gather(recordBytesWithin(room), begins);
    if (batch !== undefined && batch.recordCount > 0) this.#write(batch, begins ? PAGE_BYTES : 0);
    return batch;
  }

  #write(batch: GatheredBatch, headerBytes: number): void {
    const segment = this.#present();
    const sequence = this.#nextBatch;
    const totalBytes = headerBytes + batchFileBytes(batch.recordBytes);
    const buffer = this.#reserve(totalBytes);
    if (headerBytes > 0) this.#encodeHeader(buffer);
    const { firstIndex, lastIndex, recordCount } = batch;
    const previousChain = this.#chain;
    const durableSequence = sequence - 1;
    const header: BatchHeader = {
      previousChain,
      durableSequence,
      firstIndex,
      lastIndex,
      recordCount,
    };
    const place = { kind: "batch", segment: segment.sequence, sequence } as const;
    const { records, recordBytes } = batch;
    this.#chain = encodeBatch(buffer, headerBytes, place, header, records, recordBytes);
    this.#submit(buffer.subarray(0, totalBytes), batch);
  }

  #submit(bytes: Buffer, batch: GatheredBatch): void {
    let left = batch.mustSyncHardState ? 2 : 1;
    const finished = (): void => {
      left -= 1;
      if (left === 0 && !this.#stopped) this.#nameSegment(batch);
    };
    this.#put(bytes, finished);
    this.statistics.batches += 1;
    if (!batch.mustSyncHardState) return;
    const { hardState } = batch;
    this.#options.hardStateFile.write({ hardState, newestSegment: this.#begunSegment }, finished);
  }

  #put(bytes: Buffer, finished: () => void): void {
    const offset = this.#offset;
    this.#writing = true;
    this.#marked = false;
    this.#nextBatch += 1;
    this.#offset += bytes.length;
    this.statistics.syncs += 1;
    this.statistics.bytesWritten += bytes.length;
    this.#file.write(bytes, offset, (error) => {
      if (error === undefined) finished();
      else {
        this.#stopped = true;
        this.#options.onFailure(error);
      }
    });
  }

  /**
   * The first batch of a segment counts once the hard-state file names the segment: lost whole, the
   * file would leave no other trace. Named before the batch stands in it, it would seem lost.
   */
  #nameSegment(batch: GatheredBatch): void {
    const newestSegment = this.#present().sequence;
    if (this.#begunSegment === newestSegment) {
      this.#written(batch);
      return;
    }
    this.#begunSegment = newestSegment;
    this.#options.hardStateFile.write({ hardState: batch.hardState, newestSegment }, () => {
      if (this.#stopped) return;
      this.#options.pool.prepare(this.#nextSegmentBytes());
      this.#written(batch);
    });
  }

  #written(batch: GatheredBatch): void {
    const segment = this.#present();
    if (batch.restarts) {
      for (const older of this.#segments) older.lastIndex = 0;
    }
    segment.lastIndex = Math.max(segment.lastIndex, batch.highestIndex);
    this.#writing = false;
    this.#startIdleTimer();
    // The disk gets its next work before the loop gets its answers.
    this.#finished.push(...batch.done);
    this.flush();
  }

  /** Moves on to the prepared segment, if there is one and it serves. */
  #roll(waiting: number, first: number): void {
    const { pool } = this.#options;
    if (pool.preparedBytes < first + PAGE_BYTES) return;
    // Rather fill the present segment than begin one for a batch that has to be split anyway.
    const whole = batchFileBytes(waiting + BATCH_OVERHEAD_BYTES) + PAGE_BYTES <= pool.preparedBytes;
    if (!whole && first <= this.#roomBytes()) return;
    const prepared = pool.take();
    if (prepared === undefined) return;
    this.#file.close(() => {});
    this.#file = prepared.file;
    this.#offset = 0;
    this.#rolls += 1;
    const { sequence, segmentBytes } = prepared;
    this.#segments.push({ sequence, segmentBytes, lastIndex: 0 });
  }

  #encodeHeader(buffer: Buffer): void {
    const { sequence, segmentBytes } = this.#present();
    const previousSegment = this.#segments.at(-2)?.sequence ?? 0;
    encodeSegmentHeader(buffer, {
      identity: this.#options.identity,
      sequence,
      segmentBytes,
      previousSegment,
      previousChain: this.#chain,
      firstBatch: this.#nextBatch,
    });
  }

  #writeMark(): void {
    const buffer = this.#reserve(PAGE_BYTES);
    const sequence = this.#nextBatch;
    const place = { kind: "mark", segment: this.#present().sequence, sequence } as const;
    const nothing = { firstIndex: 0, lastIndex: 0, recordCount: 0 };
    const header = { previousChain: this.#chain, durableSequence: sequence - 1, ...nothing };
    this.#chain = encodeBatch(buffer, 0, place, header, [], 0);
    this.#put(buffer.subarray(0, PAGE_BYTES), () => {
      if (this.#stopped) return;
      this.#writing = false;
      this.#marked = true;
      this.flush();
    });
  }

  /**
   * After a pause the newest batch gets a mark behind it, so that it is known to have been durable
   * should it rot. One timer at a time, re-armed only when batches came meanwhile.
   */
  #startIdleTimer(): void {
    if (this.#idleTimerRuns || this.#stopped) return;
    this.#idleTimerRuns = true;
    const seen = this.#nextBatch;
    this.#options.clock.after(this.#options.idleMarkMs, () => {
      this.#idleTimerRuns = false;
      if (this.#stopped || this.#marked || this.#closing !== undefined) return;
      const isIdle = seen === this.#nextBatch && !this.#writing && this.#queue.isEmpty;
      if (isIdle && this.#canMark()) this.#writeMark();
      else if (!isIdle) this.#startIdleTimer();
    });
  }

  #present(): LiveSegment {
    const segment = this.#segments.at(-1);
    assert(segment !== undefined, "the log always has a present segment");
    return segment;
  }

  /** What is left for batches; the first page of a segment is its header's. */
  #roomBytes(): number {
    return this.#present().segmentBytes - Math.max(this.#offset, PAGE_BYTES);
  }

  #canMark(): boolean {
    return this.#offset > 0 && this.#roomBytes() >= PAGE_BYTES;
  }

  #nextSegmentBytes(): number {
    const sizes = this.#options.segmentBytes;
    return sizes[Math.min(this.#rolls + 1, sizes.length - 1)] ?? PAGE_BYTES;
  }

  /** One buffer for all writes: only one is on its way at a time. */
  #reserve(bytes: number): Buffer {
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(2 * bytes);
    return this.#buffer;
  }
}
