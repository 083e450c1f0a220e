/** Every single flipped bit is detected, and never taken for a tear. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { surveyDamage } from "./damage-survey.ts";
import { CorruptionError } from "./errors.ts";
import { HARD_STATE_FILE, readHardStateFile } from "./hard-state-file.ts";
import { IDENTITY_FILE } from "./identity-file.ts";
import type { StorageReport } from "./report.ts";
import { classifySector } from "./sector.ts";
import { type SegmentHeader, segmentSequence } from "./segment-header.ts";
import { scanSegment, scanSegmentHeader } from "./segment-scan.ts";
import { SnapshotParser } from "./snapshot-parser.ts";
import { donateSnapshot } from "./testing/donor.ts";
import { DIRECTORY, ScriptedRun } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

/** Two segments with batches, a recycled one with stale sectors among them, a snapshot. */
function smallLife(): ScriptedRun {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.vote(1, 1));
  for (let i = 0; i < 8; i += 1) run.step(() => run.append(1, 1 + 3 * i, 3, 700));
  run.step(() => run.save(20));
  run.step(() => run.compact(20));
  for (let i = 8; i < 12; i += 1) run.step(() => run.append(1, 1 + 3 * i, 3, 500));
  run.step(() => run.pause());
  run.step(() => run.append(1, 37, 2));
  run.step(() => run.close());
  assert.deepEqual(run.failures, []);
  return run;
}

function segmentsOf(fileSystem: SimulatedFileSystem): readonly string[] {
  const names = fileSystem.listSync(DIRECTORY);
  return names
    .filter((name) => segmentSequence(name) !== undefined)
    .sort((a, b) => (a < b ? -1 : 1));
}

test("every bit of every log segment, used or not, is covered", () => {
  const { fileSystem } = smallLife();
  const files = segmentsOf(fileSystem).map((name) => {
    const path = `${DIRECTORY}/${name}`;
    return { path, bytes: fileSystem.bytesOf(path), sequence: segmentSequence(name) ?? 0 };
  });
  const kinds: string[] = [];
  // Half a million errors: their stack traces would take most of the time.
  Error.stackTraceLimit = 0;
  for (const [i, { path, bytes, sequence }] of files.entries()) {
    const next = files[i + 1];
    const follower = next === undefined ? undefined : headerOf(next.bytes, next.sequence);
    const end = follower?.previousSegment === sequence ? follower : undefined;
    kinds.push(scanSegment(bytes, sequence, path, end).kind);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const at = Math.floor(bit / 8);
      const before = bytes[at] ?? 0;
      bytes[at] = before ^ (1 << (bit % 8));
      const error = errorOf(() => scanSegment(bytes, sequence, path, end));
      bytes[at] = before;
      if (!(error instanceof CorruptionError)) assert.fail(`bit ${bit} of ${path}: ${error}`);
      assert.equal(error.file, path);
      assert.ok(error.offset <= at && at < error.offset + 512, `${at} is named ${error.offset}`);
    }
  }
  Error.stackTraceLimit = 10;
  assert.deepEqual(kinds, ["begun", "begun", "begun", "unbegun"]);
});

test("damage in the log keeps the node from starting", () => {
  const run = smallLife();
  for (const name of segmentsOf(run.fileSystem)) {
    const path = `${DIRECTORY}/${name}`;
    const bits = run.fileSystem.bytesOf(path).length * 8;
    const after = run.fileSystem.restart("nothing", new SeededRandom(1));
    for (let bit = 0; bit < bits; bit += 1009) {
      after.flipBit(path, bit);
      const next = new ScriptedRun(after, 1);
      assert.throws(() => next.open(), { code: "corruption", file: path }, `bit ${bit}`);
      assert.deepEqual(next.reports, [], "nothing was taken for a tear");
      after.flipBit(path, bit);
    }
  }
});

