/**
 * Whole replicas over simulated clock, network and disk, from one seed each: every invariant holds,
 * the history is linearizable, and after the faults everything heals.
 *
 * SIMULATION_SEEDS=n runs that many, SIMULATION_FROM=n starts there. run.ts replays one of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULT_EFFECTS, FAULT_KINDS, type FaultKind } from "./faults.ts";
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

/** Runs that once failed, with what was wrong in production code. */
const REGRESSIONS: readonly (readonly [string, SimulationOptions])[] = [
  [
    "a cluster that stops between its first election and its first commit elects again",
    {
      seed: 1037,
      faults: ["drop", "delay", "kill-all", "restart-storm"] satisfies FaultKind[],
      durationMs: 3000,
    },
  ],
];

function explain(failed: SimulationRun): string {
  const smallest = shrink(failed);
  const { lines } = simulate({ ...smallest, trace: true });
  return [
    `seed ${failed.seed}: ${failed.violation?.message}`,
    ...lines.slice(-LAST_LINES),
    `smallest: ${smallest.violation?.message}`,
    `replay: ${replayCommand(smallest)}`,
    `all of it: ${replayCommand(failed)}`,
  ].join("\n");
}

function holds(options: SimulationOptions): SimulationRun {
  const run = simulate(options);
  if (run.violation !== undefined) assert.fail(explain(run));
  return run;
}

test(`every promise holds over ${SEEDS} seeds`, (t) => {
  const tally = new Tally();
  const startedUs = process.cpuUsage();
  let virtualMs = 0;
  let judged = 0;
  for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
    const run = holds({ seed });
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

test("two runs of one seed are the same, event for event, and a trace changes nothing", () => {
  for (const seed of DETERMINISM_SEEDS) {
    const first = simulate({ seed });
    const second = simulate({ seed, trace: true });
    assert.ok(first.entries > 1, `seed ${seed} does something`);
    assert.equal(second.hash, first.hash, `seed ${seed}`);
    assert.equal(second.events, first.events, `seed ${seed}`);
    assert.ok(second.lines.length > first.entries, `seed ${seed} leaves a trace`);
  }
  const hashes = new Set(DETERMINISM_SEEDS.map((seed) => simulate({ seed }).hash));
  assert.equal(hashes.size, DETERMINISM_SEEDS.length, "seeds differ");
});

for (const [name, options] of REGRESSIONS) {
  test(name, () => {
    holds(options);
  });
}
