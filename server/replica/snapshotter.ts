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
 * Or what the whole log takes on the disk. A flush writes whole pages: without company, an entry of
 * a hundred bytes takes 4 KiB, and a log of such entries would outgrow the state forty times.
 */
const LOG_SHARE = 4;
const SMALL_SEGMENT_BYTES = 1024 * 1024;

export class Snapshotter<Result> {
  readonly #parts: Parts<Result>;
  #entriesSince = 0;
  #bytesSince = 0;
  /** Only a start adds a small segment, so this is asked once. */
  #beganScattered: boolean;
  #isTaking = false;
  #isInstalling = false;
  #received: ReceivedSnapshot | undefined;

  constructor(parts: Parts<Result>) {
    this.#parts = parts;
    this.#beganScattered = isScattered(parts.storage.statistics, parts.policy);
  }

  get isTaking(): boolean {
    return this.#isTaking;
  }

  applied(entries: readonly Entry[]): void {
    this.#entriesSince += entries.length;
    for (const entry of entries) this.#bytesSince += entry.encoded?.length ?? 0;
  }

  isDue(): boolean {
    const { policy, storage } = this.#parts;
    // Once a leader's snapshot is accepted, the log no longer names what is applied here.
    if (this.#isTaking || this.#isInstalling || this.#entriesSince === 0) return false;
    if (this.#beganScattered) return true;
    const isMany = this.#entriesSince >= policy.everyEntries;
    const isLarge = this.#bytesSince >= policy.everyBytes;
    if (!isMany && !isLarge) return false;
    const { snapshotBytes, logBytes } = storage.statistics;
    if (isMany && this.#bytesSince >= snapshotBytes * MANY_ENTRIES_SHARE) return true;
    if (isMany && logBytes >= snapshotBytes * LOG_SHARE) return true;
    return isLarge && this.#bytesSince >= snapshotBytes * MANY_BYTES_SHARE;
  }

  /** Pins the present state in this turn and writes it in the background. */
  take(index: LogIndex, entryChecksum: number): void {
    const { node, storage, machine, log, askTurn } = this.#parts;
    const metadata: SnapshotMetadata = { ...node.snapshotMetadata(index), entryChecksum };
    const capture = machine.capture();
    this.#isTaking = true;
    this.#beganScattered = false;
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    storage.saveSnapshot({ metadata, summary: capture.summary }, capture.chunks(), (error) => {
      this.#isTaking = false;
      capture.release();
      askTurn();
      if (error !== undefined) {
        log.warn({ index, error: error.message }, "could not save a snapshot; keeping the log");
        return;
      }
      this.#compact(metadata);
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
        this.#entriesSince = 0;
        this.#bytesSince = 0;
        log.info({ index: metadata.index, term: metadata.term }, "installed a snapshot");
        done();
      },
    );
  }

  #compact(metadata: SnapshotMetadata): void {
    const { node, storage, policy } = this.#parts;
    const retained = isScattered(storage.statistics, policy) ? 0 : policy.retainedEntries;
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