test("a damaged payload keeps its identity: what is lost and what is not is named", () => {
  const { fileSystem } = smallLife();
  const path = `${DIRECTORY}/${segmentsOf(fileSystem)[0]}`;
  const bytes = fileSystem.bytesOf(path);
  const at = bytes.indexOf("1/23 ");
  assert.ok(at > 0);
  fileSystem.flipBit(path, at * 8);
  const run = new ScriptedRun(fileSystem, 1);
  assert.throws(() => run.open(), CorruptionError);
  const { lost, prefix, islands } = surveyDamage(run.options);
  assert.deepEqual(
    lost.map(({ term, index }) => ({ term, index })),
    [{ term: 1, index: 23 }],
  );
  assert.deepEqual([prefix.at(-1)?.index, islands[0]?.[0]?.index], [22, 24]);
});

function headerOf(bytes: Buffer, sequence: number): SegmentHeader | undefined {
  const sector = classifySector(bytes, 0, sequence);
  return sector.state === "ours" ? scanSegmentHeader(bytes, sequence, "next") : undefined;
}

function errorOf(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

test("every bit of a snapshot is covered", () => {
  const file = donateSnapshot(40, 3);
  for (let bit = 0; bit < file.length * 8; bit += 1) {
    const at = Math.floor(bit / 8);
    const flipped = Buffer.from(file);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit % 8));
    const parse = (): void => {
      const parser = new SnapshotParser("snapshot", () => {});
      parser.feed(flipped);
      parser.end();
    };
    assert.throws(parse, CorruptionError, `bit ${bit}`);
  }
});

test("every bit of the hard-state file is covered, and the other copy has what is needed", () => {
  const run = smallLife();
  const identity = run.storage.identity;
  const disk = run.fileSystem.restart("nothing", new SeededRandom(1));
  const path = `${DIRECTORY}/${HARD_STATE_FILE}`;
  for (let bit = 0; bit < 8192 * 8; bit += 1) {
    disk.flipBit(path, bit);
    const reports: StorageReport[] = [];
    const stored = readHardStateFile(disk, DIRECTORY, identity, (report) => reports.push(report));
    disk.flipBit(path, bit);
    assert.equal(reports.length, 1, `bit ${bit} was not noticed`);
    assert.equal(stored?.hardState.term, 1, `bit ${bit}`);
    assert.equal(stored?.hardState.vote, 1, `bit ${bit}`);
    assert.equal(stored?.standing, "whole", `bit ${bit}`);
  }
});

test("a damaged copy of the hard state is mended at the next start", () => {
  const run = smallLife();
  const path = `${DIRECTORY}/${HARD_STATE_FILE}`;
  const expected = run.model.last.entries.length;
  for (let bit = 0; bit < 8192 * 8; bit += 67) {
    const after = run.fileSystem.restart("nothing", new SeededRandom(1));
    after.flipBit(path, bit);
    const next = new ScriptedRun(after, 1);
    next.open();
    assert.deepEqual(next.storage.restored.hardState.term, 1, `bit ${bit}`);
    assert.deepEqual(next.storage.restored.hardState.vote, 1, `bit ${bit}`);
    const kinds = next.reports.map((report) => report.kind);
    assert.ok(kinds.includes("hard-state-slot-repaired"), `bit ${bit} was not noticed`);
    assert.ok(expected > 0);
  }
});

test("with both copies of the hard state damaged the node never votes again", () => {
  const run = smallLife();
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  const path = `${DIRECTORY}/${HARD_STATE_FILE}`;
  after.flipBit(path, 100);
  after.flipBit(path, 4096 * 8 + 100);
  assert.throws(() => new ScriptedRun(after, 1).open(), { code: "hard-state-lost" });
  after.unlinkSync(path);
  assert.throws(() => new ScriptedRun(after, 1).open(), { code: "hard-state-lost" });
});

test("every bit of the identity file is covered", () => {
  const run = smallLife();
  const path = `${DIRECTORY}/${IDENTITY_FILE}`;
  const bits = run.fileSystem.bytesOf(path).length * 8;
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  for (let bit = 0; bit < bits; bit += 1) {
    after.flipBit(path, bit);
    assert.throws(() => new ScriptedRun(after, 1).open(), { code: "corruption" }, `bit ${bit}`);
    after.flipBit(path, bit);
  }
});

