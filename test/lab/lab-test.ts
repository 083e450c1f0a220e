/** What a test of the lab is: its name there, the cluster it wants, and its script. */
import type { Lab } from "./lab.ts";

export interface LabTest {
  /** As the lab calls it, without the "Test" in front and its year's suffix. */
  readonly name: string;
  readonly part: "Raft" | "KV" | "RSM" | "KV server" | "Lock";
  /** What it asserts, in a line. */
  readonly title: string;
  readonly servers: number;
  /** From the start; a test may change it. */
  readonly isUnreliable?: boolean;
  /** When servers take snapshots; never unless told. */
  readonly snapshots?: SnapshotRule;
  /** Commands take turns on so many keys, so that the state does not grow with the log. */
  readonly keys?: number;
  /** The bytes between servers are of interest. */
  readonly countsBytes?: boolean;
  readonly run: (lab: Lab) => Promise<void>;
}

export type SnapshotRule =
  | { readonly everyEntries: number }
  /** The lab's maxraftstate. */
  | { readonly everyBytes: number };

/** The lab allows ten heartbeats a second; the rest is what a server does by itself. */
export const TIMING = {
  tickMs: 10,
  heartbeatMs: 100,
  electionTimeoutMs: 250,
  requestTimeoutMs: 5_000,
} as const;
