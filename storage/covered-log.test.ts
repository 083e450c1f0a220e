/** A log read with a snapshot at hand: what the snapshot covers is left out, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { type RecoveredLog, recoverLog } from "./log-recovery.ts";
import { donateSnapshot } from "./testing/donor.ts";
import { CLUSTER, DIRECTORY, ScriptedRun } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const SEEDS = 20;
const STEPS = 40;

function read(fileSystem: SimulatedFileSystem, coveredIndex: number): RecoveredLog {
  return recoverLog({
    fileSystem,
    directory: DIRECTORY,
    identity: { clusterId: CLUSTER, nodeId: 1, incarnation: 7 },
    newestSegment: 0,
    oldestSegment: 0,
    coveredIndex,
    onReport: () => {},
  });
}

function summary({ start, entries, entryChain }: RecoveredLog, from: number) {
  const lastIndex = (start?.index ?? 0) + entries.length;
  const kept = entries.filter(({ index }) => index >= from);
  return {
    lastIndex,
    last: entryChain.at(lastIndex),
    entries: kept.map(({ index, term }) => `${index}/${term}`),
    bytes: Buffer.concat(kept.map(({ encoded }) => encoded ?? Buffer.alloc(0))),
  };
}

/** Conflicts reach below what any snapshot covers, as they may have before it was taken. */
function randomStep(run: ScriptedRun, random: SeededRandom, term: number): void {
  const { lastIndex, last } = run.model;
  switch (random.below(8)) {
    case 0:
    case 1:
      run.append(term, last.base + 1 + random.below(lastIndex - last.base + 1), random.below(4));
      return;
    case 2:
      run.vote(term, 1 + random.below(3));
      return;
    case 3: {
      if (random.below(4) > 0) return;
      const index = Math.max(lastIndex, run.storage.snapshot?.metadata.index ?? 0) + 3;
      run.install(donateSnapshot(index, term), index, term);
      return;
    }
    default:
      run.append(term, lastIndex + 1, 1 + random.below(6), random.below(1500));
  }
}

test("what is covered is left out, and all the rest is as without a snapshot", () => {
  let leftOut = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const random = new SeededRandom(seed);
    const run = new ScriptedRun(new SimulatedFileSystem(), seed);
    run.step(() => run.open());
    for (let term = 1; term <= STEPS; term += 1) {
      run.step(() => {
        randomStep(run, random, term);
        if (random.below(2) === 0) run.append(term, run.model.lastIndex + 1, 1 + random.below(3));
      });
    }
    const whole = read(run.fileSystem, 0);
    for (let covered = 1; covered <= run.model.lastIndex + 2; covered += 1) {
      const part = read(run.fileSystem, covered);
      const context = `seed ${seed}, covered up to ${covered}`;
      const start = whole.start?.index ?? 0;
      const from = Math.max(covered, start + 1);
      assert.deepEqual(summary(part, from), summary(whole, from), context);
      assert.deepEqual(part.hardState, whole.hardState, context);
      assert.deepEqual([part.chain, part.nextBatch], [whole.chain, whole.nextBatch], context);
      // The snapshot's own entry is still there to be compared with.
      const own = Math.max(start, Math.min(covered, run.model.lastIndex));
      assert.deepEqual(part.entryChain.at(own), whole.entryChain.at(own), context);
      leftOut += whole.entries.length - part.entries.length;
    }
  }
  assert.ok(leftOut > 3_000, `${leftOut} entries were left out`);
});

test("entries that were replaced below what is covered do not come back", () => {
  // Of the second term there is nothing behind what the snapshot covers.
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(1, 1, 9));
  run.step(() => run.append(2, 4, 2));
  const { start, entries } = read(run.fileSystem, 7);
  assert.deepEqual([start?.index, start?.term, entries.length], [5, 2, 0]);
});

test("a segment that is wholly covered counts up to its last entry, so that it can be dropped", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  for (let index = 1; index <= 30; index += 1) run.step(() => run.append(1, index, 1, 900));
  const last = (log: RecoveredLog) => log.segments.map(({ lastIndex }) => lastIndex);
  const whole = last(read(run.fileSystem, 0));
  assert.ok(whole.length > 2, `${whole.length} segments`);
  assert.deepEqual(last(read(run.fileSystem, 29)), whole);
});
