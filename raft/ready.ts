/**
 * `Ready`: everything the host must do now, fields in the order in which to do it.
 *
 * Contract. `messages` may leave at once. `hardState`, `entries` and `snapshot` must become durable
 * in this order, with those of earlier Readys before them; then the host calls
 * `node.synced(persistSequence)` and sends `messagesAfterSync` (thesis 3.8: nothing that promises
 * something may leave before the promise is on disk). Several Readys may be in flight; they
 * complete in order. `committedEntries` are applied after that, in order; they are always durable
 * here (index <= min(commitIndex, stableIndex)).
 */
import type { Envelope } from "./message.ts";
import type { Entry, HardState, LogIndex, SnapshotMetadata, SoftState } from "./types.ts";

/** A read that may be answered from the state machine once `index` is applied. */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

export interface Ready {
  /** Set when role or leader changed since the last Ready. */
  readonly softState: SoftState | undefined;
  /** May be sent before anything is durable: appends, heartbeats and such. */
  readonly messages: readonly Envelope[];
  /** Rises by one with every Ready that has something to persist or something that waits for it. */
  readonly persistSequence: number;
  /** True when hardState, entries or snapshot below is to be written. */
  readonly hasPersist: boolean;
  readonly hardState: HardState | undefined;
  /** True when term or vote changed: the two-slot file must be written too. */
  readonly mustSyncHardState: boolean;
  /** A received snapshot to install; the host restores the state machine from it. */
  readonly snapshot: SnapshotMetadata | undefined;
  /** To append; an entry at index i replaces everything from i on. */
  readonly entries: readonly Entry[];
  /**
   * Votes, vote requests and acknowledgements. They wait for the newest persist sequence issued so
   * far, also when this Ready itself persists nothing.
   */
  readonly messagesAfterSync: readonly Envelope[];
  readonly committedEntries: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Contexts of reads that will never be confirmed: leadership was lost under them. */
  readonly abortedReads: readonly number[];
  /**
   * True once, when a recovering node holds again all it may have forgotten (recovering.ts). The
   * host removes its mark durably, then calls `node.whole()`.
   */
  readonly becameWhole: boolean;
}
