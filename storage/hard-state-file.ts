/**
 * Term and vote in a file of their own, beside their records in the log (Figure 2; both must be
 * durable before a vote leaves). Two slots on pages of their own are written in turn, so that one
 * is whole at every instant. A slot also names the newest log segment that has begun and the oldest
 * that is needed: a file at either end that vanished whole leaves no other trace. And it holds the
 * node's standing, so that a node which lost part of its log and the term it must not speak for are
 * one durable fact.
 *
 *   0 CRC over bytes 4 to 4095 (4)   4 format version (4)   8 slot sequence (8)
 *  16 term (8)   24 vote (8)   32 commit index (8)   40 newest segment (8)
 *  48 node id (8)   56 incarnation (8)   64 standing (4)   68 may vote (4)   72 oldest segment (8)
 *  80 zero to the end of the page
 */
import type { HardState } from "../raft/index.ts";
import { getUint32, getUint64, putUint32, putUint64 } from "./bytes.ts";
import { checksum } from "./checksum.ts";
import type { Identity } from "./contract.ts";
import {
  type FileSystemError,
  HardStateLostError,
  IdentityMismatchError,
  UnsupportedFormatError,
} from "./errors.ts";
import { type File, type FileSystem, replaceFileSync } from "./file-system.ts";
import { readPagesSync } from "./page-read.ts";
import type { StorageReport } from "./report.ts";
import { PAGE_BYTES } from "./sector.ts";

export const HARD_STATE_FILE = "hard-state";
const FORMAT_VERSION = 1;
const SLOTS = 2;

export const INITIAL_HARD_STATE: HardState = { term: 0, vote: 0, commitIndex: 0 };

/**
 * "recovering": part of what was durable is gone, and with it perhaps a promise; nothing this node
 * says counts until its leader has made it whole. "emptying": snapshots and log are being set
 * aside, after which the node is recovering.
 */
export type Standing = "whole" | "recovering" | "emptying";

const STANDINGS: readonly Standing[] = ["whole", "recovering", "emptying"];

export interface HardStateSlot {
  readonly hardState: HardState;
  readonly newestSegment: number;
}

export interface StoredSlot extends HardStateSlot {
  readonly sequence: number;
  readonly standing: Standing;
  /** The log begins in it or before; 0 when there is none. */
  readonly oldestSegment: number;
  /** This disk is known not to be one that was wiped: its node was let vote once. */
  readonly mayVote: boolean;
}

type Bearings = Pick<StoredSlot, "standing" | "oldestSegment" | "mayVote">;

const NO_BEARINGS: Bearings = { standing: "whole", oldestSegment: 0, mayVote: false };

/** What stands in the file, or undefined when there is no file. */
export function readHardStateFile(
  fileSystem: FileSystem,
  directory: string,
  identity: Identity,
  onReport: (report: StorageReport) => void,
): StoredSlot | undefined {
  if (!fileSystem.listSync(directory).includes(HARD_STATE_FILE)) return undefined;
  const path = `${directory}/${HARD_STATE_FILE}`;
  const { bytes } = readPagesSync(fileSystem, path);
  let newest: StoredSlot | undefined;
  const bad: number[] = [];
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const stored = decodeSlot(bytes.subarray(slot * PAGE_BYTES, (slot + 1) * PAGE_BYTES), identity);
    if (stored === undefined) bad.push(slot * PAGE_BYTES);
    else if (newest === undefined || stored.sequence > newest.sequence) newest = stored;
  }
  if (newest === undefined) throw new HardStateLostError(path, 0, "both copies are damaged");
  for (const offset of bad) {
    // A slot stands in one sector, so that a tear leaves it old, new or blank: the rest is rot.
    const isTorn = bytes.subarray(offset, offset + PAGE_BYTES).every((byte) => byte === 0);
    onReport({ kind: "hard-state-slot-repaired", file: path, offset, isTorn });
  }
  return newest;
}

function encodeSlot(slot: StoredSlot, identity: Identity): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  putUint32(page, 4, FORMAT_VERSION);
  putUint64(page, 8, slot.sequence);
  putUint64(page, 16, slot.hardState.term);
  putUint64(page, 24, slot.hardState.vote);
  putUint64(page, 32, slot.hardState.commitIndex);
  putUint64(page, 40, slot.newestSegment);
  putUint64(page, 48, identity.nodeId);
  putUint64(page, 56, identity.incarnation);
  putUint32(page, 64, STANDINGS.indexOf(slot.standing));
  putUint32(page, 68, slot.mayVote ? 1 : 0);
  putUint64(page, 72, slot.oldestSegment);
  putUint32(page, 0, checksum(page.subarray(4)));
  return page;
}

