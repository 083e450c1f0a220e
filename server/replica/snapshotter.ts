/**
 * Snapshots, both ways: when to take one of the own state, and the one that a leader sent.
 *
 * Invariants: one snapshot is taken at a time; the log is let go only behind a snapshot that is
 * durable; a received file is either installed or discarded.
 */
import {
  assert,
  type Entry,
  type LogIndex,
  type RaftNode,
  type SnapshotMetadata,
} from "../../raft/index.ts";
import type { ReceivedSnapshot, Storage, StorageStatistics } from "../../storage/index.ts";
import type { ReplicaLog, ReplicatedMachine, SnapshotPolicy } from "./options.ts";

interface Parts<Result> {
  readonly node: RaftNode;
  readonly storage: Storage;
  readonly machine: ReplicatedMachine<Result>;
  readonly policy: SnapshotPolicy;
  readonly log: ReplicaLog;
  /** The next snapshot may have become due while this one was saved. */
  readonly askTurn: () => void;
}

/**
 * What the entries since the last snapshot must come to, as a multiple of that snapshot. A small
 * entry is twice as long as the record it leaves: a write pays for one record of the next snapshot.
 */
const MANY_ENTRIES_SHARE = 2;
const MANY_BYTES_SHARE = 0.5;
/**
 * Or what they took in the log on the disk. A flush writes whole pages: without company, an entry
 * of a hundred bytes takes 4 KiB, and a log of such entries would outgrow the state forty times.
 */
const LOG_SHARE = 4;
/**
 * For a start, a log of so many bytes is long before its entries are many, since a page costs it as
 * much as one; and never before it holds so many bytes for each entry that would be many.
 */
const LONG_LOG_BYTES = 2 * 1024 * 1024;
const LONG_LOG_BYTES_PER_ENTRY = 400;
const SMALL_SEGMENT_BYTES = 1024 * 1024;

export class Snapshotter<Result> {
  readonly #parts: Parts<Result>;
  #entriesSince = 0;
  #bytesSince = 0;
  /** What had been written to the log when the last snapshot was taken. */
  #logBytesBefore: number;
  /** Only a start adds a small segment, so this is asked once. */
  #beganScattered: boolean;
  #isTaking = false;
  #isInstalling = false;
  #received: ReceivedSnapshot | undefined;

  constructor(parts: Parts<Result>) {
    this.#parts = parts;
    const { statistics } = parts.storage;
    this.#beganScattered = isScattered(statistics, parts.policy);
    // The log that a start finds counts as written since: it was read.
    this.#logBytesBefore = statistics.bytesWritten - statistics.logBytes;
  }

  get isTaking(): boolean {
    return this.#isTaking;
  }

  applied(entries: readonly Entry[]): void {
    this.#entriesSince += entries.length;
    for (const entry of entries) this.#bytesSince += entry.encoded?.length ?? 0;
  }

  /** A node that has not caught up has clients waiting for it: its snapshot can wait for them. */
  isDue(isCaughtUp: boolean): boolean {
    const { policy, storage } = this.#parts;
    // Once a leader's snapshot is accepted, the log no longer names what is applied here.
    if (this.#isTaking || this.#isInstalling || this.#entriesSince === 0) return false;
    if (this.#beganScattered) return true;
    if (!isCaughtUp && this.#bytesSince < policy.everyBytes) return false;
    const { snapshotBytes, bytesWritten } = storage.statistics;
    const logBytesSince = bytesWritten - this.#logBytesBefore;
    const isMany = this.#entriesSince >= policy.everyEntries;
    if (isMany && this.#bytesSince >= snapshotBytes * MANY_ENTRIES_SHARE) return true;
    const longBytes = Math.max(LONG_LOG_BYTES, policy.everyEntries * LONG_LOG_BYTES_PER_ENTRY);
    const isLong = isMany || logBytesSince >= longBytes;
    if (isLong && logBytesSince >= snapshotBytes * LOG_SHARE) return true;
    const isLarge = this.#bytesSince >= policy.everyBytes;
    return isLarge && this.#bytesSince >= snapshotBytes * MANY_BYTES_SHARE;
  }

  /** Pins the present state in this turn and writes it in the background. */
  take(index: LogIndex, entryChecksum: number): void {
    const { node, storage, machine, log, askTurn } = this.#parts;
    const metadata: SnapshotMetadata = { ...node.snapshotMetadata(index), entryChecksum };
    const capture = machine.capture();
    const entriesBefore = this.#entriesSince;
    this.#isTaking = true;
    this.#beganScattered = false;
    this.#beginAnew();
    storage.saveSnapshot({ metadata, summary: capture.summary }, capture.chunks(), (error) => {
      this.#isTaking = false;
      capture.release();
      askTurn();
      if (error !== undefined) {
        log.warn({ index, error: error.message }, "could not save a snapshot; keeping the log");
        return;
      }
      this.#compact(metadata, entriesBefore);
      log.info({ index, term: metadata.term }, "saved a snapshot");
    });
  }

  /** Keeps a received file until the core says what to do with it. */
  received(snapshot: ReceivedSnapshot): void {
    this.discardReceived();
    this.#received = snapshot;
  }

  /** The core did not want it. */
  discardReceived(): void {
    if (this.#received === undefined) return;
    this.#parts.storage.discardSnapshot(this.#received);
    this.#received = undefined;
  }

  /** Takes the received file out of waiting: the core accepted it. */
  claim(index: LogIndex): ReceivedSnapshot {
    const received = this.#received;
    const isIt = received?.description.metadata.index === index;
    assert(isIt && received !== undefined, `a received snapshot stands for index ${index}`);
    this.#received = undefined;
    this.#isInstalling = true;
    return received;
  }

  /** Installs the file; `done` comes when state and disk both hold it. */
  install(received: ReceivedSnapshot, done: () => void): void {
    const { storage, machine, log } = this.#parts;
    const { metadata } = received.description;
    const restore = machine.beginRestore();
    storage.installSnapshot(
      received,
      (bytes) => restore.chunk(bytes),
      (error) => {
        // A state that is half replaced can not be served: the process ends.
        if (error !== undefined) throw error;
        restore.end();
        this.#isInstalling = false;
        this.#beginAnew();
        log.info({ index: metadata.index, term: metadata.term }, "installed a snapshot");
        done();
      },
    );
  }

  #beginAnew(): void {
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    this.#logBytesBefore = this.#parts.storage.statistics.bytesWritten;
  }

  /** What stays for slow followers is no longer than what led to the snapshot: a start reads it. */
  #compact(metadata: SnapshotMetadata, entriesBefore: number): void {
    const { node, storage, policy } = this.#parts;
    const tail = Math.min(policy.retainedEntries, entriesBefore);
    const retained = isScattered(storage.statistics, policy) ? 0 : tail;
    const retainFrom = Math.max(1, metadata.index - retained + 1);
    node.compact(metadata, retainFrom);
    storage.compact(retainFrom - 1);
  }
}

/** The state as the newest snapshot on the disk has it, if there is one. */
export function restoreMachine<Result>(machine: ReplicatedMachine<Result>, storage: Storage): void {
  if (storage.snapshot === undefined) return;
  const restore = machine.beginRestore();
  storage.readSnapshot((bytes) => restore.chunk(bytes));
  restore.end();
}

/** A node that starts again and again would fill its disk with segments that hold little. */
function isScattered(
  { segments, logBytes }: StorageStatistics,
  { smallSegmentsMax }: SnapshotPolicy,
): boolean {
  return segments > smallSegmentsMax && logBytes <= segments * SMALL_SEGMENT_BYTES;
}
