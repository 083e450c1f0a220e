/** The door of storage: a real disk, foreign directories, and snapshots that come over the wire. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Clock } from "../raft/index.ts";
import { SeededRandom } from "../raft/index.ts";
import type { ReceivedSnapshot } from "./contract.ts";
import { type DurableStorage, openStorage } from "./durable-storage.ts";
import { NodeFileSystem } from "./node-file-system.ts";
import { donateSnapshot } from "./testing/donor.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { CLUSTER, DIRECTORY, describe, ScriptedRun, stateOf } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const made: string[] = [];
after(() => {
  for (const directory of made) fs.rmSync(directory, { recursive: true, force: true });
});

/** Time stands still; the end of a turn is the real one. */
function turnClock(): Clock {
  const clock = new ManualClock();
  return {
    now: () => clock.now(),
    every: (intervalMs, run) => clock.every(intervalMs, run),
    after: (delayMs, run) => clock.after(delayMs, run),
    soon: (run) => void setImmediate(run),
  };
}

function openReal(directory: string): DurableStorage {
  return openStorage({
    directory,
    fileSystem: new NodeFileSystem(),
    clock: turnClock(),
    clusterId: CLUSTER,
    nodeId: 1,
    mintIncarnation: () => 7,
    onFailure: (error) => assert.fail(error),
    segmentBytes: [64 * 1024],
  });
}

test("on a real disk: append, roll, snapshot, compact, close, and find it all again", async () => {
  const directory = join(fs.mkdtempSync(join(tmpdir(), "raft-kv-storage-")), "data");
  made.push(join(directory, ".."));
  const first = openReal(directory);
  const writes: Promise<void>[] = [];
  for (let index = 1; index <= 300; index += 1) {
    const data = Buffer.alloc(500, index);
    const place = { group: 0, term: 1, index, time: index } as const;
    const entries = [{ ...place, type: "command", data } as const].map((entry) => ({ ...entry }));
    const hardState = index === 1 ? { term: 1, vote: 1, commitIndex: 0 } : undefined;
    const batch = { hardState, mustSyncHardState: index === 1, entries };
    writes.push(new Promise((resolve) => first.persist(batch, resolve)));
  }
  await Promise.all(writes);
  const { batches, segments } = first.statistics;
  assert.ok(batches < 300, `${batches} batches: writes are grouped`);
  assert.ok(segments > 1);
  const chunks = stateOf(290)[Symbol.iterator]();
  const error = await new Promise<Error | undefined>((resolve) => {
    first.saveSnapshot(describe(290, 1, 0), chunks, resolve);
  });
  assert.equal(error, undefined);
  first.compact(290);
  await new Promise<void>((resolve) => first.close(resolve));

  const second = openReal(directory);
  const { restored } = second;
  assert.equal(restored.entries.at(-1)?.index, 300);
  assert.ok((restored.entries[0]?.index ?? 0) > 1, "the front of the log was dropped");
  assert.deepEqual(restored.hardState, { term: 1, vote: 1, commitIndex: 290 });
  const state: Buffer[] = [];
  second.readSnapshot((chunk) => state.push(Buffer.from(chunk)));
  assert.deepEqual(Buffer.concat(state), Buffer.concat(stateOf(290)));
  await new Promise<void>((resolve) => second.close(resolve));
});

test("compaction does not wait for the segment that is about to begin", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  for (let index = 1; index <= 40; index += 4) run.step(() => run.append(1, index, 4, 900));
  run.step(() => run.save(38));
  const before = run.storage.statistics.segments;
  run.step(() => {
    let index = 41;
    for (; run.storage.statistics.segments === before; index += 1) {
      run.append(1, index, 1, 900);
      // The write that begins the next segment is on its way.
      if (run.storage.statistics.segments === before) run.settle();
    }
    run.compact(38);
    const { segments } = run.storage.statistics;
    assert.ok(segments < before, `${segments} of ${before} segments are left`);
  });
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  new ScriptedRun(after, 1, run.model).recover("while a segment begins");
});

test("what compaction began is finished before the files are closed", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const run = new ScriptedRun(new SimulatedFileSystem(), seed);
    run.step(() => run.open());
    for (let index = 1; index <= 40; index += 4) run.step(() => run.append(1, index, 4, 900));
    run.step(() => run.save(38));
    const { segments } = run.storage.statistics;
    assert.ok(segments > 2, `${segments} segments`);
    const closed = { isDone: false };
    run.step(() => {
      run.compact(38);
      run.storage.close(() => {
        closed.isDone = true;
      });
    });
    assert.ok(closed.isDone, `seed ${seed}: closed`);
    assert.deepEqual(run.failures, []);
    const after = run.fileSystem.restart("nothing", new SeededRandom(seed));
    const next = new ScriptedRun(after, seed, run.model);
    next.recover(`seed ${seed}`);
    const first = next.storage.restored.entries[0]?.index ?? 0;
    assert.ok(first > 1, `seed ${seed}: the front of the log was dropped`);
  }
});

