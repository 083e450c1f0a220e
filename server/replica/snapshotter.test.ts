import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Configuration,
  DEFAULT_RAFT_CONFIG,
  type Entry,
  RaftNode,
  SeededRandom,
} from "../../raft/index.ts";
import { openStorage, type ReceivedSnapshot } from "../../storage/index.ts";
import { donateSnapshot } from "../../storage/testing/donor.ts";
import { ManualClock } from "../../storage/testing/manual-clock.ts";
import { SimulatedFileSystem } from "../../storage/testing/simulated-file-system.ts";
import type { ReplicatedMachine } from "./options.ts";
import { Snapshotter } from "./snapshotter.ts";

const CLUSTER = "cluster-1";
const DONATED_INDEX = 40;
const MIB = 1024 * 1024;
const ENTRY: Entry = {
  type: "command",
  group: 0,
  term: 1,
  index: 1,
  time: 0,
  data: new Uint8Array(8),
  encoded: new Uint8Array(100_000),
};

const machine: ReplicatedMachine<string> = {
  revision: 0,
  hash: { version: 1, value: "" },
  apply: () => {},
  nextDeadline: () => undefined,
  capture: () => ({
    summary: new Uint8Array(),
    chunks: () => [][Symbol.iterator](),
    release: () => {},
  }),
  beginRestore: () => ({ chunk: () => {}, end: () => {} }),
};

function openOn(fileSystem: SimulatedFileSystem) {
  return openStorage({
    directory: "/data",
    fileSystem,
    clock: new ManualClock(),
    clusterId: CLUSTER,
    nodeId: 1,
    mintIncarnation: () => 7,
    onFailure: (error) => assert.fail(error),
  });
}

function setUp(everyEntries = 1, fileSystem = new SimulatedFileSystem(), stateBytes = 0) {
  const storage = openOn(fileSystem);
  const initialConfiguration: Configuration = { members: [] };
  const config = { ...DEFAULT_RAFT_CONFIG, id: 1, initialTime: 0, initialConfiguration };
  const node = new RaftNode(config, storage.restored, new SeededRandom(1), 0);
  const policy = { everyEntries, everyBytes: 1e9, smallSegmentsMax: 32, retainedEntries: 100 };
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const turns = { asked: 0 };
  const askTurn = () => {
    turns.asked += 1;
  };
  const chunks = () => [new Uint8Array(stateBytes)][Symbol.iterator]();
  const capture = () => ({ ...machine.capture(), chunks });
  const parts = { node, storage, machine: { ...machine, capture }, policy, log, askTurn };
  const snapshotter = new Snapshotter(parts);
  return { fileSystem, storage, node, snapshotter, turns };
}

type SetUp = ReturnType<typeof setUp>;

/** Applies the one entry of a log and begins a snapshot of it. */
function takeFirst({ node, snapshotter }: SetUp): void {
  const { committedEntries } = node.ready();
  node.applied(1);
  snapshotter.applied(committedEntries);
  snapshotter.take(1, 0);
}

/** A leader's snapshot, whole on this disk and not installed yet. */
function receive({ fileSystem, storage }: SetUp): ReceivedSnapshot {
  const sink = storage.receiveSnapshot();
  const bytes = donateSnapshot(DONATED_INDEX, 1, CLUSTER);
  sink.write(bytes, (error) => assert.equal(error, undefined));
  fileSystem.run();
  const whole: ReceivedSnapshot[] = [];
  sink.finish((error, snapshot) => {
    assert.equal(error, undefined);
    if (snapshot !== undefined) whole.push(snapshot);
  });
  fileSystem.run();
  assert.ok(whole[0] !== undefined);
  return whole[0];
}

test("a snapshot is due when enough was applied", () => {
  const { snapshotter } = setUp();
  assert.equal(snapshotter.isDue(true), false);
  snapshotter.applied([ENTRY]);
  assert.equal(snapshotter.isDue(true), true);
});

test("entries are due at twice the snapshot before", () => {
  const parts = setUp(2, writtenLog(1), 4_000_000);
  const { fileSystem, storage, snapshotter } = parts;
  takeFirst(parts);
  fileSystem.run();
  const { snapshotBytes } = storage.statistics;
  assert.ok(snapshotBytes > 4_000_000, "it outweighs the segments by far");
  const entryOf = (length: number): Entry => ({ ...ENTRY, encoded: new Uint8Array(length) });
  snapshotter.applied([entryOf(snapshotBytes), entryOf(snapshotBytes - 1)]);
  assert.equal(snapshotter.isDue(true), false);
  snapshotter.applied([entryOf(1)]);
  assert.equal(snapshotter.isDue(true), true);
});

/** A disk with a log of `count` entries, all committed, each in a segment of its own. */
function writtenLog(count: number): SimulatedFileSystem {
  const fileSystem = new SimulatedFileSystem();
  for (let index = 1; index <= count; index += 1) {
    const storage = openOn(fileSystem);
    const entry: Entry = { type: "noop", group: 0, term: 1, index, time: 0 };
    const hardState = { term: 1, vote: 0, commitIndex: index };
    storage.persist({ hardState, mustSyncHardState: true, entries: [entry] }, () => {});
    fileSystem.run();
    storage.close(() => {});
    fileSystem.run();
  }
  return fileSystem;
}

