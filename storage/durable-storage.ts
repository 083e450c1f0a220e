/**
 * Storage on a real disk (or a simulated one): recovery at the start, then the log, the hard state
 * and the snapshots behind one door. Knows no keys and no peers.
 *
 * After the first failed write or sync of anything promised it is poisoned: `onFailure` is called
 * once, nothing completes any more, and the process has to exit. Running out of space where space
 * is only being allocated is no such failure.
 */
import type { Clock, Entry, LogIndex, RestoredState } from "../raft/index.ts";
import { assert } from "../raft/index.ts";
import type {
  Identity,
  PersistBatch,
  ReceivedSnapshot,
  SnapshotDescription,
  SnapshotSink,
  SnapshotSource,
  Storage,
  StorageStatistics,
} from "./contract.ts";
import type { EntryChain } from "./entry-chain.ts";
import { encodeEntry, previousOf } from "./entry-codec.ts";
import { CorruptionError, StorageFailedError } from "./errors.ts";
import { dropEvidence } from "./evidence.ts";
import type { FileSystem } from "./file-system.ts";
import type { HardStateFile } from "./hard-state-file.ts";
import type { IdentityExpectation } from "./identity-file.ts";
import { Jobs } from "./jobs.ts";
import { recoverStorage } from "./recovery.ts";
import type { StorageReport } from "./report.ts";
import { SegmentPool } from "./segment-pool.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { Wal } from "./wal.ts";
import type { PendingBarrier } from "./wal-queue.ts";

export interface StorageOptions extends IdentityExpectation {
  /** Absolute path; made when it does not exist. The caller holds the directory's lock. */
  readonly directory: string;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  /** Called once, when nothing more can be promised: the process must exit. */
  readonly onFailure: (error: StorageFailedError) => void;
  readonly onReport?: (report: StorageReport) => void;
  /** Sizes of the segments in the order they are made in a run; the last one repeats. */
  readonly segmentBytes?: readonly number[];
  /** A batch is closed at this many bytes of records (but holds at least one). */
  readonly batchBytesMax?: number;
  /** A pause this long is followed by a mark. */
  readonly idleMarkMs?: number;
}

const MIB = 1024 * 1024;
const DEFAULT_SEGMENT_BYTES: readonly number[] = [MIB, MIB, 16 * MIB, 16 * MIB, 64 * MIB];
export const DEFAULT_BATCH_BYTES = MIB;
const DEFAULT_IDLE_MARK_MS = 50;

/** Recovers what the directory holds and is ready to go on; throws what it can not repair. */
export function openStorage(options: StorageOptions): DurableStorage {
  return new DurableStorage(options);
}

export class DurableStorage implements Storage {
  readonly identity: Identity;
  readonly restored: RestoredState;
  readonly #options: StorageOptions;
  readonly #chain: EntryChain;
  readonly #wal: Wal;
  readonly #pool: SegmentPool;
  readonly #hardStateFile: HardStateFile;
  readonly #snapshots: SnapshotStore;
  /** The removal of evidence, which is nobody else's. */
  readonly #removals = new Jobs();
  #failed = false;
  #saving = false;
  #installing = false;
  #isClosing = false;

