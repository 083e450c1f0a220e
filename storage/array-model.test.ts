/** The log against a plain array: random appends, truncations, rolls, snapshots and restarts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { ScriptedRun } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const SEEDS = 40;
const STEPS = 60;

function randomStep(run: ScriptedRun, random: SeededRandom, term: number): void {
  const { model } = run;
  const last = model.lastIndex;
  const covered = run.storage.snapshot?.metadata.index ?? 0;
  switch (random.below(8)) {
    case 0:
      // A conflict: the tail is replaced, down to what a snapshot covers.
      run.append(term, covered + 1 + random.below(last - covered + 1), 1 + random.below(3));
      return;
    case 1:
      if (last > covered) run.save(covered + 1 + random.below(last - covered));
      return;
    case 2:
      run.compact(random.below(covered + 1));
      return;
    case 3:
      run.pause();
      return;
    case 4:
      run.vote(term, 1 + random.below(3));
      return;
    default:
      run.append(term, last + 1, 1 + random.below(6), random.below(1500));
  }
}

test("a log is what an array would be, however it is written and reopened", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const random = new SeededRandom(seed);
    let run = new ScriptedRun(new SimulatedFileSystem(), seed);
    run.open();
    for (let i = 1; i <= STEPS; i += 1) {
      // Not every step waits for the one before: batches gather.
      run.step(() => {
        randomStep(run, random, i);
        if (random.below(2) === 0 && run.model.lastIndex > 0) {
          run.append(i, run.model.lastIndex + 1, 1 + random.below(4));
        }
      });
      assert.deepEqual(run.failures, [], `seed ${seed}, step ${i}`);
      if (random.below(10) > 0) continue;
      if (random.below(2) === 0) run.step(() => run.close());
      const next = run.fileSystem.restart("nothing", random);
      run = new ScriptedRun(next, seed * 1000 + i, run.model);
      run.recover(`seed ${seed}, step ${i}`);
      run.settle();
    }
  }
});

test("a conflict below a later snapshot leaves the newer entry in the log", () => {
  // Entries 1 to 5 of term 1, 3 and 4 replaced in term 2, snapshot at (4, 2): the last is (4, 2).
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(1, 1, 5));
  run.step(() => run.append(2, 3, 2));
  run.step(() => run.save(4));
  run.step(() => run.compact(4));
  const next = new ScriptedRun(
    run.fileSystem.restart("nothing", new SeededRandom(1)),
    1,
    run.model,
  );
  next.recover("reopened");
  const last = next.storage.restored.entries.at(-1);
  assert.deepEqual([last?.index, last?.term], [4, 2]);
});

test("a commit index older than the snapshot is raised to it", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.persist({ term: 1, vote: 1, commitIndex: 2 }, true, []));
  run.step(() => run.append(1, 1, 6));
  run.step(() => run.save(5));
  const next = new ScriptedRun(run.fileSystem.restart("nothing", new SeededRandom(1)), 1);
  next.open();
  assert.equal(next.storage.restored.hardState.commitIndex, 5);
});

test("an entry larger than a segment gets a segment that holds it", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(1, 1, 2));
  run.step(() => {
    run.append(1, 3, 1, 100_000);
    run.append(1, 4, 3);
  });
  run.step(() => run.append(1, 7, 3, 40_000));
  const next = new ScriptedRun(
    run.fileSystem.restart("nothing", new SeededRandom(1)),
    1,
    run.model,
  );
  next.recover("reopened");
  assert.equal(next.model.lastIndex, 9);
});

test("what is persisted during a write goes out together in the next one", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.open();
  run.settle();
  const before = run.storage.statistics.batches;
  for (let i = 0; i < 10; i += 1) run.append(1, 1 + i, 1, 10);
  run.settle();
  assert.equal(run.storage.statistics.batches - before, 2);
});

test("callbacks come in the order of the calls, also those that need no write", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.open();
  run.settle();
  const order: number[] = [];
  const { storage } = run;
  const commit = (commitIndex: number) => ({
    hardState: { term: 0, vote: 0, commitIndex },
    mustSyncHardState: false,
    entries: [],
  });
  const entry = (index: number) => ({
    hardState: undefined,
    mustSyncHardState: false,
    entries: [{ type: "noop", group: 0, term: 1, index, time: 0 } as const].map((e) => ({ ...e })),
  });
  storage.persist(commit(0), () => order.push(0));
  assert.equal(order.length, 0, "never before the call returns");
  storage.persist(entry(1), () => {
    order.push(1);
    storage.persist(commit(1), () => order.push(5));
  });
  storage.persist(commit(1), () => order.push(2));
  storage.persist(entry(2), () => order.push(3));
  storage.persist(commit(2), () => order.push(4));
  run.settle();
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
});

test("compaction through any index keeps every entry behind it", () => {
  const before = 20;
  const after = 40;
  for (let through = 1; through <= before; through += 1) {
    const run = new ScriptedRun(new SimulatedFileSystem(), 1);
    run.step(() => run.open());
    run.step(() => run.vote(1, 1));
    const grow = (from: number, to: number): void => {
      // A page each, so that segments end at many different indexes.
      for (let index = from; index <= to; index += 1) run.step(() => run.append(1, index, 1, 900));
    };
    grow(1, before);
    run.step(() => run.save(through));
    run.step(() => run.compact(through));
    // What was dropped is used again.
    grow(before + 1, after);
    run.step(() => run.close());
    run.step(() => run.recover(`compacted through ${through}`));
    assert.equal(run.model.lastIndex, after);
  }
});
