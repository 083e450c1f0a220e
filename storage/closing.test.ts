/** After `close` is done, nothing of a storage touches its directory: the next one may be open. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import type { ReceivedSnapshot } from "./contract.ts";
import { donateSnapshot } from "./testing/donor.ts";
import { DIRECTORY, describe, ScriptedRun } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const SEEDS = 40;
const PIECE_BYTES = 300;

function opened(seed: number): ScriptedRun {
  const run = new ScriptedRun(new SimulatedFileSystem(), seed);
  run.step(() => run.open());
  return run;
}

/** Closes in the middle of things and lets everything end; nothing may follow the end. */
function closeAndSettle(run: ScriptedRun, context: string): void {
  const { fileSystem } = run;
  const ends: number[] = [];
  run.storage.close(() => ends.push(fileSystem.calls));
  run.settle();
  assert.deepEqual(ends, [fileSystem.calls], `${context}: closed once, and nothing follows`);
  assert.deepEqual(run.failures, [], context);
}

function leftovers(run: ScriptedRun): readonly string[] {
  return run.fileSystem.listSync(DIRECTORY).filter((name) => name.endsWith(".tmp"));
}

/** Feeds a snapshot as a connection would: the next piece when the last one was taken. */
function feed(run: ScriptedRun, bytes: Buffer, received: ReceivedSnapshot[]): void {
  const sink = run.storage.receiveSnapshot();
  const more = (at: number): void => {
    if (at >= bytes.length) {
      sink.finish((_error, whole) => {
        if (whole !== undefined) received.push(whole);
      });
      return;
    }
    sink.write(bytes.subarray(at, at + PIECE_BYTES), (error) => {
      if (error === undefined) more(at + PIECE_BYTES);
    });
  };
  more(0);
}

test("a snapshot that is being received is given up when the files are closed", () => {
  const bytes = donateSnapshot(40, 3);
  for (let turns = 0; turns < 12; turns += 1) {
    const run = opened(turns + 1);
    const received: ReceivedSnapshot[] = [];
    feed(run, bytes, received);
    for (let turn = 0; turn < turns; turn += 1) run.fileSystem.deliver();
    closeAndSettle(run, `${turns} turns`);
    // What came whole before the end is the next start's to remove.
    if (received.length === 0) assert.deepEqual(leftovers(run), [], `${turns} turns`);
  }
});

test("a sender that is silent does not hold up the end", () => {
  const run = opened(1);
  const sink = run.storage.receiveSnapshot();
  sink.write(donateSnapshot(40, 3).subarray(0, PIECE_BYTES), () => {});
  run.settle();
  assert.equal(leftovers(run).length, 1);
  closeAndSettle(run, "silent");
  assert.deepEqual(leftovers(run), []);
});

test("once closed, nothing is received and nothing discarded any more", () => {
  const run = opened(1);
  const bytes = donateSnapshot(40, 3);
  const received: ReceivedSnapshot[] = [];
  feed(run, bytes, received);
  run.settle();
  closeAndSettle(run, "first");
  const { calls } = run.fileSystem;
  feed(run, bytes, received);
  run.settle();
  const [whole] = received;
  assert.ok(whole !== undefined && received.length === 1);
  run.storage.discardSnapshot(whole);
  run.settle();
  assert.equal(run.fileSystem.calls, calls);
});

test("a disk that turns out to be full while closing ends the wait for room", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const run = opened(seed);
    run.step(() => {
      run.fileSystem.limitRoom(0);
      run.append(1, 1, 40, 900);
      for (let turn = 0; turn < seed % 8; turn += 1) run.fileSystem.deliver();
      closeAndSettle(run, `seed ${seed}`);
    });
    const after = run.fileSystem.restart("nothing", new SeededRandom(seed));
    new ScriptedRun(after, seed, run.model).recover(`seed ${seed}`);
  }
});

