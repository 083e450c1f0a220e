/**
 * What the protocols (HTTP now, RESP later) may ask of the replica. Types only: the one seam
 * between protocols and the loop, so that protocol code can be tested against a fake.
 *
 * Everything completes by callback, exactly once. There is no promise, closure or timer per
 * operation below this line.
 */
import type { Member, Role } from "../raft/index.ts";
import type { KvReader } from "./kv/reader.ts";
import type { KvResult } from "./kv/result.ts";
import type { StateHash } from "./kv/state-hash.ts";

/** Why something was certainly not done; safe to try again. */
export type Refusal =
  | "no-leader"
  | "not-leader"
  | "overloaded"
  | "disk-full"
  | "stopping"
  | "starting"
  | "repairing"
  /** The replicas' states differ, and no majority says which is right. */
  | "disputed"
  /** This node's state is not that of the majority. */
  | "fenced";

export type WriteOutcome<Result = KvResult> =
  | { readonly kind: "applied"; readonly result: Result }
  | {
      readonly kind: "not-applied";
      readonly reason: Refusal;
      readonly leader: Member | undefined;
    }
  /** It may have been applied, or be applied later; never called a failure. */
  | { readonly kind: "unknown"; readonly reason: "timeout" | "leadership-lost" | "link-lost" };

export type ReadOutcome =
  /** `reader` may be used now, in this turn. */
  | { readonly kind: "granted"; readonly used: "read-index" | "lease" | "stale" }
  | {
      readonly kind: "refused";
      readonly reason: Refusal | "timeout" | "behind";
      readonly leader: Member | undefined;
    };

export interface ReadRequest {
  readonly consistency: "linearizable" | "stale";
  /** Wait, bounded, until this node has applied this revision; 0 for none. */
  readonly minRevision: number;
  /** False: refuse with "not-leader" instead of asking the leader for a read index. */
  readonly forward: boolean;
}

/**
 * `repairing`: it asks its peers for what its disk lost and takes no part yet. `recovering`: it
 * counts in no quorum until it holds again what it may have forgotten. `disputed`: it leads, the
 * members' states differ, and none has a majority. `fenced`: the majority has another state.
 */
export type NodeState = "running" | "recovering" | "repairing" | "disputed" | "fenced";

export interface RepairStatus {
  readonly damage: readonly { readonly file: string; readonly offset: number }[];
  readonly missingEntries: number;
  /** Members that answered last time this node asked. */
  readonly helpers: readonly number[];
}

export interface ReplicaStatus {
  readonly state: NodeState;
  /** Undefined unless `repairing`. */
  readonly repair: RepairStatus | undefined;
  readonly nodeId: number;
  readonly incarnation: number;
  readonly clusterId: string;
  readonly role: Role;
  readonly term: number;
  readonly leaderId: number;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly lastLogIndex: number;
  readonly snapshotIndex: number;
  /** Of the state after `lastApplied`. */
  readonly hash: StateHash;
  readonly revision: number;
  readonly clusterTime: number;
  readonly members: readonly Member[];
  readonly progress: readonly {
    readonly id: number;
    readonly state: "probe" | "replicate" | "snapshot";
    readonly matchIndex: number;
    readonly nextIndex: number;
    readonly active: boolean;
  }[];
  readonly storage: {
    readonly fsyncs: number;
    readonly batches: number;
    readonly bytesWritten: number;
    readonly segments: number;
    readonly logBytes: number;
    readonly snapshotBytes: number;
  };
  readonly uptimeMs: number;
  /** True once this node has caught up with a leader after its start. */
  readonly caughtUp: boolean;
  readonly stopping: boolean;
}

export interface Gateway {
  /**
   * The local state. Read it only inside a granted read, in the same turn.
   */
  readonly reader: KvReader;

  /**
   * `command` is one encoded command (server/kv/command.ts); the gateway owns the bytes from here.
   * With `forward` false a node that does not lead refuses instead of forwarding.
   * `done` may be called before `submit` returns (a refusal) or later.
   */
  submit(command: Uint8Array, forward: boolean, done: (outcome: WriteOutcome) => void): void;

  /** `done` may be called before `read` returns (stale reads, leases). */
  read(request: ReadRequest, done: (outcome: ReadOutcome) => void): void;

  status(): ReplicaStatus;

  /** The leader as this node believes it to be, with its client address; undefined when unknown. */
  leader(): Member | undefined;

  /** True when a write sent now can be expected to commit. */
  isReady(): boolean;
}