function damageSnapshot(run: ScriptedRun, index: number): SimulatedFileSystem {
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  const name = after.listSync(DIRECTORY).find((found) => found.includes(`${index}-0`));
  after.flipBit(`${DIRECTORY}/${name}`, 5000);
  return after;
}

test("a damaged newest snapshot is passed over when the older one and the log reach it", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(1, 1, 6, 500));
  run.step(() => run.save(2));
  run.step(() => run.append(1, 7, 6, 500));
  run.step(() => run.save(9));
  const next = new ScriptedRun(damageSnapshot(run, 9), 1);
  next.open();
  assert.equal(next.storage.restored.snapshot?.index, 2);
  assert.equal(next.storage.restored.entries.at(-1)?.index, 12);
  assert.equal(next.reports[0]?.kind, "snapshot-skipped");
});

test("a damaged newest snapshot stops the node when the log has a hole before it", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.append(1, 1, 6, 500));
  run.step(() => run.save(2));
  for (let i = 0; i < 30; i += 1) run.step(() => run.append(1, 7 + i, 1, 3000));
  run.step(() => run.save(30));
  run.step(() => run.compact(30));
  const damaged = damageSnapshot(run, 30);
  assert.throws(() => new ScriptedRun(damaged, 1).open(), { code: "corruption" });
});

test("a missing segment file is noticed wherever it stood", () => {
  const run = smallLife();
  for (const name of segmentsOf(run.fileSystem)) {
    const after = run.fileSystem.restart("nothing", new SeededRandom(1));
    const before = new ScriptedRun(run.fileSystem.restart("nothing", new SeededRandom(1)), 1);
    before.open();
    const expected = before.storage.restored.entries.map((entry) => entry.index);
    after.unlinkSync(`${DIRECTORY}/${name}`);
    const next = new ScriptedRun(after, 1);
    try {
      next.open();
    } catch (error) {
      assert.ok(error instanceof CorruptionError, String(error));
      continue;
    }
    // Prepared space, or an old segment that the snapshot covers.
    const needed = expected.filter((index) => index > 20);
    const found = next.storage.restored.entries.map((entry) => entry.index);
    assert.deepEqual(
      found.filter((index) => index > 20),
      needed,
      name,
    );
  }
});

test("a file cut short anywhere is never taken for a tear", () => {
  const run = smallLife();
  const names = segmentsOf(run.fileSystem);
  for (const name of names) {
    const path = `${DIRECTORY}/${name}`;
    const bytes = run.fileSystem.bytesOf(path);
    for (let length = 0; length < bytes.length; length += 509) {
      const after = run.fileSystem.restart("nothing", new SeededRandom(1));
      after.unlinkSync(path);
      after.plant(path, bytes.subarray(0, length));
      const next = new ScriptedRun(after, 1);
      let entries = 0;
      try {
        next.open();
        entries = next.storage.restored.entries.at(-1)?.index ?? 0;
      } catch (error) {
        assert.ok(error instanceof CorruptionError, `${name} at ${length}: ${String(error)}`);
        continue;
      }
      assert.equal(entries, 38, `${name} cut at ${length}`);
    }
  }
});

test("prepared space that was cut inside a page is not used for a segment", () => {
  const run = smallLife();
  const spare = segmentsOf(run.fileSystem).at(-1);
  const path = `${DIRECTORY}/${spare}`;
  const bytes = run.fileSystem.bytesOf(path);
  const after = run.fileSystem.restart("nothing", new SeededRandom(1));
  after.unlinkSync(path);
  after.plant(path, Buffer.concat([bytes, Buffer.from([1])]));
  const next = new ScriptedRun(after, 1, run.model);
  next.recover("with a spare of an odd size");
  next.step(() => next.append(2, 39, 1));
  next.step(() => next.close());
  const last = new ScriptedRun(after.restart("nothing", new SeededRandom(1)), 1, run.model);
  last.recover("the node that took it");
  assert.equal(last.storage.restored.entries.at(-1)?.index, 39);
});
