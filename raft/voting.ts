/**
 * The grant rule for every role, for votes and pre-votes alike (sections 5.2, 5.4.1; thesis 4.2.3,
 * 9.6).
 */
import type { Envelope, RequestVote } from "./message.ts";
import { leaderIdOf, type NodeState, sendAfterSync } from "./node-state.ts";
import { isQuorumActive } from "./replication.ts";
import { becomeFollower, castVote } from "./transitions.ts";

export function handleRequestVote(
  state: NodeState,
  envelope: Envelope,
  request: RequestVote,
): void {
  const { from, term } = envelope;
  const { phase } = request;
  if (term > state.term) {
    // Not even the term is taken: a node that was removed or cut off must not end a leadership
    // that works (thesis 4.2.3), and a lease rests on this silence (thesis 6.4.1).
    if (isLoyalToLeader(state) && !request.transfer) return;
    // A pre-vote names a term that nobody is in yet.
    if (phase === "vote") becomeFollower(state, term, 0);
  }
  const granted = isGrantable(state, envelope, request);
  if (granted && phase === "vote") castVote(state, from);
  // A grant speaks in the term of the request. A refusal tells the own term, so that a candidate
  // in an old one can catch up with it.
  const answerTerm = granted ? term : state.term;
  const response = { kind: "request-vote-response", phase, granted } as const;
  sendAfterSync(state, from, response, answerTerm);
}

/** Within the election timeout of hearing a leader (or its quorum) nobody else is elected. */
function isLoyalToLeader(state: NodeState): boolean {
  if (state.role.kind === "leader") return isQuorumActive(state, state.role);
  return state.leaderQuietMs < state.config.electionTimeoutMs;
}

function isGrantable(state: NodeState, envelope: Envelope, request: RequestVote): boolean {
  if (!state.canVote) return false;
  if (!state.log.isUpToDate(request.lastLogIndex, request.lastLogTerm)) return false;
  if (request.phase === "pre-vote") return envelope.term > state.term;
  if (envelope.term !== state.term) return false;
  if (state.vote === envelope.from) return true;
  return state.vote === 0 && leaderIdOf(state) === 0;
}
