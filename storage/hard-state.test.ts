/** Term and vote stand in two places, either of which is enough. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { HARD_STATE_FILE, readHardStateFile } from "./hard-state-file.ts";
import { recoverLog } from "./log-recovery.ts";
import { CLUSTER, DIRECTORY, ScriptedRun } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const IDENTITY = { clusterId: CLUSTER, nodeId: 1, incarnation: 7 };
const nothing = (): void => {};

function inFile(fileSystem: SimulatedFileSystem): readonly [number, number] {
  const stored = readHardStateFile(fileSystem, DIRECTORY, IDENTITY, nothing);
  return [stored?.hardState.term ?? 0, stored?.hardState.vote ?? 0];
}

function inLog(fileSystem: SimulatedFileSystem): readonly [number, number] {
  const place = {
    fileSystem,
    directory: DIRECTORY,
    identity: IDENTITY,
    newestSegment: 0,
    oldestSegment: 0,
  };
  const { hardState } = recoverLog({ ...place, onReport: nothing });
  return [hardState?.term ?? 0, hardState?.vote ?? 0];
}

test("a vote counts only when both copies are durable, whichever is done first", () => {
  for (const first of [0, 1]) {
    const run = new ScriptedRun(new SimulatedFileSystem(), 1);
    run.step(() => run.open());
    let isDone = false;
    const hardState = { term: 3, vote: 2, commitIndex: 0 };
    run.storage.persist({ hardState, mustSyncHardState: true, entries: [] }, () => {
      isDone = true;
    });
    assert.equal(run.fileSystem.completionsDue, 2, "both writes are on their way at once");
    run.fileSystem.deliver(first);
    assert.equal(isDone, false);
    run.fileSystem.deliver();
    assert.equal(isDone, true);
    const after = run.fileSystem.restart("nothing", new SeededRandom(1));
    assert.deepEqual(
      [inFile(after), inLog(after)],
      [
        [3, 2],
        [3, 2],
      ],
    );
  }
});

test("the log keeps the hard state when the segment it was written to is gone", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.vote(5, 3));
  for (let i = 0; i < 12; i += 1) run.step(() => run.append(5, 1 + 3 * i, 3, 900));
  run.step(() => run.save(30));
  run.step(() => run.compact(30));
  run.step(() => run.append(5, 37, 3, 900));
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  assert.deepEqual(inLog(after), [5, 3]);
  after.flipBit(`${DIRECTORY}/${HARD_STATE_FILE}`, 200);
  assert.deepEqual(inFile(after), [5, 3]);
});

test("a commit index alone is no reason to sync, and goes with the next write", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(1, 1, 3));
  const { fsyncs } = run.storage.statistics;
  let isDone = false;
  const hardState = { term: 0, vote: 0, commitIndex: 3 };
  run.step(() => {
    run.storage.persist({ hardState, mustSyncHardState: false, entries: [] }, () => {
      isDone = true;
    });
  });
  assert.equal(isDone, true);
  assert.equal(run.storage.statistics.fsyncs, fsyncs);
  run.step(() => run.append(1, 4, 1));
  const next = new ScriptedRun(run.fileSystem.restart("nothing", new SeededRandom(1)), 1);
  next.open();
  assert.equal(next.storage.restored.hardState.commitIndex, 3);
});

test("a copy that the disk can not read is damaged like any other", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.vote(5, 3));
  const path = `${DIRECTORY}/${HARD_STATE_FILE}`;
  for (const slot of [0, 1]) {
    const next = new ScriptedRun(run.fileSystem.restart("nothing", new SeededRandom(1)), 1);
    next.fileSystem.breakReads(path, 4096 * slot, 4096);
    next.open();
    assert.equal(next.storage.restored.hardState.term, 5);
    assert.ok(next.reports.some((report) => report.kind === "hard-state-slot-repaired"));
  }
  const both = new ScriptedRun(run.fileSystem.restart("nothing", new SeededRandom(1)), 1);
  both.fileSystem.breakReads(path, 0, 8192);
  assert.throws(() => both.open(), { code: "hard-state-lost" });
});
