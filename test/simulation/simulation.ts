/**
 * One seed, one run: a cluster of random shape, a random few faults, clients at work; then calm, in
 * which everything must heal. All that goes wrong is a Violation that says how to see it again.
 */
import { NotLinearizableError, requireLinearizable } from "../linearizability/index.ts";
import { type Clientele, createClients, drawClientele, plainClientele } from "./clientele.ts";
import { Cluster } from "./cluster.ts";
import { drawFaults, drawManners, type FaultKind, Faults } from "./faults.ts";
import { watchGrowth } from "./growth.ts";
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
  /** Bare clients alone, and no lists: what seeds had before there were others. */
  readonly plainClients?: boolean | undefined;
  readonly trace?: boolean | undefined;
}

export interface SimulationRun {
  readonly seed: number;
  readonly nodes: number;
  readonly faults: readonly FaultKind[];
  readonly durationMs: number;
  readonly plainClients: boolean;
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

export async function simulate(options: SimulationOptions): Promise<SimulationRun> {
  const { seed } = options;
  const durationMs = options.durationMs ?? DEFAULT_DURATION_MS;
  const faults = options.faults ?? drawFaults(seed);
  const drawn = drawShape(seed);
  const shape = { ...drawn, nodes: options.nodes ?? drawn.nodes };
  const plainClients = options.plainClients ?? false;
  const clientele = plainClients
    ? plainClientele(shape.clients)
    : drawClientele(seed, shape.clients);
  const cluster = new Cluster(seed, shape, options.trace === true);
  let violation: Violation | undefined;
  try {
    await run(cluster, clientele, faults, durationMs);
  } catch (error) {
    violation = asViolation(error, cluster.scheduler.nowMs);
  }
  const { tally, trace, scheduler, ledger } = cluster;
  return {
    seed,
    nodes: shape.nodes,
    faults,
    durationMs,
    plainClients,
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

async function run(
  cluster: Cluster,
  clientele: Clientele,
  kinds: readonly FaultKind[],
  durationMs: number,
): Promise<void> {
  const { seed, scheduler } = cluster;
  const clients = createClients(cluster, drawManners(seed, kinds), clientele);
  const faults = new Faults(cluster, clients, kinds, durationMs);
  watchGrowth(cluster);
  await scheduler.playUntil(durationMs);
  faults.end();
  await healAndAgree(cluster, clients);
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
export function replayCommand(run: SimulationRun): string {
  const { seed, nodes, faults, durationMs, plainClients } = run;
  const flags = [`--seed ${seed}`];
  if (nodes !== drawShape(seed).nodes) flags.push(`--nodes ${nodes}`);
  if (plainClients) flags.push("--plain-clients");
  flags.push(`--faults ${faults.length === 0 ? "none" : faults.join(",")}`);
  if (durationMs !== DEFAULT_DURATION_MS) flags.push(`--duration ${durationMs}`);
  return `node --import tsx test/simulation/run.ts ${flags.join(" ")} --trace`;
}

/** Plainer clients, fewer faults, then less time: the smallest run that still fails. */
export async function shrink(failed: SimulationRun): Promise<SimulationRun> {
  const { seed, nodes } = failed;
  let smallest = failed;
  const stillFails = async (change: Partial<SimulationOptions>): Promise<boolean> => {
    const { faults, durationMs, plainClients } = smallest;
    const run = await simulate({ seed, nodes, faults, durationMs, plainClients, ...change });
    if (run.violation === undefined) return false;
    smallest = run;
    return true;
  };
  if (!smallest.plainClients) await stillFails({ plainClients: true });
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const kind of smallest.faults) {
      isSmaller = await stillFails({ faults: smallest.faults.filter((other) => other !== kind) });
      if (isSmaller) break;
    }
  }
  for (;;) {
    const durationMs = Math.floor(smallest.durationMs / 2);
    if (durationMs < 250 || !(await stillFails({ durationMs }))) return smallest;
  }
}
