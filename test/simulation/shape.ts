/**
 * What a cluster of one seed looks like: its size and its limits, small on purpose, so that what is
 * rare in production (a new segment, a snapshot, a full session table) happens all the time.
 */

import type { SessionLimits } from "../../server/kv/index.ts";
import type { ReplicaTiming, SnapshotPolicy } from "../../server/replica/options.ts";
import { chance, fork, pick } from "./chance.ts";

export interface Shape {
  readonly nodes: number;
  readonly timing: ReplicaTiming;
  readonly snapshots: SnapshotPolicy;
  readonly sessionLimits: SessionLimits;
  readonly storage: { readonly segmentBytes: readonly number[]; readonly batchBytesMax: number };
  readonly diskMsMax: number;
  readonly usesWire: boolean;
  readonly clients: number;
  readonly keys: number;
  /** Between two operations of one client, on average. */
  readonly thinkMs: number;
  /** Operations one client has under way at most. */
  readonly pipeline: number;
  readonly valueBytesMax: number;
}

const KIB = 1024;
export const ELECTION_TIMEOUT_MS = 250;
/** Timeouts are drawn from one to two election timeouts (section 5.2). */
export const ELECTION_TIMEOUT_MS_MAX = 2 * ELECTION_TIMEOUT_MS;
/** With the lease, two clocks may drift apart by this fraction. */
export const LEASE_DRIFT_BOUND = 0.1;

export function drawShape(seed: number): Shape {
  const random = fork(seed, "shape");
  const leaseDriftBound = chance(random, 0.2) ? LEASE_DRIFT_BOUND : undefined;
  return {
    nodes: pick(random, [1, 3, 3, 3, 3, 5, 5]),
    timing: {
      tickMs: pick(random, [10, 25, 25, 50]),
      heartbeatMs: 50,
      electionTimeoutMs: ELECTION_TIMEOUT_MS,
      requestTimeoutMs: pick(random, [800, 2000]),
      leaseDriftBound,
    },
    snapshots: {
      everyEntries: pick(random, [7, 30, 100, 1000]),
      everyBytes: 4 * KIB * KIB,
      smallSegmentsMax: 32,
      retainedEntries: pick(random, [0, 3, 50]),
    },
    sessionLimits: {
      ttlMs: pick(random, [1500, 6000, 3_600_000]),
      sessionsMax: pick(random, [3, 100]),
      windowMax: pick(random, [4, 64]),
    },
    storage: {
      segmentBytes: pick<readonly number[]>(random, [[12 * KIB, 16 * KIB], [16 * KIB], [64 * KIB]]),
      batchBytesMax: pick(random, [2 * KIB, 64 * KIB]),
    },
    diskMsMax: pick(random, [0.5, 2, 8]),
    usesWire: chance(random, 0.3),
    clients: pick(random, [2, 3, 5]),
    keys: pick(random, [1, 3, 10]),
    thinkMs: pick(random, [50, 150, 400]),
    pipeline: pick(random, [1, 1, 3]),
    valueBytesMax: pick(random, [16, 16, 3 * KIB]),
  };
}
