/** What a simulated node is made of, and what it shares with the others. */
import type { Configuration } from "../../raft/index.ts";
import type { KvResult, SessionLimits } from "../../server/kv/index.ts";
import type { ReplicaTiming, SnapshotPolicy } from "../../server/replica/options.ts";
import type { Replica } from "../../server/replica.ts";
import type { Storage, StorageOptions } from "../../storage/index.ts";
import type { Ledger } from "./ledger.ts";
import type { MembershipLedger } from "./membership-ledger.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import type { Port, SimulatedNetwork } from "./simulated-network.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";
import type { WatchedMachine } from "./watched.ts";

/** What all nodes of a cluster share. */
export interface NodeSurroundings {
  readonly scheduler: Scheduler;
  readonly network: SimulatedNetwork;
  readonly ledger: Ledger;
  readonly membership: MembershipLedger;
  readonly trace: Trace;
  readonly tally: Tally;
}

export interface NodeSettings {
  readonly initialConfiguration: Configuration;
  readonly timing: ReplicaTiming;
  readonly snapshots: SnapshotPolicy;
  readonly sessionLimits: SessionLimits;
  readonly storage: Pick<StorageOptions, "segmentBytes" | "batchBytesMax">;
  readonly diskMsMax: number;
}

/** What lives as long as one process. */
export interface Process {
  readonly incarnation: number;
  readonly clock: SimulatedClock;
  readonly machine: WatchedMachine;
  readonly storage: Storage;
  readonly replica: Replica<KvResult>;
  readonly port: Port;
}

/** A process that is not a member yet: it asks its peers for what its disk lost. */
export interface Repair {
  readonly clock: SimulatedClock;
  readonly port: Port;
}
