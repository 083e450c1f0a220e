/**
 * How entries enter a leader's log: stamped with cluster time, bounded in bytes, effective at once
 * when they carry a configuration. Refusals are values. Sends nothing: see `replication.ts`.
 */
import { assert } from "./assert.ts";
import { entryBytes } from "./log.ts";
import { type ConfChange, changeMembership, type MembershipRefusal } from "./membership.ts";
import {
  hasCommittedInOwnTerm,
  type LeaderRole,
  leaderIdOf,
  type NodeState,
} from "./node-state.ts";
import { followConfiguration, isActive, peerOf } from "./replication.ts";
import type {
  ClusterTime,
  Configuration,
  Entry,
  EntryId,
  GroupId,
  LogIndex,
  NodeId,
  Term,
} from "./types.ts";

export type Proposed =
  | { readonly kind: "appended"; readonly id: EntryId }
  /** `leaderId` is 0 when no leader is known. */
  | { readonly kind: "not-leader"; readonly leaderId: NodeId }
  /** Too many bytes wait to be committed. */
  | { readonly kind: "overloaded" }
  /** A leadership transfer is under way. */
  | { readonly kind: "transferring" };

export type ConfChangeRefusal =
  | MembershipRefusal
  | "change-pending"
  | "no-own-term-commit"
  | "not-caught-up";

export type ConfChangeProposed =
  | Proposed
  | { readonly kind: "refused"; readonly reason: ConfChangeRefusal };

export type Payload =
  | { readonly type: "noop" }
  | { readonly type: "time" }
  | { readonly type: "command"; readonly data: Uint8Array }
  | { readonly type: "feature-level"; readonly level: number }
  | { readonly type: "conf-change"; readonly configuration: Configuration };

/** A learner this many entries behind the commit index may be promoted (thesis 4.2.1). */
const CATCH_UP_LAG_ENTRIES_MAX = 256;

const OVERLOADED: Proposed = { kind: "overloaded" };
const TRANSFERRING: Proposed = { kind: "transferring" };

export function propose(state: NodeState, payload: Payload): Proposed {
  const { role } = state;
  if (role.kind !== "leader") return { kind: "not-leader", leaderId: leaderIdOf(state) };
  if (role.transfer !== undefined) return TRANSFERRING;
  if (role.uncommittedBytes >= state.config.uncommittedBytesMax) return OVERLOADED;
  return { kind: "appended", id: appendEntry(state, role, payload) };
}

export function proposeConfChange(state: NodeState, change: ConfChange): ConfChangeProposed {
  const { role, configurations, log } = state;
  if (role.kind !== "leader") return { kind: "not-leader", leaderId: leaderIdOf(state) };
  if (role.transfer !== undefined) return TRANSFERRING;
  // Without a commit of the own term, two single-server changes of different leaders can leave
  // majorities that do not overlap (the erratum to thesis 4.1, raft-dev 2015).
  if (!hasCommittedInOwnTerm(state)) return { kind: "refused", reason: "no-own-term-commit" };
  if (configurations.currentIndex > log.commitIndex) {
    return { kind: "refused", reason: "change-pending" };
  }
  const changed = changeMembership(configurations.current, change);
  if (changed.kind === "refused") return changed;
  if (change.kind === "promote" && !isCaughtUp(state, role, change.id)) {
    return { kind: "refused", reason: "not-caught-up" };
  }
  const { configuration } = changed;
  return {
    kind: "appended",
    id: appendEntry(state, role, { type: "conf-change", configuration }),
  };
}

/** Appends to the leader's own log; the only way an entry is born. */
export function appendEntry(state: NodeState, leader: LeaderRole, payload: Payload): EntryId {
  const { log, term, config } = state;
  const entry = entryOf(payload, {
    group: config.group,
    term,
    index: log.lastIndex + 1,
    time: clusterTime(state, leader),
  });
  log.append(entry);
  leader.uncommittedBytes += entryBytes(entry);
  if (entry.type === "conf-change") {
    state.configurations.appended([entry]);
    followConfiguration(state, leader);
  }
  return { term, index: entry.index };
}

interface EntryHeader {
  readonly group: GroupId;
  readonly term: Term;
  readonly index: LogIndex;
  readonly time: ClusterTime;
}

/**
 * Field by field, since spreading two objects costs microseconds on every write. `encoded` stands
 * there from birth: filling it in later must not change the object's shape.
 */
function entryOf(payload: Payload, { group, term, index, time }: EntryHeader): Entry {
  const encoded = undefined;
  switch (payload.type) {
    case "command":
      return { type: "command", data: payload.data, group, term, index, time, encoded };
    case "conf-change": {
      const { configuration } = payload;
      return { type: "conf-change", configuration, group, term, index, time, encoded };
    }
    case "feature-level":
      return { type: "feature-level", level: payload.level, group, term, index, time, encoded };
    default:
      return { type: payload.type, group, term, index, time, encoded };
  }
}

/**
 * The newest stamp in the log plus the leader's own time since its election, in whole
 * milliseconds. No wall clock enters after the first stamp, and stamps never run backwards.
 */
export function clusterTime(state: NodeState, leader: LeaderRole): ClusterTime {
  const elapsedMs = Math.max(0, state.nowMs - leader.timeAnchorMs);
  return Math.max(state.log.lastTime, Math.floor(leader.timeBase + elapsedMs));
}

function isCaughtUp(state: NodeState, leader: LeaderRole, id: NodeId): boolean {
  const peer = peerOf(leader, id);
  assert(peer !== undefined, "every other member has a progress");
  if (peer.state !== "replicate" || !isActive(state, peer)) return false;
  return peer.countedIndex + CATCH_UP_LAG_ENTRIES_MAX >= state.log.commitIndex;
}
