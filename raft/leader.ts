/**
 * What a leader does: keep in touch, count acknowledgements, commit, serve reads, hand over.
 *
 * Invariants: commits only by counting an entry of its own term (section 5.4.2); counts itself only
 * up to what is durable here; steps down when it has not heard a quorum for an election timeout.
 */
import { assert } from "./assert.ts";
import { entryBytes } from "./log.ts";
import type {
  AppendEntriesResponse,
  HeartbeatResponse,
  InstallSnapshotResponse,
  ReadIndexRequest,
} from "./message.ts";
import {
  hasCommittedInOwnTerm,
  isSoleVoter,
  type LeaderRole,
  type NodeState,
  send,
} from "./node-state.ts";
import type { Progress } from "./progress.ts";
import { ownCountedIndex } from "./recovering.ts";
import {
  broadcastHeartbeat,
  confirmReads,
  isQuorumActive,
  peerOf,
  quorumOf,
} from "./replication.ts";
import { becomeFollower } from "./transitions.ts";
import type { NodeId } from "./types.ts";

export type TransferStarted =
  | "started"
  | "not-leader"
  | "unknown-member"
  | "already-leader"
  | "in-progress";

export function tickLeader(state: NodeState, leader: LeaderRole): void {
  const { config, nowMs } = state;
  if (!isQuorumActive(state, leader) || isDiskStalled(state)) {
    becomeFollower(state, state.term, 0);
    return;
  }
  const { transfer } = leader;
  if (transfer !== undefined && nowMs - transfer.startedMs >= config.electionTimeoutMs) {
    leader.transfer = undefined;
  }
  for (const peer of leader.peers) peer.tick();
  leader.heartbeatElapsedMs += config.tickMs;
  if (leader.heartbeatElapsedMs < config.heartbeatMs) return;
  broadcastHeartbeat(state, leader);
  hurryTransfer(state, leader);
}

export function handleAppendResponse(
  state: NodeState,
  leader: LeaderRole,
  peer: Progress,
  response: AppendEntriesResponse,
): void {
  const { log } = state;
  if (response.result === "accepted") {
    acknowledged(state, leader, peer, response.matchIndex);
    return;
  }
  // The mirror of the follower's rule: skip all of our own entries of later terms than its hint.
  const agreeIndex = log.lastIndexOfTermAtMost(response.hintIndex, response.hintTerm);
  peer.rejected(response.rejectedIndex, agreeIndex);
}

export function handleSnapshotResponse(
  state: NodeState,
  leader: LeaderRole,
  peer: Progress,
  { matchIndex }: InstallSnapshotResponse,
): void {
  acknowledged(state, leader, peer, matchIndex);
}

export function handleHeartbeatResponse(
  state: NodeState,
  leader: LeaderRole,
  peer: Progress,
  { readRound }: HeartbeatResponse,
): void {
  peer.heartbeatAnswered();
  // A voter without any entry restarts as if it never promised anything, so it can not bear a
  // lease (see `leaderQuietMs`); the others hold at least an entry by the first own-term commit.
  if (readRound <= peer.ackedRound || peer.countedIndex === 0) return;
  assert(readRound <= leader.reads.newestRound, "only rounds that were sent are acknowledged");
  peer.ackedRound = readRound;
  confirmReads(state, leader);
}

/** Figure 2, "Rules for Servers, Leaders"; section 5.4.2. */
export function advanceCommit(state: NodeState, leader: LeaderRole): void {
  const { log, configurations } = state;
  const before = log.commitIndex;
  const reached = quorumOf(state, leader, ownCountedIndex(state), (peer) => peer.countedIndex);
  // Only entries of the own term commit by counting; older ones commit with them (Figure 8).
  if (reached <= before || log.term(reached) !== state.term) return;
  log.commitTo(reached);
  for (let index = before + 1; index <= reached; index++) {
    const entry = log.entry(index);
    if (entry !== undefined) leader.uncommittedBytes -= entryBytes(entry);
  }
  if (!configurations.isVoter(state.id) && configurations.currentIndex <= reached) {
    resign(state, leader);
  }
}

export function startTransfer(state: NodeState, target: NodeId): TransferStarted {
  const { role } = state;
  if (role.kind !== "leader") return "not-leader";
  if (target === state.id) return "already-leader";
  const peer = peerOf(role, target);
  if (peer === undefined || !peer.isVoter) return "unknown-member";
  if (role.transfer !== undefined) return "in-progress";
  role.transfer = { target, startedMs: state.nowMs };
  role.reads.giveUpLease();
  hurryTransfer(state, role);
  return "started";
}

/** A follower asks for a read index on behalf of its clients (thesis 6.4). */
export function handleReadIndex(
  state: NodeState,
  leader: LeaderRole,
  from: NodeId,
  { context }: ReadIndexRequest,
): void {
  if (canReadNow(state, leader)) {
    const index = state.log.commitIndex;
    send(state, from, { kind: "read-index-response", context, index });
  } else {
    leader.reads.register({ from, context });
  }
}

/** True when leadership needs no round to be certain of. */
export function canReadNow(state: NodeState, leader: LeaderRole): boolean {
  if (!hasCommittedInOwnTerm(state)) return false;
  return isSoleVoter(state) || isLeaseHeld(state, leader);
}

/**
 * Thesis 6.4.1: nobody is elected within an election timeout of a quorum hearing this leader. One
 * tick less, since a follower's first tick may come right after it heard.
 */
function isLeaseHeld(state: NodeState, leader: LeaderRole): boolean {
  const { leaseDriftBound, electionTimeoutMs, tickMs } = state.config;
  const fromMs = leader.reads.leaseFromMs;
  if (leaseDriftBound === undefined || fromMs === undefined) return false;
  return state.nowMs < fromMs + electionTimeoutMs * (1 - leaseDriftBound) - tickMs;
}

function acknowledged(
  state: NodeState,
  leader: LeaderRole,
  peer: Progress,
  matchIndex: number,
): void {
  assert(matchIndex <= state.log.lastIndex, "a follower never holds more of this term than we do");
  if (!peer.accepted(matchIndex, state.log.firstIndex)) return;
  hurryTransfer(state, leader, peer.id);
  advanceCommit(state, leader);
}

/** Tells the target of a transfer to stand, as soon as it has all; repeated with heartbeats. */
function hurryTransfer(state: NodeState, leader: LeaderRole, only?: NodeId): void {
  const { transfer } = leader;
  if (transfer === undefined) return;
  if (only !== undefined && only !== transfer.target) return;
  const peer = peerOf(leader, transfer.target);
  // Nobody can stand on the word of a node that is recovering.
  if (peer?.countedIndex === state.log.lastIndex) send(state, peer.id, { kind: "timeout-now" });
}

/** Thesis 4.2.2: its own removal is committed, so it goes, and names the best successor. */
function resign(state: NodeState, leader: LeaderRole): void {
  let best: Progress | undefined;
  for (const peer of leader.peers) {
    if (!peer.isVoter) continue;
    if (best === undefined || peer.countedIndex > best.countedIndex) best = peer;
  }
  if (best !== undefined) send(state, best.id, { kind: "timeout-now" });
  becomeFollower(state, state.term, 0);
}

/** A leader that can not write holds the group up; another may have a disk that works. */
function isDiskStalled(state: NodeState): boolean {
  return !isSoleVoter(state) && state.flushElapsedMs >= state.config.electionTimeoutMs;
}
