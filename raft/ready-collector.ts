/**
 * Turns what a node has gathered into a Ready, and knows whether there is anything to turn.
 * The order of the fields is a contract: see `ready.ts`.
 */
import { isReadRequestDue, requestReadIndex } from "./follower.ts";
import { leaderIdOf, type NodeState, publicRole, softStateOf } from "./node-state.ts";
import type { Ready } from "./ready.ts";
import { isWholeToTell, takeBecameWhole } from "./recovering.ts";
import { broadcastHeartbeat, hasAppendToSend, isReadRoundDue, replicate } from "./replication.ts";
import type { Entry, HardState, SnapshotMetadata, SoftState } from "./types.ts";

/** Applying is done in portions, so that one Ready never holds the host up for long. */
const COMMITTED_BYTES_MAX = 4 * 1024 * 1024;

const NO_ENTRIES: readonly Entry[] = [];

export function hasReady(state: NodeState): boolean {
  return (
    !state.outbox.isEmpty ||
    state.log.hasUnpersisted ||
    hasCommittedToEmit(state) ||
    isVoteOrTermNew(state) ||
    isSoftStateNew(state) ||
    state.install?.isHandedOut === false ||
    isWholeToTell(state) ||
    hasSomethingToSend(state)
  );
}

export function collectReady(state: NodeState): Ready {
  gatherMessages(state);
  const { log, outbox, flushes } = state;
  const softState = takeSoftState(state);
  const snapshot = takeSnapshot(state);
  const entries = log.hasUnpersisted ? log.takeUnpersisted() : NO_ENTRIES;
  const mustSyncHardState = isVoteOrTermNew(state);
  const hasPersist = mustSyncHardState || entries.length > 0 || snapshot !== undefined;
  const hardState = hasPersist ? takeHardState(state) : undefined;
  const isSequenced = hasPersist || outbox.hasMessagesAfterSync;
  return {
    softState,
    messages: outbox.takeMessages(),
    persistSequence: isSequenced
      ? flushes.issue(log.lastIndex, state.term, state.vote)
      : flushes.newest,
    hasPersist,
    hardState,
    mustSyncHardState,
    snapshot,
    entries,
    messagesAfterSync: outbox.takeMessagesAfterSync(),
    committedEntries: hasCommittedToEmit(state)
      ? log.takeCommitted(COMMITTED_BYTES_MAX)
      : NO_ENTRIES,
    readStates: outbox.takeReadStates(),
    abortedReads: outbox.takeAbortedReads(),
    becameWhole: takeBecameWhole(state),
  };
}

function hasSomethingToSend(state: NodeState): boolean {
  const { role } = state;
  if (role.kind === "leader") return isReadRoundDue(state, role) || hasAppendToSend(state, role);
  return isReadRequestDue(state);
}

function gatherMessages(state: NodeState): void {
  const { role } = state;
  if (role.kind === "leader") {
    if (isReadRoundDue(state, role)) broadcastHeartbeat(state, role);
    replicate(state, role);
  } else {
    requestReadIndex(state);
  }
}

/** Applying stands still while a snapshot is on its way into the state machine. */
function hasCommittedToEmit(state: NodeState): boolean {
  return state.install === undefined && state.log.hasCommittedToEmit;
}

function isVoteOrTermNew(state: NodeState): boolean {
  const { emittedHardState: emitted } = state;
  return emitted.term !== state.term || emitted.vote !== state.vote;
}

function isSoftStateNew(state: NodeState): boolean {
  const { emittedSoftState: emitted } = state;
  return emitted.role !== publicRole(state) || emitted.leaderId !== leaderIdOf(state);
}

function takeSoftState(state: NodeState): SoftState | undefined {
  if (!isSoftStateNew(state)) return undefined;
  state.emittedSoftState = softStateOf(state);
  return state.emittedSoftState;
}

function takeSnapshot(state: NodeState): SnapshotMetadata | undefined {
  const { install } = state;
  if (install === undefined || install.isHandedOut) return undefined;
  install.isHandedOut = true;
  return install.metadata;
}

/**
 * The commit index goes to disk as a hint, together with other things. It names only what is
 * already durable: entries and hard state of one batch may be torn apart by a crash, and a commit
 * index over entries that did not make it would declare the ones they replaced committed.
 */
function takeHardState(state: NodeState): HardState | undefined {
  const { emittedHardState: emitted, log, term, vote } = state;
  const commitIndex = Math.min(log.commitIndex, log.stableIndex);
  if (!isVoteOrTermNew(state) && commitIndex === emitted.commitIndex) return undefined;
  state.emittedHardState = { term, vote, commitIndex };
  return state.emittedHardState;
}
