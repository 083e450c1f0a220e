/**
 * What waits to be written to the log, in order, and how a batch is gathered from it: everything
 * that came while the last write was on its way, as far as it fits. This is group commit.
 */
import type { Entry, HardState } from "../raft/index.ts";
import { BATCH_HEADER_BYTES } from "./batch-codec.ts";
import {
  encodeHardStateRecord,
  encodeRestartRecord,
  entryRecordBytes,
  entryRecordHeader,
  HARD_STATE_RECORD_BYTES,
  type LogStart,
} from "./record-codec.ts";

/** Entries and hard state of one `persist` call. */
export interface PendingWrite {
  readonly kind: "write";
  readonly hardState: HardState | undefined;
  /** False for a commit index alone: it rides along with the next write and waits for none. */
  readonly mustWrite: boolean;
  readonly mustSyncHardState: boolean;
  readonly entries: readonly Entry[];
  /** Entries before this one went with an earlier batch. */
  next: number;
  readonly done: () => void;
}

/** Holds back what comes after it until a snapshot is in place, then restarts the log, or not. */
export interface PendingBarrier {
  readonly kind: "barrier";
  state: "closed" | "open";
  start: LogStart | undefined;
  done: () => void;
}

export type Pending = PendingWrite | PendingBarrier;

export interface GatheredBatch {
  readonly records: readonly Uint8Array[];
  readonly recordBytes: number;
  readonly recordCount: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The highest index in it, which may be above the last one after a truncation. */
  readonly highestIndex: number;
  readonly restarts: boolean;
  readonly hardState: HardState;
  readonly mustSyncHardState: boolean;
  readonly done: readonly (() => void)[];
}

export class WalQueue {
  readonly #items: Pending[] = [];
  #hardState: HardState;
  #hardStateIsNew = false;

  constructor(hardState: HardState) {
    this.#hardState = hardState;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** The newest hard state taken into a batch. */
  get hardState(): HardState {
    return this.#hardState;
  }

  push(item: Pending): void {
    this.#items.push(item);
  }

  /** Bytes of records waiting, up to the first closed barrier; counts no further than `limit`. */
  waitingBytes(limit: number): number {
    let bytes = 0;
    for (const item of this.#items) {
      if (item.kind === "barrier") {
        if (item.state === "closed") break;
        bytes += HARD_STATE_RECORD_BYTES;
        continue;
      }
      if (item.hardState !== undefined) bytes += HARD_STATE_RECORD_BYTES;
      for (let i = item.next; i < item.entries.length && bytes < limit; i += 1) {
        bytes += recordBytesOf(item.entries[i]);
      }
      if (bytes >= limit) break;
    }
    return bytes;
  }

  /** Bytes the first record takes, with the hard state that goes in front of it. */
  firstBytes(): number {
    const first = this.#items[0];
    if (first === undefined || first.kind === "barrier") return 2 * HARD_STATE_RECORD_BYTES;
    return HARD_STATE_RECORD_BYTES + recordBytesOf(first.entries[first.next]);
  }

  /**
   * Takes what fits into `recordBytesMax`; undefined when nothing may go now. A batch without
   * records has only callbacks to call. `withHardState` forces the hard state in: a new segment
   * begins with it, so that older segments may go.
   */
  gather(recordBytesMax: number, withHardState: boolean): GatheredBatch | undefined {
    const gathering = new Gathering(recordBytesMax - HARD_STATE_RECORD_BYTES);
    for (;;) {
      const item = this.#items[0];
      if (item === undefined || gathering.isFull) break;
      if (item.kind === "barrier") {
        if (item.state === "closed" || !gathering.takesRestart(item)) break;
      } else {
        if (item.hardState !== undefined && item.next === 0) {
          this.#hardState = item.hardState;
          this.#hardStateIsNew = true;
        }
        if (!gathering.takeEntries(item)) break;
      }
      this.#items.shift();
    }
    if (gathering.isIdle) return undefined;
    const needsWrite = gathering.hasRecords || gathering.mustWrite;
    const includesHardState = needsWrite && (withHardState || this.#hardStateIsNew);
    if (includesHardState) this.#hardStateIsNew = false;
    return gathering.finish(this.#hardState, includesHardState);
  }
}

class Gathering {
  readonly #limit: number;
  readonly #records: Uint8Array[] = [];
  readonly #done: (() => void)[] = [];
  #bytes = 0;
  #count = 0;
  #firstIndex = 0;
  #lastIndex = 0;
  #highestIndex = 0;
  #restarts = false;
  #mustSyncHardState = false;
  mustWrite = false;
  isFull = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get hasRecords(): boolean {
    return this.#count > 0;
  }

  get isIdle(): boolean {
    return this.#count === 0 && this.#done.length === 0 && !this.mustWrite;
  }

  /** A restart stands first in its batch, so that segments know what it made obsolete. */
  takesRestart(item: PendingBarrier): boolean {
    if (item.start !== undefined) {
      if (!this.isIdle) return false;
      this.#add(encodeRestartRecord(item.start));
      this.#restarts = true;
    }
    this.#done.push(item.done);
    return true;
  }

  /** False when the item is not finished yet. */
  takeEntries(item: PendingWrite): boolean {
    if (item.mustWrite) this.mustWrite = true;
    if (item.mustSyncHardState && item.next === 0) this.#mustSyncHardState = true;
    while (item.next < item.entries.length) {
      const entry = item.entries[item.next];
      const encoded = entry?.encoded;
      if (entry === undefined || encoded === undefined) break;
      const bytes = entryRecordBytes(encoded);
      if (this.#bytes + bytes > this.#limit) {
        this.isFull = true;
        return false;
      }
      this.#records.push(entryRecordHeader(encoded.length), encoded);
      this.#bytes += bytes;
      this.#count += 1;
      if (this.#firstIndex === 0) this.#firstIndex = entry.index;
      this.#lastIndex = entry.index;
      if (entry.index > this.#highestIndex) this.#highestIndex = entry.index;
      item.next += 1;
    }
    this.#done.push(item.done);
    return true;
  }

  #add(record: Uint8Array): void {
    this.#records.push(record);
    this.#bytes += record.length;
    this.#count += 1;
  }

  finish(hardState: HardState, includesHardState: boolean): GatheredBatch {
    if (includesHardState) {
      const record = encodeHardStateRecord(hardState);
      this.#records.unshift(record);
      this.#bytes += record.length;
      this.#count += 1;
    }
    return {
      records: this.#records,
      recordBytes: this.#bytes,
      recordCount: this.#count,
      firstIndex: this.#firstIndex,
      lastIndex: this.#lastIndex,
      highestIndex: this.#highestIndex,
      restarts: this.#restarts,
      hardState,
      mustSyncHardState: this.#mustSyncHardState,
      done: this.#done,
    };
  }
}

function recordBytesOf(entry: Entry | undefined): number {
  return entry?.encoded === undefined ? 0 : entryRecordBytes(entry.encoded);
}

/** Room a batch needs beside its records. */
export const BATCH_OVERHEAD_BYTES = BATCH_HEADER_BYTES + HARD_STATE_RECORD_BYTES;