  constructor(options: StorageOptions) {
    this.#options = options;
    const sizes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
    const { fileSystem, directory, clock } = options;
    const onReport = options.onReport ?? ((): void => {});
    const fail = (what: string) => (error: Error) => this.#fail(what, error);
    const state = recoverStorage(options, sizes[0] ?? MIB, onReport, fail("the hard-state file"));
    const { identity } = state;
    this.identity = identity;
    this.restored = state.restored;
    this.#chain = state.chain;
    this.#hardStateFile = state.hardStateFile;
    const { snapshotFiles, snapshot } = state;
    const onSnapshotFailure = fail("a snapshot");
    this.#snapshots = new SnapshotStore(
      { fileSystem, directory, identity, onFailure: onSnapshotFailure },
      snapshotFiles,
      snapshot,
    );
    const onChange = (): void => this.#wal.flush();
    const onPoolFailure = fail("a log segment");
    this.#pool = new SegmentPool(
      { fileSystem, directory, clock, onReport, onChange, onFailure: onPoolFailure },
      state.wal.sequence + 1,
    );
    const walOptions = {
      identity,
      clock,
      pool: this.#pool,
      hardStateFile: this.#hardStateFile,
      segmentBytes: sizes,
      batchBytesMax: options.batchBytesMax ?? DEFAULT_BATCH_BYTES,
      idleMarkMs: options.idleMarkMs ?? DEFAULT_IDLE_MARK_MS,
      onFailure: fail("the log"),
    };
    this.#wal = new Wal(walOptions, state.wal, state.segments, state.restored.hardState);
  }

  get statistics(): StorageStatistics {
    const { syncs, batches, bytesWritten } = this.#wal.statistics;
    const fsyncs = syncs + this.#hardStateFile.writes;
    const { segmentCount: segments, logBytes } = this.#wal;
    const snapshotBytes = this.#snapshots.newest?.byteLength ?? 0;
    return { fsyncs, batches, bytesWritten, segments, logBytes, snapshotBytes };
  }

  get snapshot(): SnapshotDescription | undefined {
    return this.#snapshots.newest?.description;
  }

  get isRecovering(): boolean {
    return this.#hardStateFile.isRecovering;
  }

  get mayVote(): boolean {
    return this.#hardStateFile.mayVote;
  }

  allowVoting(done: () => void): void {
    if (this.#failed) return;
    this.#hardStateFile.allowVoting(() => {
      if (!this.#failed) done();
    });
  }

  readSnapshot(onChunk: (bytes: Uint8Array) => void): void {
    this.#snapshots.readSync(onChunk);
  }

  /** Fills `encoded` of every entry before it returns, so that peers can be sent the same bytes. */
  persist(batch: PersistBatch, done: () => void): void {
    if (this.#failed) return;
    for (const entry of batch.entries) {
      if (!this.#encode(entry)) return;
    }
    const { hardState, mustSyncHardState, entries } = batch;
    const mustWrite = entries.length > 0 || mustSyncHardState;
    const write = { hardState, mustWrite, mustSyncHardState, entries, next: 0, done } as const;
    this.#wal.append({ kind: "write", ...write });
  }

  hasRoom(bytes: number): boolean {
    return !this.#failed && this.#wal.hasRoom(bytes);
  }

  saveSnapshot(
    description: SnapshotDescription,
    chunks: IterableIterator<Uint8Array>,
    done: (error: Error | undefined) => void,
  ): void {
    if (this.#failed) return;
    assert(!this.#saving, "one snapshot is saved at a time");
    this.#saving = true;
    this.#snapshots.save(description, chunks, (error) => {
      this.#saving = false;
      if (!this.#failed) done(error);
    });
  }

  openSnapshot(): SnapshotSource | undefined {
    return this.#snapshots.open();
  }

  receiveSnapshot(): SnapshotSink {
    return this.#snapshots.receive();
  }

  /**
   * Rename first, then the log: after a crash in between, recovery finds a snapshot that the log
   * does not reach (or contradicts) and restarts the log itself. Section 7, Figure 13, steps 6, 7.
   */
  installSnapshot(
    received: ReceivedSnapshot,
    onChunk: (bytes: Uint8Array) => void,
    done: (error: Error | undefined) => void,
  ): void {
    if (this.#failed || this.#isClosing) return;
    assert(!this.#installing, "one snapshot is installed at a time");
    const newest = this.snapshot?.metadata.index ?? 0;
    assert(received.description.metadata.index > newest, "an installed snapshot is the newest");
    this.#installing = true;
    const barrier = this.#restartBehind(received.description);
    barrier.done = () => {
      // The file has its name; the state is for the next start to read.
      if (this.#isClosing) return;
      this.#snapshots.read(onChunk, (error) => {
        this.#installing = false;
        if (!this.#failed && !this.#isClosing) done(error);
      });
    };
    this.#wal.append(barrier);
    this.#snapshots.publish(received, () => {
      barrier.state = "open";
      this.#wal.flush();
    });
  }

  /** Removes a received file that is not going to be installed. */
  discardSnapshot(received: ReceivedSnapshot): void {
    if (!this.#failed) this.#snapshots.discard(received);
  }

  compact(through: LogIndex): void {
    const newest = this.snapshot?.metadata.index ?? 0;
    assert(through <= newest, "the log goes no further than the newest snapshot covers it");
    if (this.#failed) return;
    const dropped = this.#wal.dropThrough(through);
    this.#chain.dropBefore(through);
    if (dropped.length === 0) return;
    // A file that is gone is only then no damage when the hard state says so.
    this.#hardStateFile.dropBefore(this.#wal.oldestSegment, () => {
      if (!this.#failed) this.#pool.retire(dropped);
    });
  }

  /** The evidence goes last: what can not be removed now is replaced by the next repair's. */
  markWhole(done: () => void): void {
    if (this.#failed) return;
    const { fileSystem, directory } = this.#options;
    const marked = (): void => {
      if (this.#isClosing) return;
      const dropped = this.#removals.begin(() => {
        if (!this.#failed) done();
      });
      dropEvidence(fileSystem, directory, "damaged", dropped);
    };
    if (this.isRecovering) this.#hardStateFile.markWhole(marked);
    else marked();
  }

  /** `done` when the directory is left alone; snapshots that are under way are given up. */
  close(done: () => void): void {
    if (this.#failed) return;
    this.#isClosing = true;
    const closePool = (): void => this.#pool.close(() => this.#removals.end(done));
    const closeLog = (): void => this.#wal.close(() => this.#hardStateFile.close(closePool));
    this.#snapshots.close(closeLog);
  }

  /** Encodes what was proposed here; checks what a leader encoded against the entry before it. */
  #encode(entry: Entry): boolean {
    const previous = this.#chain.at(entry.index - 1);
    assert(previous !== undefined, "an entry leaves no gap in the log");
    if (entry.encoded === undefined) encodeEntry(entry, previous);
    else {
      const stated = previousOf(entry.encoded);
      const known = stated.checksum !== 0 && previous.checksum !== 0;
      if (known && stated.checksum !== previous.checksum) {
        const reason = `entry ${entry.index} follows another history than this log holds`;
        this.#fail("the log", new CorruptionError(this.#options.directory, 0, reason));
        return false;
      }
    }
    this.#chain.append(entry);
    return true;
  }

  #restartBehind(description: SnapshotDescription): PendingBarrier {
    const { index, term, entryChecksum: checksum } = description.metadata;
    const held = this.#chain.at(index);
    const matches = held !== undefined && held.term === term;
    const nothing = (): void => {};
    if (matches) return { kind: "barrier", state: "closed", start: undefined, done: nothing };
    this.#chain.restart(index, { term, checksum });
    return { kind: "barrier", state: "closed", start: { index, term, checksum }, done: nothing };
  }

  #fail(what: string, error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#wal.stop();
    this.#options.onFailure(new StorageFailedError(what, error));
  }
}