test("an installation whose turn comes while closing does not begin", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const run = opened(seed);
    const received: ReceivedSnapshot[] = [];
    feed(run, donateSnapshot(40, 3), received);
    run.settle();
    const [whole] = received;
    assert.ok(whole !== undefined);
    run.fileSystem.limitRoom(0);
    // Into the prepared segment: the one after it finds no room, and there is some in this one.
    run.step(() => run.append(1, 1, 1));
    run.step(() => run.append(1, 2, 1));
    assert.ok(run.reports.some(({ kind }) => kind === "allocation-failed"));
    const calls: string[] = [];
    const hardState = { term: 1, vote: 1, commitIndex: 0 };
    run.storage.persist({ hardState, mustSyncHardState: true, entries: [] }, () => {
      calls.push("durable");
      run.storage.installSnapshot(whole, () => {}, assert.fail);
    });
    closeAndSettle(run, `seed ${seed}`);
    assert.deepEqual(calls, ["durable"]);
    assert.equal(run.storage.snapshot, undefined, "it is left to the leader to send it again");
  }
});

const LARGE = { chunks: 24, chunkBytes: 256 * 1024 } as const;

function* largeState(): IterableIterator<Uint8Array> {
  for (let n = 0; n < LARGE.chunks; n += 1) yield Buffer.alloc(LARGE.chunkBytes, n);
}

/** Steps until `what` was called, and no further. */
function stepUntil(run: ScriptedRun, what: string): void {
  const isThere = (): boolean => run.fileSystem.trace.some((line) => line.endsWith(what));
  while (!isThere()) run.fileSystem.deliver();
}

/** How many completions the end waits for. */
function stepsToEnd(run: ScriptedRun): number {
  let isClosed = false;
  run.storage.close(() => {
    isClosed = true;
  });
  let steps = 0;
  for (; !isClosed; steps += 1) {
    if (run.fileSystem.completionsDue === 0) assert.ok(run.clock.runSoon(), "it goes on");
    run.fileSystem.deliver();
  }
  return steps;
}

test("a large snapshot is not read to its end when the files are closed", () => {
  const saving = opened(1);
  const description = describe(10, 1, 0);
  saving.storage.saveSnapshot(description, largeState(), () => {});
  stepUntil(saving, "sync snapshot-save-1.tmp");
  const saved = stepsToEnd(saving);
  assert.ok(saved < LARGE.chunks, `${saved} steps to the end of a save`);
  assert.deepEqual(leftovers(saving), []);

  const donor = opened(1);
  donor.step(() => donor.storage.saveSnapshot(description, largeState(), () => {}));
  const name = donor.fileSystem.listSync(DIRECTORY).find((found) => found.startsWith("snapshot-"));
  assert.ok(name !== undefined);
  const installing = opened(1);
  const sink = installing.storage.receiveSnapshot();
  installing.step(() => sink.write(donor.fileSystem.bytesOf(`${DIRECTORY}/${name}`), () => {}));
  let pieces = 0;
  sink.finish((_error, whole) => {
    assert.ok(whole !== undefined);
    installing.storage.installSnapshot(whole, () => (pieces += 1), assert.fail);
  });
  while (pieces === 0) installing.fileSystem.deliver();
  const installed = stepsToEnd(installing);
  assert.ok(installed < LARGE.chunks, `${installed} steps to the end of an installation`);
});

test("the removal of evidence is finished before the end", () => {
  const evidence = (run: ScriptedRun): readonly string[] =>
    run.fileSystem.listSync(DIRECTORY).filter((name) => name.startsWith("damaged-"));
  for (let turns = 0; turns < 8; turns += 1) {
    const run = opened(turns + 1);
    for (const name of ["a", "b", "c"]) {
      run.fileSystem.plant(`${DIRECTORY}/damaged-${name}`, Buffer.from(name));
    }
    run.vote(1, 1);
    run.storage.markWhole(() => {});
    for (let turn = 0; turn < turns; turn += 1) run.fileSystem.deliver();
    closeAndSettle(run, `${turns} turns`);
    assert.deepEqual(evidence(run), []);
  }
});
