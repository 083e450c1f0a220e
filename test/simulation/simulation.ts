/**
 * One seed, one run: a cluster of random shape, a random few faults, clients at work; then calm, in
 * which everything must heal. All that goes wrong is a Violation that says how to see it again.
 */
import { NotLinearizableError, requireLinearizable } from "../linearizability/index.ts";
import { Client } from "./client.ts";
import { Cluster } from "./cluster.ts";
import { drawFaults, drawManners, type FaultKind, Faults } from "./faults.ts";
import { healAndAgree } from "./liveness.ts";
import { drawShape } from "./shape.ts";
import type { Tally } from "./tally.ts";
import { Violation, type ViolationKind } from "./violation.ts";

export interface SimulationOptions {
  readonly seed: number;
  /** In place of those the seed would draw. */
  readonly faults?: readonly FaultKind[] | undefined;
  /** How long faults strike. */
  readonly durationMs?: number | undefined;
  /** In place of the number the seed would draw. */
  readonly nodes?: number | undefined;
  readonly trace?: boolean | undefined;
}

export interface SimulationRun {
  readonly seed: number;
  readonly nodes: number;
  readonly faults: readonly FaultKind[];
  readonly durationMs: number;
  readonly tally: Tally;
  readonly hash: string;
  readonly lines: readonly string[];
  readonly virtualMs: number;
  readonly events: number;
  /** Log entries, terms with a leader, answers held against the order. */
  readonly entries: number;
  readonly terms: number;
  readonly judged: number;
  readonly violation: Violation | undefined;
}

export const DEFAULT_DURATION_MS = 12_000;
/** The fastest a clock may run (faults.ts). */
const CLOCK_RATE_MAX = 1.5;

export function simulate(options: SimulationOptions): SimulationRun {
  const { seed } = options;
  const durationMs = options.durationMs ?? DEFAULT_DURATION_MS;
  const faults = options.faults ?? drawFaults(seed);
  const drawn = drawShape(seed);
  const shape = { ...drawn, nodes: options.nodes ?? drawn.nodes };
  const cluster = new Cluster(seed, shape, options.trace === true);
  let violation: Violation | undefined;
  try {
    run(cluster, faults, durationMs);
  } catch (error) {
    violation = asViolation(error, cluster.scheduler.nowMs);
  }
  const { tally, trace, scheduler, ledger } = cluster;
  return {
    seed,
    nodes: shape.nodes,
    faults,
    durationMs,
    tally,
    hash: trace.hash,
    lines: trace.lines,
    virtualMs: scheduler.nowMs,
    events: scheduler.executed,
    entries: ledger.lastIndex,
    terms: ledger.terms,
    judged: ledger.judged,
    violation,
  };
}

function run(cluster: Cluster, kinds: readonly FaultKind[], durationMs: number): void {
  const { seed, shape, scheduler } = cluster;
  const manners = drawManners(seed, kinds);
  const clients = Array.from(
    { length: shape.clients },
    (_, at) => new Client(at + 1, cluster, manners),
  );
  const faults = new Faults(cluster, clients, kinds, durationMs);
  scheduler.runUntil(durationMs);
  faults.end();
  healAndAgree(cluster, clients);
  requireLinearizable(cluster.history.history());
  cluster.ledger.checkClusterTime(scheduler.nowMs, CLOCK_RATE_MAX);
}

/** A broken invariant of production code counts like a broken promise. */
function asViolation(error: unknown, atMs: number): Violation {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new Violation(`at ${atMs.toFixed(3)} ms: ${message}`, kindOf(error), { cause: error });
}

function kindOf(error: unknown): ViolationKind {
  if (error instanceof Violation) return error.kind;
  if (!(error instanceof NotLinearizableError)) return "crash";
  return error.verdict.kind === "undecided" ? "undecided" : "not-linearizable";
}

/** The command that shows a run again. */
export function replayCommand({ seed, nodes, faults, durationMs }: SimulationRun): string {
  const flags = [`--seed ${seed}`];
  if (nodes !== drawShape(seed).nodes) flags.push(`--nodes ${nodes}`);
  flags.push(`--faults ${faults.length === 0 ? "none" : faults.join(",")}`);
  if (durationMs !== DEFAULT_DURATION_MS) flags.push(`--duration ${durationMs}`);
  return `node --import tsx test/simulation/run.ts ${flags.join(" ")} --trace`;
}

/** Fewer faults, then less time: the smallest run that still fails. */
export function shrink(failed: SimulationRun): SimulationRun {
  const { seed, nodes } = failed;
  let smallest = failed;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const kind of smallest.faults) {
      const faults = smallest.faults.filter((other) => other !== kind);
      const candidate = simulate({ seed, nodes, faults, durationMs: smallest.durationMs });
      if (candidate.violation === undefined) continue;
      smallest = candidate;
      isSmaller = true;
      break;
    }
  }
  for (;;) {
    const durationMs = Math.floor(smallest.durationMs / 2);
    if (durationMs < 250) return smallest;
    const candidate = simulate({ seed, nodes, faults: smallest.faults, durationMs });
    if (candidate.violation === undefined) return smallest;
    smallest = candidate;
  }
}
