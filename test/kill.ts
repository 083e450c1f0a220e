/**
 * kill -9 on real processes under load, and every write accounted for:
 *
 *   node --import tsx test/kill.ts [--cycles 50] [--seed 1] [--nodes 3] [--writers 8]
 *     [--any-speed]
 *
 * Ends with code 1 when an acknowledged write is missing, a write was applied twice, the nodes
 * disagree, a read was stale, or the cluster took longer to recover than it may. With --any-speed
 * the times are printed and not judged: for a machine that others use, too.
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { type Cycle, type KillReport, runKill } from "./kill/run.ts";

/** From killing the leader to the next acknowledged write. */
const GAP_MEDIAN_MS = 500;
const GAP_WORST_MS = 2000;
/** From starting a killed node until it answers from its own state. */
const RESTART_WORST_MS = 1000;

function describe({ number, victims, ids, gapMs, restartMs }: Cycle): string {
  const who = `${victims === "any" ? "" : `${victims}: `}node ${ids.join(", ")}`;
  const restart = restartMs.map((ms) => ms.toFixed(0)).join(", ");
  return `${String(number).padStart(4)}  kill ${who.padEnd(24)} write after ${gapMs
    .toFixed(0)
    .padStart(5)} ms, serving again after ${restart} ms`;
}

interface Distribution {
  readonly count: number;
  readonly median: number;
  readonly worst: number;
}

function distribution(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return { count: sorted.length, median, worst: sorted.at(-1) ?? 0 };
}

function line(what: string, { count, median, worst }: Distribution, bounds: string): string {
  const figures = `median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms of ${count}`;
  return `${what.padEnd(46)} ${figures}${bounds}`;
}

/** What was too slow; prints the figures. */
function judgeTimes(cycles: readonly Cycle[]): readonly string[] {
  const some = cycles.filter(({ victims }) => victims !== "all");
  const all = cycles.filter(({ victims }) => victims === "all");
  const gap = distribution(some.filter(({ leaderDied }) => leaderDied).map(({ gapMs }) => gapMs));
  const restart = distribution(some.flatMap(({ restartMs }) => restartMs));
  const restartOfAll = distribution(all.flatMap(({ restartMs }) => restartMs));
  const gapAfterAll = distribution(all.map(({ gapMs }) => gapMs));
  console.log(line("leader killed, next acknowledged write", gap, " (at most 500 and 2000)"));
  console.log(line("killed node started, serves its own state", restart, " (at most 1000)"));
  console.log(line("all killed and started, each serves", restartOfAll, ""));
  console.log(line("all killed and started, next write", gapAfterAll, ""));
  const problems: string[] = [];
  if (gap.median > GAP_MEDIAN_MS) problems.push(`a new leader takes ${gap.median} ms (median)`);
  if (gap.worst > GAP_WORST_MS) problems.push(`a new leader took ${gap.worst} ms (worst)`);
  if (restart.worst > RESTART_WORST_MS) problems.push(`a restart took ${restart.worst} ms`);
  // Times are the machine's as much as ours: more processes than cores make all of them longer.
  const load = (loadavg()[0] ?? 0).toFixed(1);
  console.log(`the machine: ${cpus().length} cores, load average ${load}`);
  return problems.map((text) => text.replace(/(\d+)\.\d+ ms/u, "$1 ms"));
}

function summary(report: KillReport): void {
  const { acknowledged, unknown, reads, failedReads, keys, revision } = report;
  console.log(`writes acknowledged ${acknowledged}, of unknown outcome ${unknown}`);
  console.log(`linearizable reads checked ${reads}, failed ${failedReads}`);
  console.log(`keys ${keys}, revision ${revision}, the same on all nodes`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cycles: { type: "string", default: "50" },
      seed: { type: "string", default: "1" },
      nodes: { type: "string", default: "3" },
      writers: { type: "string", default: "8" },
      "any-speed": { type: "boolean", default: false },
    },
  });
  const [cycles, seed, nodes, writers] = [
    Number(values.cycles),
    Number(values.seed),
    Number(values.nodes),
    Number(values.writers),
  ];
  if (![cycles, seed, nodes, writers].every((value) => Number.isSafeInteger(value) && value > 0)) {
    console.error("kill: --cycles, --seed, --nodes and --writers take whole numbers from 1");
    return 2;
  }
  console.log(`kill: ${cycles} cycles, seed ${seed}, ${nodes} nodes, ${writers} writers`);
  const onCycle = (cycle: Cycle) => console.log(describe(cycle));
  const report = await runKill({ cycles, seed, nodes, writers, onCycle });
  if (report.violations.length === 0) summary(report);
  const slow = judgeTimes(report.cycles);
  const problems = values["any-speed"] ? report.violations : [...report.violations, ...slow];
  for (const problem of problems) console.error(`VIOLATED: ${problem}`);
  console.log(problems.length === 0 ? "kept: every promise" : `broken with seed ${seed}`);
  return problems.length === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main();
