/**
 * A node that lost the durable tail of its log, because the disk went bad, and comes back with what
 * is left of it. It may have forgotten entries that it acknowledged, so that an entry which counts
 * as committed may stand on one disk less than a majority. Everything it sends says so
 * (`Envelope.isRecovering`), and nothing it says counts in a quorum: no vote (but see below), no
 * acknowledgement, no heartbeat answer. Its acknowledgements only drive replication to it, as those
 * of a learner do (thesis 4.2.1).
 *
 * What the host guarantees: before the shortened log is installed, the mark that makes the node
 * start like this is durable, and so is a term above every term the node took part in, without a
 * vote. Every acknowledgement of its earlier life is then of an earlier term; leaders of those
 * terms may still count them, leaders of later terms never do (the term gate in dispatch.ts).
 *
 * It is whole again once an entry of the term it lives in is durable here. Say X lost entries, and
 * the leader M of this term was elected without counting X. An entry that is or ever will be
 * committed with the help of an acknowledgement X has forgotten was acknowledged by a majority, and
 * that majority shares a voter other than X with the one that elected M; so the entry is in M's log
 * (section 5.4.3, with X taken out of every vote quorum). X accepts an entry of M's term only when
 * all before it are equal (section 5.3). From there on its log is entry for entry what it would be,
 * had it lost nothing: what it then misses no leader can have committed. That M has committed this
 * entry is not needed; and needing it would leave a group stuck in which most voters recover.
 *
 * When so many voters recover that the others are no majority, a candidate wins by the grants of
 * ALL voters of its configuration, recovering or not (`countVotes`), each judging by what it has
 * left (section 5.4.1). As long as one voter still holds a committed entry, that voter refuses all
 * whose logs lack it: what is left of a log is a prefix of it, so comparing the last terms still
 * decides (section 5.4.3). The winner thus has the best copy there is. One voter that is silent or
 * refuses stops this election: it may hold the only copy. The winner itself is whole by the same
 * rule as everybody: when its first entry is durable.
 *
 * A recovering node stays flagged until the host has removed its mark (`RaftNode.whole`).
 */
import { isSoleVoter, type NodeState } from "./node-state.ts";
import type { Ballot } from "./quorum.ts";

/** What the answer of a voter is worth. */
export function ballotOf(granted: boolean, isRecovering: boolean): Ballot {
  if (!granted) return "refused";
  return isRecovering ? "granted-recovering" : "granted";
}

/** Alone, there is no other copy that could be better than what is left here. */
export function mayStandWhileRecovering(state: NodeState): boolean {
  return !state.isRecovering || !isSoleVoter(state);
}

/** How far the own log counts for commits of the own leadership. */
export function ownCountedIndex(state: NodeState): number {
  return state.isRecovering ? 0 : state.log.stableIndex;
}

/** True when the host is to be told that nothing that matters is missing any more. */
export function isWholeToTell(state: NodeState): boolean {
  if (!state.isRecovering || state.isWholeTold) return false;
  return state.log.term(state.log.stableIndex) === state.term;
}

export function takeBecameWhole(state: NodeState): boolean {
  const isNews = isWholeToTell(state);
  if (isNews) state.isWholeTold = true;
  return isNews;
}