test("a snapshot that is being saved is given up when the files are closed", () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const run = new ScriptedRun(new SimulatedFileSystem(), seed);
    run.step(() => run.open());
    run.step(() => run.append(1, 1, 12));
    const calls: string[] = [];
    run.step(() => {
      run.save(10);
      for (let turn = 0; turn < seed % 12; turn += 1) run.fileSystem.deliver();
      run.storage.close(() => calls.push(`closed after call ${run.fileSystem.calls}`));
    });
    const last = run.fileSystem.calls;
    assert.deepEqual(calls, [`closed after call ${last}`], `seed ${seed}: then nothing more`);
    const left = run.fileSystem.listSync(DIRECTORY).filter((name) => name.endsWith(".tmp"));
    assert.deepEqual(left, [], `seed ${seed}`);
    const after = run.fileSystem.restart("nothing", new SeededRandom(seed));
    new ScriptedRun(after, seed, run.model).recover(`seed ${seed}`);
  }
});

function openAs(fileSystem: SimulatedFileSystem, clusterId: string, nodeId: number): void {
  openStorage({
    directory: DIRECTORY,
    fileSystem,
    clock: new ManualClock(),
    clusterId,
    nodeId,
    mintIncarnation: () => 8,
    onFailure: (error) => assert.fail(error),
  });
}

test("a directory of another cluster or another node is refused", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  const next = () => run.fileSystem.restart("nothing", new SeededRandom(1));
  assert.throws(() => openAs(next(), "another", 1), { code: "identity-mismatch" });
  assert.throws(() => openAs(next(), CLUSTER, 2), { code: "identity-mismatch" });
  openAs(next(), CLUSTER, 1);
});

test("the incarnation is minted once and stays", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  const next = new ScriptedRun(run.fileSystem.restart("nothing", new SeededRandom(1)), 1);
  next.open();
  assert.deepEqual(next.storage.identity, { clusterId: CLUSTER, nodeId: 1, incarnation: 7 });
});

test("without its identity file a directory with a past is refused", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  after.unlinkSync(`${DIRECTORY}/identity`);
  assert.throws(() => new ScriptedRun(after, 1).open(), { code: "corruption" });
});

function receive(run: ScriptedRun, bytes: Buffer): { error?: Error; received?: ReceivedSnapshot } {
  const outcome: { error?: Error; received?: ReceivedSnapshot } = {};
  const sink = run.storage.receiveSnapshot();
  sink.write(bytes, (writeError) => {
    if (writeError !== undefined) {
      outcome.error = writeError;
      return;
    }
    sink.finish((error, received) => {
      if (error !== undefined) outcome.error = error;
      if (received !== undefined) outcome.received = received;
    });
  });
  run.settle();
  return outcome;
}

test("a snapshot that is damaged, cut or of another cluster is refused and removed", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  const good = donateSnapshot(40, 3);
  const flipped = Buffer.from(good);
  flipped[500] = (flipped[500] ?? 0) ^ 1;
  const bad = [flipped, good.subarray(0, good.length - 1), Buffer.concat([good, Buffer.alloc(1)])];
  for (const bytes of bad) assert.ok(receive(run, bytes).error !== undefined);
  const foreign = receive(run, donateSnapshot(40, 3, "another"));
  assert.equal(foreign.error?.name, "IdentityMismatchError");
  const left = (): readonly string[] =>
    run.fileSystem.listSync(DIRECTORY).filter((name) => name.endsWith(".tmp"));
  assert.deepEqual(left(), []);
  const { received } = receive(run, good);
  assert.equal(received?.description.metadata.index, 40);
  assert.equal(received?.byteLength, good.length);
  assert.equal(left().length, 1);
  if (received !== undefined) run.storage.discardSnapshot(received);
  run.settle();
  assert.deepEqual(left(), []);
});

test("a snapshot that agrees with the log keeps the entries behind it", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(3, 1, 45));
  run.step(() => run.install(donateSnapshot(40, 3), 40, 3));
  const next = new ScriptedRun(
    run.fileSystem.restart("nothing", new SeededRandom(1)),
    1,
    run.model,
  );
  next.recover("installed");
  assert.equal(next.storage.restored.entries.at(-1)?.index, 45);
});

test("a snapshot that contradicts the log restarts it", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(2, 1, 45));
  run.step(() => {
    run.install(donateSnapshot(40, 3), 40, 3);
  });
  run.step(() => run.append(3, 41, 2));
  const next = new ScriptedRun(
    run.fileSystem.restart("nothing", new SeededRandom(1)),
    1,
    run.model,
  );
  next.recover("installed");
  assert.deepEqual(
    next.storage.restored.entries.map((entry) => entry.index),
    [41, 42],
  );
});