/** Undefined for a damaged slot. */
function decodeSlot(page: Uint8Array, identity: Identity): StoredSlot | undefined {
  if (page.length !== PAGE_BYTES) return undefined;
  if (checksum(page.subarray(4)) !== getUint32(page, 0)) return undefined;
  const version = getUint32(page, 4);
  if (version !== FORMAT_VERSION) throw new UnsupportedFormatError("hard state version", version);
  if (getUint64(page, 48) !== identity.nodeId || getUint64(page, 56) !== identity.incarnation) {
    throw new IdentityMismatchError("the hard state belongs to another node or another life");
  }
  const term = getUint64(page, 16);
  const hardState = { term, vote: getUint64(page, 24), commitIndex: getUint64(page, 32) };
  const standing = STANDINGS[getUint32(page, 64)];
  if (standing === undefined) throw new UnsupportedFormatError("standing", getUint32(page, 64));
  const newestSegment = getUint64(page, 40);
  const oldestSegment = getUint64(page, 72);
  const mayVote = getUint32(page, 68) !== 0;
  const bearings = { standing, oldestSegment, mayVote };
  return { sequence: getUint64(page, 8), hardState, newestSegment, ...bearings };
}

export class HardStateFile {
  readonly #identity: Identity;
  readonly #file: File;
  readonly #onFailure: (error: FileSystemError) => void;
  #sequence: number;
  #bearings: Bearings;
  /** What was written, or asked to be written, last. */
  #latest: HardStateSlot;
  #writing = false;
  /** The newest of what came while a write was on its way; older ones need no write any more. */
  #waiting: HardStateSlot | undefined;
  #waitingDone: (() => void)[] = [];
  #writes = 0;
  #closing: (() => void) | undefined;
  #isClosed = false;

  /** `stored` is what `readHardStateFile` found; undefined makes the file. */
  constructor(
    fileSystem: FileSystem,
    directory: string,
    identity: Identity,
    stored: StoredSlot | undefined,
    onFailure: (error: FileSystemError) => void,
  ) {
    this.#identity = identity;
    this.#onFailure = onFailure;
    this.#sequence = stored?.sequence ?? 1;
    const { standing, oldestSegment, mayVote } = stored ?? NO_BEARINGS;
    this.#bearings = { standing, oldestSegment, mayVote };
    this.#latest = stored ?? { hardState: INITIAL_HARD_STATE, newestSegment: 0 };
    if (stored === undefined) {
      const slot = { ...this.#latest, ...this.#bearings, sequence: 1 };
      const page = encodeSlot(slot, identity);
      replaceFileSync(fileSystem, directory, HARD_STATE_FILE, Buffer.concat([page, page]));
    }
    const path = `${directory}/${HARD_STATE_FILE}`;
    this.#file = fileSystem.openSync(path, { access: "write", durable: true });
  }

  get writes(): number {
    return this.#writes;
  }

  get isRecovering(): boolean {
    return this.#bearings.standing === "recovering";
  }

  get mayVote(): boolean {
    return this.#bearings.mayVote;
  }

  /** Makes both slots whole and equal, one after the other: one is whole at every instant. */
  repairSync(slot: HardStateSlot, changes: Partial<Bearings> = {}): void {
    this.#bearings = { ...this.#bearings, ...changes };
    this.#latest = slot;
    for (let i = 0; i < SLOTS; i += 1) {
      const { page, offset } = this.#next(slot);
      this.#file.writeSync(page, offset);
    }
  }

  /** `done` when this slot, or a newer one, is durable; never, when the file is closed. */
  write(slot: HardStateSlot, done: () => void): void {
    if (this.#isClosed) return;
    this.#latest = slot;
    this.#waiting = slot;
    this.#waitingDone.push(done);
    if (!this.#writing) this.#writeWaiting();
  }

  /** `done` when the segments before this one may go. */
  dropBefore(oldestSegment: number, done: () => void): void {
    this.#bearings = { ...this.#bearings, oldestSegment };
    this.write(this.#latest, done);
  }

  /** `done` when no start of this node has to ask again whether its disk was wiped. */
  allowVoting(done: () => void): void {
    this.#bearings = { ...this.#bearings, mayVote: true };
    this.write(this.#latest, done);
  }

  /** Ends recovering in both slots: neither may say otherwise when the other one is lost. */
  markWhole(done: () => void): void {
    this.#bearings = { ...this.#bearings, standing: "whole" };
    this.write(this.#latest, () => this.write(this.#latest, done));
  }

  /** After what was asked for is written. */
  close(done: () => void): void {
    this.#closing = done;
    if (!this.#writing) this.#close(done);
  }

  closeSync(): void {
    this.#file.closeSync();
  }

  #writeWaiting(): void {
    if (this.#waiting === undefined) return;
    const { page, offset } = this.#next(this.#waiting);
    const done = this.#waitingDone;
    this.#waiting = undefined;
    this.#waitingDone = [];
    this.#writing = true;
    this.#writes += 1;
    this.#file.write(page, offset, (error) => {
      this.#writing = false;
      if (error !== undefined) {
        this.#onFailure(error);
        return;
      }
      for (const finished of done) finished();
      if (!this.#writing) this.#writeWaiting();
      if (!this.#writing && this.#closing !== undefined) this.#close(this.#closing);
    });
  }

  #close(done: () => void): void {
    this.#isClosed = true;
    this.#file.close(() => done());
  }

  #next(slot: HardStateSlot): { readonly page: Buffer; readonly offset: number } {
    this.#sequence += 1;
    const { hardState, newestSegment } = slot;
    const stored = { hardState, newestSegment, sequence: this.#sequence, ...this.#bearings };
    const page = encodeSlot(stored, this.#identity);
    return { page, offset: (this.#sequence % SLOTS) * PAGE_BYTES };
  }
}