test("what becomes due while a snapshot is saved is looked at when it is saved", () => {
  const parts = setUp(1, writtenLog(1));
  const { fileSystem, snapshotter, turns } = parts;
  takeFirst(parts);
  snapshotter.applied([ENTRY]);
  assert.deepEqual([snapshotter.isDue(true), turns.asked], [false, 0], "one at a time");
  fileSystem.run();
  assert.deepEqual([snapshotter.isDue(true), turns.asked], [true, 1]);
});

test("small batches count by what they take on the disk", () => {
  const parts = setUp(1, writtenLog(1), 1_000_000);
  const { fileSystem, storage } = parts;
  takeFirst(parts);
  fileSystem.run();
  const before = storage.statistics.bytesWritten;
  growUntilDue(parts);
  const { snapshotBytes, bytesWritten } = storage.statistics;
  const written = bytesWritten - before;
  assert.ok(written >= 4 * snapshotBytes && written < 4 * snapshotBytes + 10_000, `${written}`);
});

/** Entry after entry, each in a flush of its own. */
function growUntilDue({ fileSystem, storage, snapshotter }: SetUp): void {
  for (let index = 2; !snapshotter.isDue(true); index += 1) {
    assert.ok(index < 2_000, "a snapshot is due in time");
    const entry: Entry = { type: "noop", group: 0, term: 1, index, time: 0 };
    const batch = { hardState: undefined, mustSyncHardState: false, entries: [entry] };
    storage.persist(batch, () => snapshotter.applied([entry]));
    fileSystem.run();
  }
}

test("a log of many pages is due before its entries are many", () => {
  const parts = setUp(5_000, writtenLog(1));
  const { fileSystem, storage } = parts;
  takeFirst(parts);
  fileSystem.run();
  const before = storage.statistics.bytesWritten;
  growUntilDue(parts);
  const written = storage.statistics.bytesWritten - before;
  assert.ok(written >= 2 * MIB && written < 2 * MIB + 10_000, `${written} bytes`);
});

test("who wants no snapshots for so many entries wants none for their pages", () => {
  const { node, snapshotter } = setUp(1_000_000, writtenLog(5));
  snapshotter.applied(node.ready().committedEntries);
  assert.equal(snapshotter.isDue(true), false);
});

test("what a start finds in the log counts as written since the last snapshot", () => {
  const { node, snapshotter } = setUp(5_000, writtenLog(5));
  snapshotter.applied(node.ready().committedEntries);
  assert.equal(snapshotter.isDue(true), true, "five segments of a mebibyte");
});

test("clients come first: a node that has not caught up takes none", () => {
  const { snapshotter } = setUp();
  snapshotter.applied([ENTRY]);
  assert.deepEqual([snapshotter.isDue(false), snapshotter.isDue(true)], [false, true]);
});

test("the tail of the log is no longer than what led to the snapshot", () => {
  const { fileSystem, node, snapshotter } = setUp(1, writtenLog(30));
  const { committedEntries } = node.ready();
  const firstIndexes: number[] = [];
  for (const [from, index] of [
    [0, 20],
    [20, 30],
  ] as const) {
    snapshotter.applied(committedEntries.slice(from, index));
    node.applied(index);
    snapshotter.take(index, 0);
    fileSystem.run();
    firstIndexes.push(node.status().firstIndex);
  }
  assert.deepEqual(firstIndexes, [1, 21]);
});

test("a log in many small pieces goes behind a snapshot, tail and all", () => {
  const fileSystem = writtenLog(40);
  const { storage, node, snapshotter } = setUp(1000, fileSystem);
  assert.ok(storage.statistics.segments > 32);
  const { committedEntries } = node.ready();
  assert.equal(committedEntries.length, 40);
  node.applied(40);
  assert.equal(snapshotter.isDue(true), false, "nothing was applied yet");
  snapshotter.applied(committedEntries);
  assert.equal(snapshotter.isDue(false), true, "also when it never catches up");
  snapshotter.take(40, 0);
  fileSystem.run();
  assert.equal(storage.snapshot?.metadata.index, 40);
  assert.equal(storage.statistics.segments, 1);
});

test("none is due while the leader's is being installed: the log it would name is gone", () => {
  const parts = setUp();
  const { fileSystem, snapshotter } = parts;
  snapshotter.received(receive(parts));
  snapshotter.applied([ENTRY]);
  const received = snapshotter.claim(DONATED_INDEX);
  assert.equal(snapshotter.isDue(true), false, "accepted by the core");
  let isInstalled = false;
  snapshotter.install(received, () => {
    isInstalled = true;
  });
  assert.equal(snapshotter.isDue(true), false, "on its way to the disk");
  fileSystem.run();
  assert.ok(isInstalled);
  assert.equal(snapshotter.isDue(true), false, "counts from the installed one");
  snapshotter.applied([ENTRY]);
  assert.equal(snapshotter.isDue(true), true);
});
