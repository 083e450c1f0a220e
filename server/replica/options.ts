/** What a replica is made of. Everything that touches the outside is handed in. */
import type { Clock, Configuration, Random, StateMachine } from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import type { StateHash } from "../kv/index.ts";
import type { Caller, Transport, TransportEvents } from "../peer/index.ts";
import type { Divergence } from "./state-guard.ts";

/** A state machine that counts its changes, and can be compared with those of other members. */
export interface ReplicatedMachine<Result> extends StateMachine<Result> {
  /** Answers `minRevision`. */
  readonly revision: number;
  /** Of the whole state; equal wherever the same entries were applied. */
  readonly hash: StateHash;
}

/** Where the replica reports what it does; never sees keys or values. */
export interface ReplicaLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ReplicaTiming {
  readonly tickMs: number;
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly leaseDriftBound: number | undefined;
}

export interface SnapshotPolicy {
  /**
   * Take a snapshot when this many entries were applied since the last and come to twice its size;
   * or when they took four times its size in the log, and are as many or the log is long; or when
   * this many bytes of entries were and come to half of it: so a start replays little while the
   * state is small, and a large state is not written out again for every few changes.
   */
  readonly everyEntries: number;
  readonly everyBytes: number;
  /** Also when the log lies in more small segments than this: each start begins one. */
  readonly smallSegmentsMax: number;
  /** How many entries behind a snapshot stay in the log for slow followers at most. */
  readonly retainedEntries: number;
}

/** What the transport asks the replica while it shakes hands. */
export interface MembershipView {
  /** The log is empty: this node has no past. */
  readonly isFresh: boolean;
  /** For the calls it makes itself. */
  readonly configurationIndex: number;
  checkMember(caller: Caller): "member" | "unknown" | "wrong-incarnation";
}

export interface ReplicaOptions<Result> {
  readonly initialConfiguration: Configuration;
  /** Wall-clock milliseconds, used once as the first stamp of an empty log. */
  readonly initialTime: number;
  /** Told apart from every other start of this node; random. */
  readonly processIncarnation: number;
  readonly timing: ReplicaTiming;
  readonly snapshots: SnapshotPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: Storage;
  readonly machine: ReplicatedMachine<Result>;
  /**
   * False for a command this build does not know: once in the log, it would stop every member that
   * does not know it either, so a leader refuses it before.
   */
  readonly acceptsCommand: (command: Uint8Array) => boolean;
  readonly openTransport: (
    events: TransportEvents<Result>,
    member: MembershipView,
  ) => Transport<Result>;
  readonly log: ReplicaLog;
  /**
   * The majority holds another state: the replica has fenced itself and let go of storage and
   * network. What it has on disk is evidence; a new one starts with nothing.
   */
  readonly onDiverged: (divergence: Divergence) => void;
}
