/** A crash at every operation of a whole life, and what recovery makes of what is left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { donateSnapshot } from "./testing/donor.ts";
import { ScriptedRun, wholeLife } from "./testing/scripted-run.ts";
import type { CrashKeeps } from "./testing/simulated-disk.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const KEEPS: readonly CrashKeeps[] = ["everything", "nothing", "prefix", "subset", "zeros"];
const SEEDS_PER_MODE = 2;
/** Few operations, and what each leaves behind has many shapes. */
const FIRST_BOOT_SEEDS = 20;
const donated = donateSnapshot(40, 3);

function countCalls(seed: number): number {
  const run = new ScriptedRun(new SimulatedFileSystem(), seed);
  wholeLife(run, donated);
  assert.deepEqual(run.failures, []);
  return run.fileSystem.calls;
}

/** Recovers, goes on a little, and recovers once more. */
function goOn(run: ScriptedRun, context: string, seed: number): void {
  const random = new SeededRandom(seed);
  const crashAt = 1 + random.below(12);
  const keeps = KEEPS[random.below(KEEPS.length)] ?? "nothing";
  // Dying during recovery: nothing that was proven may get lost on the way.
  const dying = new ScriptedRun(
    run.fileSystem.restart(keeps, random, { crashAt }),
    seed,
    run.model,
  );
  dying.step(() => dying.open());
  const next = new ScriptedRun(dying.fileSystem.restart(keeps, random), seed, run.model);
  next.recover(`${context}, again ${keeps} at ${crashAt}`);
  const from = next.model.lastIndex + 1;
  next.step(() => {
    next.vote(next.storage.restored.hardState.term + 1, 1);
    next.append(9, from, 3);
  });
  assert.equal(next.fileSystem.hasCrashed, false);
  const last = new ScriptedRun(next.fileSystem.restart("nothing", random), seed, run.model);
  last.recover(`${context}, gone on`);
  assert.equal(last.model.lastIndex, from + 2, context);
}

/** Says in which crash it happened. */
function within(context: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new Error(`${context}: ${String(error)}`, { cause: error });
  }
}

test("a whole life without a crash is found again as it was", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  wholeLife(run, donated);
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  const next = new ScriptedRun(after, 1, run.model);
  next.recover("closed");
  assert.equal(next.model.lastIndex, 52);
  assert.equal(next.storage.snapshot?.metadata.index, 45);
});

test("a crash at every operation loses nothing acknowledged and never stops recovery", () => {
  const calls = countCalls(1);
  let recoveries = 0;
  for (let crashAt = 1; crashAt <= calls; crashAt += 1) {
    for (const keeps of KEEPS) {
      const seeds = keeps === "everything" || keeps === "nothing" ? 1 : SEEDS_PER_MODE;
      for (let seed = 1; seed <= seeds; seed += 1) {
        const run = new ScriptedRun(new SimulatedFileSystem({ crashAt }), 1);
        wholeLife(run, donated);
        const context = `crash at ${run.fileSystem.trace.at(-1)}, ${keeps}, seed ${seed}`;
        const after = run.fileSystem.restart(keeps, new SeededRandom(seed * 1000 + crashAt));
        const next = new ScriptedRun(after, seed, run.model);
        within(context, () => next.recover(context));
        next.step(() => next.settle());
        within(`${context}, going on`, () => goOn(next, context, seed * 77 + crashAt));
        recoveries += 1;
      }
    }
  }
  assert.ok(recoveries > 500, `${recoveries} recoveries over ${calls} operations`);
});

test("a crash at every operation of the first boot leaves a directory that can start", () => {
  const plain = new ScriptedRun(new SimulatedFileSystem(), 1);
  plain.step(() => plain.open());
  for (let crashAt = 1; crashAt <= plain.fileSystem.calls; crashAt += 1) {
    for (const keeps of KEEPS) {
      for (let seed = 1; seed <= FIRST_BOOT_SEEDS; seed += 1) {
        const run = new ScriptedRun(new SimulatedFileSystem({ crashAt }), seed);
        run.step(() => run.open());
        const context = `crash at ${run.fileSystem.trace.at(-1)}, ${keeps}, seed ${seed}`;
        const after = run.fileSystem.restart(keeps, new SeededRandom(seed * 1000 + crashAt));
        const next = new ScriptedRun(after, seed, run.model);
        within(context, () => next.recover(context));
      }
    }
  }
});
