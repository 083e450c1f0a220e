/** A snapshot of a node for people and dashboards; nothing in here decides anything. */
import { leaderIdOf, type NodeState, publicRole } from "./node-state.ts";
import type { ProgressState } from "./progress.ts";
import type { Election } from "./quorum.ts";
import { isActive } from "./replication.ts";
import type { Configuration, LogIndex, MemberRole, NodeId, Role, Term } from "./types.ts";

export interface ProgressStatus {
  readonly id: NodeId;
  readonly role: MemberRole;
  readonly state: ProgressState;
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  /** Heard within the last election timeout. */
  readonly active: boolean;
  /** Appends that are not acknowledged. */
  readonly inflight: number;
}

export interface RaftStatus {
  readonly id: NodeId;
  readonly term: Term;
  readonly vote: NodeId;
  readonly role: Role;
  readonly leaderId: NodeId;
  readonly commitIndex: LogIndex;
  readonly stableIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly firstIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly configuration: Configuration;
  /** It lost what was durable and counts in no quorum until it is whole again. */
  readonly isRecovering: boolean;
  /**
   * What this leadership was won by; undefined unless this node leads. `all-voters`: too many were
   * recovering for a majority, and the best copy that was left has become the log of the group.
   */
  readonly election: Election | undefined;
  /** Who is about to take over; 0 when nobody is. */
  readonly transferTarget: NodeId;
  /** By ascending id; empty unless this node leads. */
  readonly progress: readonly ProgressStatus[];
}

export function statusOf(state: NodeState): RaftStatus {
  const { id, term, vote, log, configurations, role } = state;
  return {
    id,
    term,
    vote,
    role: publicRole(state),
    leaderId: leaderIdOf(state),
    commitIndex: log.commitIndex,
    stableIndex: log.stableIndex,
    lastIndex: log.lastIndex,
    firstIndex: log.firstIndex,
    appliedIndex: log.appliedIndex,
    configuration: configurations.current,
    isRecovering: state.isRecovering,
    election: role.kind === "leader" ? role.election : undefined,
    transferTarget: role.kind === "leader" ? (role.transfer?.target ?? 0) : 0,
    progress: progressOf(state),
  };
}

function progressOf(state: NodeState): readonly ProgressStatus[] {
  if (state.role.kind !== "leader") return [];
  return state.role.peers.map((peer) => ({
    id: peer.id,
    role: peer.isVoter ? "voter" : "learner",
    state: peer.state,
    matchIndex: peer.matchIndex,
    nextIndex: peer.nextIndex,
    active: isActive(state, peer),
    inflight: peer.inflight,
  }));
}
