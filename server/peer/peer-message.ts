/**
 * Everything that travels between two members: Raft envelopes, and writes forwarded to the leader.
 * Types only.
 */
import type { Envelope } from "../../raft/index.ts";
import type { WriteOutcome } from "../gateway.ts";
import type { KvResult } from "../kv/result.ts";

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

export type PeerMessage<Result = KvResult> =
  | { readonly kind: "raft"; readonly envelope: Envelope }
  | Forward
  | ForwardResults<Result>;
