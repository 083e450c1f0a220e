/**
 * Carries out a plan: a fresh cluster for each phase, every key written once, a warm-up, then
 * rounds in which the cluster and the yardstick take turns in who comes first. What the machine
 * does meanwhile hits both, so the ratio of a round means more than either figure.
 */
import { createCluster } from "./cluster.ts";
import type { Measurement, Phase, Plan } from "./plan.ts";
import type { Mix, Scenario } from "./scenario.ts";
import {
  assertNoneFailed,
  clusterTarget,
  Driver,
  measure,
  type Sample,
  SERVER,
  startYardstick,
  type Target,
} from "./target.ts";

export interface Round {
  readonly cluster: Sample;
  readonly yardstick: Sample | undefined;
}

export interface Measured {
  readonly phase: Phase;
  readonly scenario: Scenario;
  readonly rounds: readonly Round[];
}

export interface RunEvents {
  onPhase(phase: Phase): void;
  onMeasured(measured: Measured): void;
}

/** What any clock is trusted with when reads go by lease. */
const LEASE_FLAGS = ["--lease-drift-bound", "0.1"] as const;
const FILL_CONNECTIONS = 50;

export async function runPlan(plan: Plan, events: RunEvents): Promise<readonly Measured[]> {
  const driver = new Driver();
  const yardstick = await startYardstick();
  try {
    const bench: Bench = { plan, driver, yardstick: yardstick.target, isWarm: new Set() };
    const all: Measured[] = [];
    for (const phase of plan.phases) {
      events.onPhase(phase);
      all.push(...(await runPhase(bench, phase, events)));
    }
    return all;
  } finally {
    driver.end();
    yardstick.service.signal("SIGKILL");
  }
}

interface Bench {
  readonly plan: Plan;
  readonly driver: Driver;
  readonly yardstick: Target;
  /** The mixes that the yardstick has been warmed up with; a cluster is new in every phase. */
  readonly isWarm: Set<Mix>;
}

async function runPhase(
  bench: Bench,
  phase: Phase,
  events: RunEvents,
): Promise<readonly Measured[]> {
  const flags = phase.reads === "lease" ? LEASE_FLAGS : [];
  const cluster = await createCluster({ script: SERVER, nodes: phase.nodes, flags });
  try {
    cluster.startAll();
    await cluster.settled();
    const target = clusterTarget(cluster);
    await fill(bench, target, phase);
    const isWarm = new Set<Mix>();
    const all: Measured[] = [];
    for (const measurement of phase.measurements) {
      const measured = await runRounds(bench, target, phase, measurement, isWarm);
      cluster.assertAlive();
      events.onMeasured(measured);
      all.push(measured);
    }
    await cluster.endAll("SIGTERM");
    return all;
  } finally {
    cluster.dispose();
  }
}

/** Every key gets a value, so that no read misses. The yardstick learns the size of a value. */
async function fill({ driver, yardstick }: Bench, target: Target, phase: Phase): Promise<void> {
  const valueBytes = phase.measurements[0]?.scenario.valueBytes ?? 0;
  const work = { kind: "fill", connections: FILL_CONNECTIONS, valueBytes } as const;
  const filled = await measure(driver, target, { ...work, keyCount: phase.keyCount });
  assertNoneFailed(filled);
  await measure(driver, yardstick, { ...work, keyCount: FILL_CONNECTIONS });
}

async function runRounds(
  bench: Bench,
  target: Target,
  phase: Phase,
  { scenario, rounds, seconds, isCompared }: Measurement,
  isWarm: Set<Mix>,
): Promise<Measured> {
  const { plan, driver, yardstick } = bench;
  const { keyCount } = phase;
  const work = { kind: "load", scenario, keyCount, seconds, seed: plan.seed } as const;
  const warmUp = { ...work, seconds: plan.warmUpSeconds };
  if (!isWarm.has(scenario.mix)) await measure(driver, target, warmUp);
  if (isCompared && !bench.isWarm.has(scenario.mix)) await measure(driver, yardstick, warmUp);
  isWarm.add(scenario.mix);
  if (isCompared) bench.isWarm.add(scenario.mix);
  const done: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const seeded = { ...work, seed: plan.seed + 1 + round };
    const runCluster = () => measure(driver, target, seeded);
    const runYardstick = () => measure(driver, yardstick, seeded);
    if (!isCompared) {
      done.push({ cluster: await runCluster(), yardstick: undefined });
    } else if (round % 2 === 0) {
      const cluster = await runCluster();
      done.push({ cluster, yardstick: await runYardstick() });
    } else {
      const bare = await runYardstick();
      done.push({ cluster: await runCluster(), yardstick: bare });
    }
  }
  return { phase, scenario, rounds: done };
}
