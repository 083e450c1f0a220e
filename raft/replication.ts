/**
 * What a leader sends its peers, and when a quorum of them has answered. Appends are built when a
 * Ready is collected, not when something is proposed, so that proposals of one turn travel
 * together. Decides nothing about roles.
 */
import { assert } from "./assert.ts";
import { entryBytes } from "./log.ts";
import { hasCommittedInOwnTerm, type LeaderRole, type NodeState, send } from "./node-state.ts";
import { Progress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import type { Entry, LogIndex, NodeId } from "./types.ts";

export function peerOf(leader: LeaderRole, id: NodeId): Progress | undefined {
  return leader.peers.find((peer) => peer.id === id);
}

/** Brings the peers in line with the configuration; known ones keep what is known of them. */
export function followConfiguration(state: NodeState, leader: LeaderRole): void {
  const nextIndex = state.log.lastIndex + 1;
  leader.peers = state.configurations.current.members
    .filter((member) => member.id !== state.id)
    .map((member) => {
      const isVoter = member.role === "voter";
      const known = peerOf(leader, member.id);
      if (known === undefined) {
        return new Progress(member.id, isVoter, nextIndex, state.nowMs, state.config);
      }
      known.isVoter = isVoter;
      return known;
    });
}

/**
 * The highest value that a quorum has reached: `own` for this node (when it votes: a leader that
 * is no longer a member does not count itself, thesis 4.2.2), `reachedBy` for each voting peer.
 */
export function quorumOf(
  state: NodeState,
  leader: LeaderRole,
  own: number,
  reachedBy: (peer: Progress) => number,
): number {
  const values = leader.scratch;
  values.length = 0;
  if (state.configurations.isVoter(state.id)) values.push(own);
  for (const peer of leader.peers) {
    if (peer.isVoter) values.push(reachedBy(peer));
  }
  return quorumValue(values);
}

/** CheckQuorum: a quorum was heard within the election timeout (thesis 6.2). */
export function isQuorumActive(state: NodeState, leader: LeaderRole): boolean {
  const heardMs = quorumOf(state, leader, state.nowMs, (peer) => peer.countedMs);
  return state.nowMs - heardMs < state.config.electionTimeoutMs;
}

/** Starts a round: keeps leadership, tells the commit index, takes waiting reads along. */
export function broadcastHeartbeat(state: NodeState, leader: LeaderRole): void {
  const { commitIndex } = state.log;
  const readIndex = hasCommittedInOwnTerm(state) ? commitIndex : undefined;
  const readRound = leader.reads.startRound(state.nowMs, readIndex);
  leader.heartbeatElapsedMs = 0;
  for (const peer of leader.peers) {
    // A heartbeat proves nothing about the log: it may only tell what the peer is known to hold.
    const known = Math.min(commitIndex, peer.matchIndex);
    send(state, peer.id, { kind: "heartbeat", commitIndex: known, readRound });
    peer.commitSent(known);
  }
  confirmReads(state, leader);
}

/** Settles the reads whose round a quorum has acknowledged. */
export function confirmReads(state: NodeState, leader: LeaderRole): void {
  const { reads } = leader;
  const round = quorumOf(state, leader, reads.newestRound, (peer) => peer.ackedRound);
  for (const { from, context, index } of reads.confirm(round)) {
    if (from === 0) state.outbox.readConfirmed(context, index);
    else send(state, from, { kind: "read-index-response", context, index });
  }
}

/** True when reads wait for a round that may start now. */
export function isReadRoundDue(state: NodeState, leader: LeaderRole): boolean {
  return leader.reads.isRoundDue && hasCommittedInOwnTerm(state);
}

export function hasAppendToSend(state: NodeState, leader: LeaderRole): boolean {
  const { lastIndex, commitIndex } = state.log;
  for (const peer of leader.peers) {
    if (isAppendDue(state, peer, lastIndex, commitIndex)) return true;
  }
  return false;
}

/** Sends every peer what it lacks, as far as its window allows. */
export function replicate(state: NodeState, leader: LeaderRole): void {
  const batches = new BatchCache();
  const { lastIndex, commitIndex } = state.log;
  for (const peer of leader.peers) {
    while (isAppendDue(state, peer, lastIndex, commitIndex)) sendAppend(state, peer, batches);
  }
}

function isAppendDue(
  state: NodeState,
  peer: Progress,
  lastIndex: LogIndex,
  commitIndex: LogIndex,
): boolean {
  if (peer.state !== "snapshot" && peer.nextIndex < state.log.firstIndex) {
    // A snapshot is a lot of work for nothing when the peer is down. A full window whose
    // acknowledgements were lost must not hold it back for ever.
    return (peer.canSend || peer.isEmptyAppendDue(commitIndex)) && isActive(state, peer);
  }
  if (peer.nextIndex <= lastIndex && peer.canSend) return true;
  return peer.isEmptyAppendDue(commitIndex);
}

export function isActive(state: NodeState, peer: Progress): boolean {
  return state.nowMs - peer.heardMs < state.config.electionTimeoutMs;
}

function sendAppend(state: NodeState, peer: Progress, batches: BatchCache): void {
  const { log } = state;
  const prevLogIndex = peer.nextIndex - 1;
  const prevLogTerm = log.term(prevLogIndex);
  if (prevLogTerm === undefined) {
    const metadata = log.snapshot;
    assert(metadata !== undefined, "what is no longer in the log is in a snapshot");
    send(state, peer.id, { kind: "install-snapshot", metadata });
    peer.snapshotSent(metadata.index);
    return;
  }
  const { commitIndex } = log;
  const batch = peer.canSend ? batches.take(state, peer.nextIndex) : EMPTY_BATCH;
  const { entries, bytes } = batch;
  send(state, peer.id, {
    kind: "append-entries",
    prevLogIndex,
    prevLogTerm,
    commitIndex,
    entries,
  });
  peer.appendSent(prevLogIndex + entries.length, bytes, commitIndex);
}

interface Batch {
  readonly from: LogIndex;
  readonly entries: readonly Entry[];
  readonly bytes: number;
}

const EMPTY_BATCH: Batch = { from: 0, entries: [], bytes: 0 };

/** Peers that are level with each other share one slice, so its encoding can be shared, too. */
class BatchCache {
  #batch = EMPTY_BATCH;

  take(state: NodeState, from: LogIndex): Batch {
    if (this.#batch.from === from) return this.#batch;
    if (from > state.log.lastIndex) return EMPTY_BATCH;
    const entries = state.log.slice(from, state.config.appendBytesMax);
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#batch = { from, entries, bytes };
    return this.#batch;
  }
}
