/**
 * What goes wrong. Each kind of fault is a loop of its own with chance of its own, so that leaving
 * one out shifts none of the others; a seed has a random few of them, because a run with everything
 * at once hides what a few do together. Each counts how often it really struck.
 */
import type { SeededRandom } from "../../raft/index.ts";
import type { Manners } from "./bare-client.ts";
import { between, chance, exponential, fork, pick, pickAny } from "./chance.ts";
import type { Client } from "./clientele.ts";
import type { Cluster } from "./cluster.ts";
import { damageStrikes } from "./damage-faults.ts";
import { DAMAGE_KINDS } from "./disk-damage.ts";
import { linkStrikes } from "./link-faults.ts";
import { MEMBERSHIP_KINDS, membershipStrikes } from "./membership-faults.ts";
import type { SimulatedNode } from "./node.ts";
import { nodeStrikes } from "./node-faults.ts";
import { ELECTION_TIMEOUT_MS, LEASE_DRIFT_BOUND, type Shape } from "./shape.ts";

export const FAULT_KINDS = [
  "drop",
  "delay",
  "duplicate",
  "reorder",
  "partition",
  "one-way",
  "flap",
  "kill",
  "kill-all",
  "power-loss",
  "torn-write",
  "death-in-call",
  "stall",
  "restart-storm",
  "disk-full",
  "slow-disk",
  "hung-disk",
  "wall-clock",
  "drift",
  "frozen-clock",
  "retry-storm",
  "duplicate-request",
  "bad-sequence",
  "write-error",
  "sync-error",
  "bit-rot",
  "lost-file",
  "truncated-file",
  "misdirected-write",
  "read-error",
  "helical",
  // The newest stand last: a seed goes on drawing the others as before.
  ...MEMBERSHIP_KINDS,
  "stop",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** What faults lead to, counted where it is seen. */
export const FAULT_EFFECTS = [
  "lost in a cut",
  "death in a call",
  "unflushed writes lost",
  "write torn",
  "unflushed names lost",
  "torn-batch-cut",
  "allocation-failed",
  "allocation-recovered",
  "snapshot saved",
  "snapshot installed",
  "session expired",
  "sessions full",
  "refused: disk-full",
  "ended by a failed call",
  "stopped",
  "start refused by damage, alone",
  "repaired: exact",
  "repaired: recovering",
  "whole again",
  "call refused",
  "a removed node is back",
  "promote refused: not-caught-up",
  "remove refused: change-pending",
] as const;

/** Harm done to one node, now. */
export type Strike = (random: SeededRandom, victim: SimulatedNode) => void;

/** What a strike may use. */
export interface Striking {
  readonly cluster: Cluster;
  readonly clients: readonly Client[];
  /** Runs it unless the faults are over by then. */
  readonly later: (delayMs: number, run: () => void) => void;
  /** What can not be ended early ends with the faults. */
  readonly bounded: (durationMs: number) => number;
}

/** They do not always find something to harm. */
const COUNTS_ITSELF: ReadonlySet<FaultKind> = new Set([
  ...DAMAGE_KINDS,
  "helical",
  ...MEMBERSHIP_KINDS,
]);
const FAULT_CHANCE = 0.15;
const DAY_MS = 86_400_000;
const TEN_YEARS_MS = 3650 * DAY_MS;
/** Without a lease, clocks may be this wrong (C2 of the fault matrix). */
const DRIFT_MAX = 0.5;

export function drawFaults(seed: number): readonly FaultKind[] {
  const random = fork(seed, "faults");
  return FAULT_KINDS.filter(() => chance(random, FAULT_CHANCE));
}

export function drawManners(seed: number, kinds: readonly FaultKind[]): Manners {
  const random = fork(seed, "manners");
  const duplicate = pick(random, [0.05, 0.3]);
  const badSequence = pick(random, [0.02, 0.1]);
  return {
    duplicate: kinds.includes("duplicate-request") ? duplicate : 0,
    badSequence: kinds.includes("bad-sequence") ? badSequence : 0,
  };
}

/** A lease states how wrong clocks may be, and promises nothing beyond. */
function isAllowed(kind: FaultKind, { timing }: Shape): boolean {
  return kind !== "frozen-clock" || timing.leaseDriftBound === undefined;
}

export class Faults {
  readonly #cluster: Cluster;
  readonly #strikes: ReadonlyMap<FaultKind, Strike>;
  #isOver = false;

  constructor(
    cluster: Cluster,
    clients: readonly Client[],
    kinds: readonly FaultKind[],
    endMs: number,
  ) {
    this.#cluster = cluster;
    const striking: Striking = {
      cluster,
      clients,
      later: (delayMs, run) => this.#later(delayMs, run),
      bounded: (durationMs) => Math.min(durationMs, endMs - cluster.scheduler.nowMs),
    };
    this.#strikes = new Map([
      ...linkStrikes(striking),
      ...nodeStrikes(striking),
      ...damageStrikes(striking),
      ...membershipStrikes(striking),
    ]);
    for (const kind of kinds) {
      if (isAllowed(kind, cluster.shape)) this.#install(kind, fork(cluster.seed, `fault ${kind}`));
    }
  }

  /** Nothing strikes any more, and everything is repaired. */
  end(): void {
    this.#isOver = true;
    const { network, nodes, scheduler } = this.#cluster;
    network.calm();
    for (const node of nodes) {
      for (const other of nodes) {
        while (network.isCut(node.id, other.id)) network.mend(node.id, other.id);
      }
      node.drive.isFull = false;
      node.drive.latencyMsMax = this.#cluster.shape.diskMsMax;
      node.drive.dieAfter(0, "everything");
      node.drive.fail(undefined);
      node.wallClockErrorMs = 0;
      node.setClockRate(1);
      scheduler.after(0, () => node.start());
    }
  }

  #install(kind: FaultKind, random: SeededRandom): void {
    switch (kind) {
      case "drop":
      case "delay":
      case "duplicate":
      case "reorder":
        this.#spoilLinks(kind, random);
        return;
      case "drift":
        this.#drift(random);
        return;
      case "wall-clock":
        this.#every(random, 400, (node) => {
          this.#cluster.tally.count(kind);
          node.wallClockErrorMs = Math.floor(between(random, -TEN_YEARS_MS, TEN_YEARS_MS));
        });
        return;
      case "duplicate-request":
      case "bad-sequence":
        // Clients do that themselves.
        return;
      default: {
        const strike = this.#strikes.get(kind);
        this.#every(random, pick(random, [1200, 2500, 5000]), (victim) => {
          this.#cluster.trace.note(`fault: ${kind}`);
          if (!COUNTS_ITSELF.has(kind)) this.#cluster.tally.count(kind);
          strike?.(random, victim);
        });
      }
    }
  }

  /** These last as long as the faults do, and are counted message by message. */
  #spoilLinks(kind: "drop" | "delay" | "duplicate" | "reorder", random: SeededRandom): void {
    const { faults } = this.#cluster.network;
    const delay = (often: number, delayMsMax: number): void => {
      faults.delay = Math.max(faults.delay, often);
      faults.delayMsMax = Math.max(faults.delayMsMax, delayMsMax);
    };
    switch (kind) {
      case "drop":
        faults.drop = pick(random, [0.01, 0.1, 0.3]);
        return;
      case "duplicate":
        faults.duplicate = pick(random, [0.02, 0.1, 0.5]);
        faults.duplicateDelayMsMax = pick(random, [5, 500, 60_000]);
        return;
      case "reorder":
        faults.reorder = true;
        delay(0.1, 20);
        return;
      case "delay": {
        const often = pick(random, [0.02, 0.2, 1]);
        delay(often, pick(random, [50, ELECTION_TIMEOUT_MS, 10 * ELECTION_TIMEOUT_MS]));
      }
    }
  }

  /** Rates differ all the time; with a lease only within its bound, which is what it asks for. */
  #drift(random: SeededRandom): void {
    const { nodes, shape, tally } = this.#cluster;
    const hasLease = shape.timing.leaseDriftBound !== undefined;
    const driftMax = hasLease ? LEASE_DRIFT_BOUND / 2.2 : DRIFT_MAX;
    for (const node of nodes) {
      node.setClockRate(1 + between(random, -driftMax, driftMax));
      tally.count("drift");
    }
  }

  /** Leaders are the most interesting victims. */
  #every(random: SeededRandom, meanMs: number, strike: (victim: SimulatedNode) => void): void {
    this.#later(exponential(random, meanMs), () => {
      const { leader, nodes } = this.#cluster;
      const anyone = pickAny(random, nodes);
      const victim = chance(random, 0.4) ? (leader ?? anyone) : anyone;
      if (victim !== undefined) strike(victim);
      this.#every(random, meanMs, strike);
    });
  }

  #later(delayMs: number, run: () => void): void {
    this.#cluster.scheduler.after(delayMs, () => {
      if (!this.#isOver) run();
    });
  }
}
