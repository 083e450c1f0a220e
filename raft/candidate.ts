/** What candidates and pre-candidates do: count answers, ask again, give up (section 5.2). */
import { unreachable } from "./assert.ts";
import type { Envelope, RequestVoteResponse } from "./message.ts";
import { isSoleVoter, type NodeState } from "./node-state.ts";
import { countVotes } from "./quorum.ts";
import { ballotOf, mayStandWhileRecovering } from "./recovering.ts";
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  requestPreVotes,
} from "./transitions.ts";

/**
 * A fresh member with doubts, a learner, or a node without its state does not stand. A voter that
 * is being removed does, until the entry is committed: when only it holds that entry, nobody else
 * can be elected (thesis 4.2.2, Figure 4.6).
 */
export function canCampaign(state: NodeState): boolean {
  if (!state.canVote || state.install !== undefined) return false;
  if (!mayStandWhileRecovering(state)) return false;
  const { configurations, log, id } = state;
  return configurations.isVoter(id) || configurations.wasVoter(id, log.commitIndex);
}

export function campaign(state: NodeState): void {
  becomePreCandidate(state);
  settleElection(state);
}

export function tickCandidate(state: NodeState): void {
  const { role, config } = state;
  if (state.electionElapsedMs >= state.electionTimeoutMs) {
    if (canCampaign(state)) campaign(state);
    else becomeFollower(state, state.term, 0);
    return;
  }
  if (role.kind !== "pre-candidate") return;
  // Voters stay silent while they are loyal to the last leader; each heard it at its own moment,
  // so asking again soon saves a whole election timeout.
  role.askedMs += config.tickMs;
  if (role.askedMs >= config.heartbeatMs) requestPreVotes(state);
}

export function handleVoteResponse(
  state: NodeState,
  envelope: Envelope,
  response: RequestVoteResponse,
): void {
  const { role } = state;
  if (role.kind !== "candidate" && role.kind !== "pre-candidate") return;
  const phase = role.kind === "candidate" ? "vote" : "pre-vote";
  if (response.phase !== phase) return;
  const isPreGrant = phase === "pre-vote" && response.granted;
  if (envelope.term !== (isPreGrant ? state.term + 1 : state.term)) return;
  const ballot = ballotOf(response.granted, envelope.isRecovering);
  if (!role.votes.has(envelope.from)) role.votes.set(envelope.from, ballot);
  settleElection(state);
}

/** The own vote counts when it is durable, not before (thesis 3.8). */
export function countOwnVote(state: NodeState): void {
  const { role } = state;
  if (role.kind !== "candidate" || role.votes.has(state.id)) return;
  if (state.durableTerm !== state.term || state.durableVote !== state.id) return;
  role.votes.set(state.id, ballotOf(true, state.isRecovering));
  settleElection(state);
}

function settleElection(state: NodeState): void {
  const { role } = state;
  if (role.kind !== "candidate" && role.kind !== "pre-candidate") return;
  const result = countVotes(state.configurations.voters, role.votes);
  switch (result) {
    case "pending":
      return;
    case "lost":
      becomeFollower(state, state.term, 0);
      return;
    case "majority":
    case "all-voters":
      if (role.kind === "candidate") becomeLeader(state, result);
      else becomeCandidate(state, false);
      return;
    default:
      unreachable(result);
  }
}

/**
 * Whether to stand now. A group of one has nobody to wait for, once that is committed: until then
 * the leader that removes itself still leads, perhaps by a lease that rests on this node's silence
 * (thesis 4.2.2, 6.4.1).
 */
export function isCampaignDue(state: NodeState): boolean {
  const { configurations, log } = state;
  if (isSoleVoter(state) && configurations.currentIndex <= log.commitIndex) return true;
  return state.electionElapsedMs >= state.electionTimeoutMs;
}
