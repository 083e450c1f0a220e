/**
 * Seeded random runs of whole clusters, every property checked after every step.
 *
 * RAFT_SEED=n replays one seed and prints its whole trace when it fails;
 * RAFT_SEEDS=n runs that many.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Coverage } from "./testing/coverage.ts";
import { ViolationError } from "./testing/history.ts";
import { KINDS, runSeed } from "./testing/swarm.ts";

const only = process.env["RAFT_SEED"];
const seeds = Number(process.env["RAFT_SEEDS"] ?? 2000);
const DETERMINISM_SEEDS = 20;

test(`every property holds over ${only === undefined ? `${seeds} seeds` : `seed ${only}`}`, (t) => {
  const first = only === undefined ? 1 : Number(only);
  const last = only === undefined ? seeds : first;
  const coverage = new Coverage();
  const startedUs = process.cpuUsage().user;
  for (let seed = first; seed <= last; seed += 1) {
    try {
      coverage.add(runSeed(seed, false).coverage);
    } catch (error) {
      if (only !== undefined && error instanceof ViolationError)
        t.diagnostic(error.trace.join("\n"));
      throw error;
    }
  }
  const cpuMs = (process.cpuUsage().user - startedUs) / 1000;
  t.diagnostic(`${last - first + 1} seeds in ${Math.round(cpuMs)} ms of CPU`);
  t.diagnostic(coverage.report());
  if (last - first + 1 < 1000) return;
  const silent = KINDS.filter((kind) => !coverage.counts.has(kind));
  assert.deepEqual(silent, [], "every kind of fault fires");
});

test("two runs of one seed give the same trace, byte for byte", () => {
  for (let seed = 1; seed <= DETERMINISM_SEEDS; seed += 1) {
    const { trace } = runSeed(seed, true);
    assert.ok(trace.length > 50, `seed ${seed} does something`);
    assert.equal(runSeed(seed, true).trace.join("\n"), trace.join("\n"), `seed ${seed}`);
  }
});
