/**
 * The only place where role, term and vote change (Figure 4).
 *
 * Invariants: the term never decreases; a node votes at most once in a term; a leader appends a
 * noop of its own term before anything else.
 */
import { assert } from "./assert.ts";
import { entryBytes } from "./log.ts";
import {
  drawElectionTimeout,
  type LeaderRole,
  leaderIdOf,
  type NodeState,
  send,
  sendAfterSync,
} from "./node-state.ts";
import { appendEntry } from "./proposing.ts";
import type { Election } from "./quorum.ts";
import { LeaderReads } from "./read-index.ts";
import { ballotOf } from "./recovering.ts";
import { followConfiguration } from "./replication.ts";
import type { NodeId, Term } from "./types.ts";

/** `leaderId` 0: the leader of `term` is not known. */
export function becomeFollower(state: NodeState, term: Term, leaderId: NodeId): void {
  if (leaderIdOf(state) !== leaderId || state.term !== term) abandonReads(state);
  raiseTerm(state, term);
  state.role = { kind: "follower", leaderId };
  restartElectionTimer(state);
}

/** Thesis 9.6: asks around before it disturbs anyone with a higher term. */
export function becomePreCandidate(state: NodeState): void {
  assert(state.role.kind !== "leader", "a leader does not campaign");
  abandonReads(state);
  const votes = new Map([[state.id, ballotOf(true, state.isRecovering)]]);
  state.role = { kind: "pre-candidate", votes, askedMs: 0 };
  restartElectionTimer(state);
  requestPreVotes(state);
}

/** Asks the voters that have not answered. */
export function requestPreVotes(state: NodeState): void {
  const { role, log } = state;
  assert(role.kind === "pre-candidate", "only a pre-candidate asks for pre-votes");
  role.askedMs = 0;
  for (const voter of state.configurations.voters) {
    if (role.votes.has(voter)) continue;
    sendAfterSync(
      state,
      voter,
      {
        kind: "request-vote",
        phase: "pre-vote",
        lastLogIndex: log.lastIndex,
        lastLogTerm: log.lastTerm,
        transfer: false,
      },
      state.term + 1,
    );
  }
}

/**
 * Section 5.2. The requests leave when the new term and the own vote are durable, and only then
 * does the own vote count (see `RaftNode.synced`).
 */
export function becomeCandidate(state: NodeState, transfer: boolean): void {
  assert(state.role.kind !== "leader", "a leader does not campaign");
  const { configurations, log, id } = state;
  const isVoter = configurations.isVoter(id) || configurations.wasVoter(id, log.commitIndex);
  assert(isVoter, "only voters campaign");
  abandonReads(state);
  raiseTerm(state, state.term + 1);
  castVote(state, state.id);
  state.role = { kind: "candidate", votes: new Map() };
  restartElectionTimer(state);
  const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = log;
  for (const voter of state.configurations.voters) {
    if (voter === state.id) continue;
    sendAfterSync(state, voter, {
      kind: "request-vote",
      phase: "vote",
      lastLogIndex,
      lastLogTerm,
      transfer,
    });
  }
}

export function becomeLeader(state: NodeState, election: Election): void {
  assert(state.role.kind === "candidate", "only a candidate becomes leader");
  assert(state.vote === state.id, "a leader has voted for itself");
  const { log } = state;
  const leader: LeaderRole = {
    kind: "leader",
    election,
    peers: [],
    reads: new LeaderReads(),
    timeBase: log.lastTime,
    timeAnchorMs: state.nowMs,
    // The first heartbeat need not wait: the noop below announces the leader.
    heartbeatElapsedMs: 0,
    uncommittedBytes: uncommittedBytes(state),
    transfer: undefined,
    scratch: [],
  };
  state.role = leader;
  state.leaderQuietMs = state.config.electionTimeoutMs;
  followConfiguration(state, leader);
  appendEntry(state, leader, { type: "noop" });
}

/** A grant; durable before anyone hears of it. */
export function castVote(state: NodeState, candidate: NodeId): void {
  assert(state.vote === 0 || state.vote === candidate, "one vote per term (section 5.2)");
  state.vote = candidate;
  state.electionElapsedMs = 0;
}

function raiseTerm(state: NodeState, term: Term): void {
  assert(term >= state.term, "the term never decreases");
  if (term === state.term) return;
  state.term = term;
  state.vote = 0;
}

function restartElectionTimer(state: NodeState): void {
  state.electionElapsedMs = 0;
  state.electionTimeoutMs = drawElectionTimeout(state.config, state.random);
}

/** Reads that wait for a leader, or for this node as the leader, will not be confirmed. */
function abandonReads(state: NodeState): void {
  for (const context of state.reads.drain()) state.outbox.readAborted(context);
  if (state.role.kind !== "leader") return;
  for (const { from, context } of state.role.reads.drain()) {
    if (from === 0) state.outbox.readAborted(context);
    else send(state, from, { kind: "read-index-response", context, index: 0 });
  }
}

function uncommittedBytes(state: NodeState): number {
  const { log } = state;
  let bytes = 0;
  for (const entry of log.slice(log.commitIndex + 1, Number.POSITIVE_INFINITY)) {
    bytes += entryBytes(entry);
  }
  return bytes;
}
