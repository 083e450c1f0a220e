/**
 * What storage promises to the replica. Types only.
 *
 * Completions arrive by callback, in the order of the calls. After one failed write or sync the
 * storage is poisoned: the failure is reported once through `onFailure`, no later call completes,
 * and the process must exit (a failed fsync is never retried: the kernel may have dropped the pages
 * and called them clean).
 */
import type {
  ClusterTime,
  Entry,
  HardState,
  LogIndex,
  RestoredState,
  SnapshotMetadata,
} from "../raft/index.ts";

export interface PersistBatch {
  readonly hardState: HardState | undefined;
  /** Term or vote changed: the two-slot file is written too, before the batch counts as durable. */
  readonly mustSyncHardState: boolean;
  /** An entry at index i replaces everything from i on. */
  readonly entries: readonly Entry[];
}

/** Who owns a data directory; minted once, checked at every start. */
export interface Identity {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly incarnation: number;
}

/** What stands in a snapshot's header besides the state itself. */
export interface SnapshotDescription {
  readonly metadata: SnapshotMetadata;
  /** The state machine's own small header (revision, hash). */
  readonly summary: Uint8Array;
}

export interface StorageStatistics {
  readonly fsyncs: number;
  readonly batches: number;
  readonly bytesWritten: number;
  readonly segments: number;
  readonly logBytes: number;
  /** Size of the newest snapshot file; 0 before the first. */
  readonly snapshotBytes: number;
}

export interface Storage {
  /** What was found at the start. */
  readonly identity: Identity;
  readonly restored: RestoredState;
  readonly statistics: StorageStatistics;
  /**
   * Part of what was durable is gone: nothing this node says may count before it is whole again.
   * Durable itself, until `markWhole`.
   */
  readonly isRecovering: boolean;
  /** This node was once let vote, so its disk is not a wiped one. Durable since `allowVoting`. */
  readonly mayVote: boolean;
  /** The newest durable snapshot; undefined before the first. */
  readonly snapshot: SnapshotDescription | undefined;

  /** Reads the newest snapshot's chunks, each checked; for start-up only, synchronous. */
  readSnapshot(onChunk: (bytes: Uint8Array) => void): void;

  /** `done` is called when this batch and all before it are durable. */
  persist(batch: PersistBatch, done: () => void): void;

  /**
   * False when the next batch of `bytes` may not find room (the zero-filled spare segment is gone
   * and could not be replaced): the replica then refuses proposals with 507.
   */
  hasRoom(bytes: number): boolean;

  /** Writes a snapshot beside the old one, chunk by chunk, and installs it by rename. */
  saveSnapshot(
    description: SnapshotDescription,
    chunks: IterableIterator<Uint8Array>,
    done: (error: Error | undefined) => void,
  ): void;

  /** Opens the newest snapshot for sending as it stands on disk; undefined when there is none. */
  openSnapshot(): SnapshotSource | undefined;

  /** Receives the bytes of another node's snapshot file into a temporary file. */
  receiveSnapshot(): SnapshotSink;

  /**
   * Makes a received snapshot the newest one, after which the log restarts behind it when it does
   * not reach it. `onChunk` gets the verified state pieces, `done` comes when all is durable.
   */
  installSnapshot(
    received: ReceivedSnapshot,
    onChunk: (bytes: Uint8Array) => void,
    done: (error: Error | undefined) => void,
  ): void;

  /** Removes a received snapshot that nobody wants. */
  discardSnapshot(received: ReceivedSnapshot): void;

  /** Lets log before `through` go, by whole segments; through <= newest snapshot's index. */
  compact(through: LogIndex): void;

  /**
   * Ends recovering: `done` when that is durable. Also removes what a repair replaced and kept as
   * evidence, so it may be called by a node that was whole all along.
   */
  markWhole(done: () => void): void;

  /** Remembers that this node may vote; `done` when that is durable. */
  allowVoting(done: () => void): void;

  close(done: () => void): void;
}

/** The raw bytes of a snapshot file. */
export interface SnapshotSource {
  readonly description: SnapshotDescription;
  readonly byteLength: number;
  /** The next bytes in file order, or undefined at the end. */
  read(done: (error: Error | undefined, bytes: Uint8Array | undefined) => void): void;
  close(): void;
}

export interface SnapshotSink {
  write(bytes: Uint8Array, done: (error: Error | undefined) => void): void;
  /** Checks every checksum; an error means the file was refused and removed. */
  finish(done: (error: Error | undefined, received: ReceivedSnapshot | undefined) => void): void;
  abort(): void;
}

export interface ReceivedSnapshot {
  readonly description: SnapshotDescription;
  readonly path: string;
  readonly byteLength: number;
}

export type { ClusterTime, Entry, HardState, LogIndex, RestoredState, SnapshotMetadata };
