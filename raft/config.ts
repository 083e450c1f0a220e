/** What a `RaftNode` is told once, at birth. All durations are milliseconds. */
import { assert } from "./assert.ts";
import type { ClusterTime, Configuration, GroupId, NodeId } from "./types.ts";

export interface RaftConfig {
  readonly id: NodeId;
  readonly group: GroupId;
  /** What all first members start from; in force until the log or a snapshot holds another. */
  readonly initialConfiguration: Configuration;
  /** The first stamp of an empty log, the only place where a wall clock enters cluster time. */
  readonly initialTime: ClusterTime;
  /** How often the host calls `tick`. */
  readonly tickMs: number;
  readonly heartbeatMs: number;
  /** Timeouts are drawn from [electionTimeoutMs, 2 * electionTimeoutMs) (section 5.2). */
  readonly electionTimeoutMs: number;
  /**
   * The leader lease (thesis 6.4.1), opt-in: no two clocks of the group drift apart by more than
   * this fraction. Undefined: every linearizable read costs a ReadIndex round.
   */
  readonly leaseDriftBound: number | undefined;
  /** One AppendEntries carries at most this many bytes of entries (but always at least one). */
  readonly appendBytesMax: number;
  /** The replication window per follower. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Proposals are refused as overloaded above this many uncommitted bytes. */
  readonly uncommittedBytesMax: number;
  /** False for a fresh node that met a member with a past, until `allowVoting` is called. */
  readonly canVote: boolean;
  /**
   * True while a mark on the disk says that a part of the log that was durable is lost, and the
   * term was raised since then (recovering.ts). A group of one voter can not recover.
   */
  readonly isRecovering: boolean;
}

export const DEFAULT_RAFT_CONFIG = {
  group: 0,
  tickMs: 10,
  heartbeatMs: 50,
  electionTimeoutMs: 250,
  leaseDriftBound: undefined,
  appendBytesMax: 256 * 1024,
  inflightMessagesMax: 64,
  inflightBytesMax: 4 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  canVote: true,
  isRecovering: false,
} as const;

export function validateRaftConfig(config: RaftConfig): void {
  assert(config.id > 0 && Number.isSafeInteger(config.id), "a node id is a positive safe integer");
  assert(config.tickMs > 0, "tickMs is positive");
  assert(config.heartbeatMs >= config.tickMs, "a heartbeat interval is at least one tick");
  assert(
    config.electionTimeoutMs >= 2 * config.heartbeatMs,
    "an election timeout is at least two heartbeats",
  );
  if (config.leaseDriftBound !== undefined) {
    assert(
      config.leaseDriftBound >= 0 && config.leaseDriftBound < 1,
      "a lease drift bound is a fraction from 0 to below 1",
    );
  }
  assert(config.appendBytesMax > 0, "appendBytesMax is positive");
  assert(config.inflightMessagesMax > 0, "inflightMessagesMax is positive");
  assert(config.inflightBytesMax > 0, "inflightBytesMax is positive");
  assert(config.uncommittedBytesMax > 0, "uncommittedBytesMax is positive");
}
