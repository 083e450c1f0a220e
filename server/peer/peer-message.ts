/**
 * Everything that travels between two members: Raft envelopes, writes forwarded to the leader, and
 * what replicas ask one another beside Raft. Types only.
 */
import type { Entry, Envelope, LogIndex } from "../../raft/index.ts";
import type { WriteOutcome } from "../gateway.ts";
import type { KvResult } from "../kv/result.ts";
import type { StateHash } from "../kv/state-hash.ts";

/**
 * A batch of client writes on their one hop to the leader. The leader takes it only when
 * `leaderTerm` is its own term and `sequence` is above all it has seen from this incarnation of
 * the origin; so a duplicated or delayed frame never executes twice. The transport never sends one
 * again: a lost link means "unknown".
 */
export interface Forward {
  readonly kind: "forward";
  readonly from: number;
  readonly to: number;
  readonly leaderTerm: number;
  /** Minted at every start of the origin's process. */
  readonly originIncarnation: number;
  readonly sequence: number;
  readonly requests: readonly { readonly id: number; readonly command: Uint8Array }[];
}

/** Answers to forwarded writes, in any order, each exactly once at most. */
export interface ForwardResults<Result = KvResult> {
  readonly kind: "forward-results";
  readonly from: number;
  readonly to: number;
  /** The incarnation of the origin the answers are for: one from before a restart is dropped. */
  readonly originIncarnation: number;
  readonly results: readonly { readonly id: number; readonly outcome: WriteOutcome<Result> }[];
}

/**
 * A node whose disk was damaged asks for the entries from `first` to `last`, none when `first` is
 * above `last`, and perhaps for the newest snapshot.
 */
export interface RepairRequest {
  readonly kind: "repair-request";
  readonly from: number;
  readonly to: number;
  readonly first: LogIndex;
  readonly last: LogIndex;
  readonly wantsSnapshot: boolean;
}

/** What the one who answers a repair request is doing itself. */
export type HelperState = "running" | "recovering" | "repairing";

export interface RepairAnswer {
  readonly kind: "repair-answer";
  readonly from: number;
  readonly to: number;
  /** As in the request this answers. */
  readonly last: LogIndex;
  /** A run that ends at `last`, as much of the range as fits; empty when `last` is not held. */
  readonly entries: readonly Entry[];
  readonly state: HelperState;
  /** It follows a leader, or leads: a majority goes on without the one who asks. */
  readonly hasLeader: boolean;
  /** The newest snapshot it can send; 0 for none. */
  readonly snapshotIndex: LogIndex;
}

/** A member tells the leader the hash of its state after applying `index`. */
export interface StateReport {
  readonly kind: "state-report";
  readonly from: number;
  readonly to: number;
  readonly index: LogIndex;
  readonly hash: StateHash;
}

/** The leader tells a member that reported another hash the one of the majority. */
export interface StateVerdict {
  readonly kind: "state-verdict";
  readonly from: number;
  readonly to: number;
  readonly index: LogIndex;
  readonly hash: StateHash;
}

/** Between replicas, beside Raft; like an envelope it may get lost. */
export type ReplicaMessage = RepairRequest | RepairAnswer | StateReport | StateVerdict;

export type PeerMessage<Result = KvResult> =
  | { readonly kind: "raft"; readonly envelope: Envelope }
  | Forward
  | ForwardResults<Result>
  | ReplicaMessage;
