/**
 * Whole replicas over simulated clock, network and disk, from one seed each: every invariant holds,
 * the history is linearizable, and after the faults everything heals.
 *
 * SIMULATION_SEEDS=n runs that many, SIMULATION_FROM=n starts there. run.ts replays one of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cluster } from "./cluster.ts";
import { FAULT_EFFECTS, FAULT_KINDS } from "./faults.ts";
import { REGRESSIONS } from "./regressions.ts";
import { drawShape } from "./shape.ts";
import {
  replayCommand,
  type SimulationOptions,
  type SimulationRun,
  shrink,
  simulate,
} from "./simulation.ts";
import { Tally } from "./tally.ts";

const SEEDS = Number(process.env["SIMULATION_SEEDS"] ?? 200);
const FROM = Number(process.env["SIMULATION_FROM"] ?? 1);
/** Fewer runs need not meet every kind of fault. */
const SEEDS_OF_ALL_FAULTS = 200;
const DETERMINISM_SEEDS = [3, 14, 37, 64, 151];
const LAST_LINES = 40;

/** Long enough for any election, when nothing is in its way. */
const ELECTION_MS = 2_500;

async function explain(failed: SimulationRun): Promise<string> {
  const smallest = await shrink(failed);
  const { lines } = await simulate({ ...smallest, trace: true });
  return [
    `seed ${failed.seed}: ${failed.violation?.message}`,
    ...lines.slice(-LAST_LINES),
    `smallest: ${smallest.violation?.message}`,
    `replay: ${replayCommand(smallest)}`,
    `all of it: ${replayCommand(failed)}`,
  ].join("\n");
}

async function holds(options: SimulationOptions): Promise<SimulationRun> {
  const run = await simulate(options);
  if (run.violation !== undefined) assert.fail(await explain(run));
  return run;
}

test(`every promise holds over ${SEEDS} seeds`, async (t) => {
  const tally = new Tally();
  const startedUs = process.cpuUsage();
  let virtualMs = 0;
  let judged = 0;
  for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
    const run = await holds({ seed });
    tally.add(run.tally);
    virtualMs += run.virtualMs;
    judged += run.judged;
  }
  const { user, system } = process.cpuUsage(startedUs);
  const cpuMs = (user + system) / 1000;
  const seconds = `${Math.round(virtualMs / 1000)} virtual seconds in ${Math.round(cpuMs)} ms of CPU`;
  t.diagnostic(`${seconds}: ${Math.round(virtualMs / cpuMs)} times real time, ${judged} answers`);
  t.diagnostic(tally.report());
  if (SEEDS < SEEDS_OF_ALL_FAULTS) return;
  const silent = [...FAULT_KINDS, ...FAULT_EFFECTS].filter((kind) => tally.of(kind) === 0);
  assert.deepEqual(silent, [], "every kind of fault strikes, and does harm");
  const answered = tally.of("write answered");
  assert.ok(answered > 10 * tally.of("write unknown"), "most writes are answered");
});

for (const { found, seed, ...options } of REGRESSIONS) {
  test(`seed ${seed} holds: ${found}`, async () => {
    const run = await holds({ seed, ...options });
    assert.ok(run.judged > 0);
  });
}

test("two runs of one seed are the same, event for event, and a trace changes nothing", async () => {
  const hashes = new Set<string>();
  for (const seed of DETERMINISM_SEEDS) {
    const first = await simulate({ seed });
    const second = await simulate({ seed, trace: true });
    assert.ok(first.entries > 1, `seed ${seed} does something`);
    assert.equal(second.hash, first.hash, `seed ${seed}`);
    assert.equal(second.events, first.events, `seed ${seed}`);
    assert.ok(second.lines.length > first.entries, `seed ${seed} leaves a trace`);
    hashes.add(first.hash);
  }
  assert.equal(hashes.size, DETERMINISM_SEEDS.length, "seeds differ");
});

function quietCluster(): Cluster {
  const shape = { ...drawShape(1), nodes: 3, diskMsMax: 0.5, usesWire: false };
  return new Cluster(1, shape, false);
}

function runUntil(cluster: Cluster, isDone: () => boolean): void {
  const endMs = cluster.scheduler.nowMs + ELECTION_MS;
  while (!isDone() && cluster.scheduler.nowMs < endMs) cluster.scheduler.runFor(0.05);
  assert.ok(isDone());
}

test("a cluster that stops between its first election and its first commit elects again", () => {
  const cluster = quietCluster();
  const { nodes, network } = cluster;
  const links = nodes.flatMap(({ id }) => nodes.map((other) => [id, other.id] as const));
  runUntil(cluster, () => cluster.leader !== undefined);
  for (const [from, to] of links) network.cut(from, to);
  const leader = cluster.leader;
  runUntil(cluster, () => (leader?.durable.lastIndex ?? 0) > 0);
  const lastIndexes = nodes.map(({ durable }) => durable.lastIndex).sort((a, b) => a - b);
  assert.deepEqual(lastIndexes, [0, 0, 1], "only the leader's disk holds an entry");
  for (const node of nodes) node.crash("nothing");
  // What is still on its way gets lost in the cut.
  cluster.scheduler.runFor(50);
  for (const [from, to] of links) network.mend(from, to);
  for (const node of nodes) node.start();
  runUntil(cluster, () => cluster.leader !== undefined);
});
