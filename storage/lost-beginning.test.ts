import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { surveyDamage } from "./damage-survey.ts";
import { CorruptionError } from "./errors.ts";
import { segmentSequence } from "./segment-header.ts";
import { DIRECTORY, ScriptedRun } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

/** Entries and then a vote, which alone is what the next start writes again at first. */
function startedTwice(): ScriptedRun {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.vote(2, 1));
  run.step(() => run.append(2, 1, 8));
  run.step(() => run.vote(3, 1));
  const next = new ScriptedRun(
    run.fileSystem.restart("everything", new SeededRandom(1)),
    2,
    run.model,
  );
  next.step(() => next.open());
  assert.deepEqual([...run.failures, ...next.failures], []);
  return next;
}

function segmentsOf(disk: SimulatedFileSystem): readonly string[] {
  const numberOf = (name: string) => segmentSequence(name) ?? 0;
  const names = disk.listSync(DIRECTORY).filter((name) => numberOf(name) > 0);
  return names.sort((a, b) => numberOf(a) - numberOf(b));
}

test("a log without its first segments is damaged, also when no later one holds an entry", () => {
  const disk = startedTwice().fileSystem.restart("everything", new SeededRandom(1));
  const holdsEntry = (name: string) => disk.bytesOf(`${DIRECTORY}/${name}`).includes("2/3 ");
  const names = segmentsOf(disk);
  const lost = names.slice(0, names.findLastIndex(holdsEntry) + 1);
  assert.ok(lost.length > 0 && lost.length < names.length);
  for (const name of lost) disk.unlinkSync(`${DIRECTORY}/${name}`);
  const run = new ScriptedRun(disk, 3);
  assert.throws(() => run.open(), CorruptionError);
  const survey = surveyDamage(run.options);
  assert.equal(survey.isTailKnown, false, "nobody knows what it held");
  assert.ok(survey.places.some(({ file }) => lost.some((name) => file.endsWith(name))));
});

test("segments that were compacted away are not missed", () => {
  const run = startedTwice();
  run.step(() => run.append(3, 9, 60, 700));
  run.step(() => run.append(3, 69, 60, 700));
  const before = segmentsOf(run.fileSystem).length;
  run.step(() => run.save(60));
  run.step(() => run.compact(60));
  assert.deepEqual(run.failures, []);
  const disk = run.fileSystem.restart("everything", new SeededRandom(1));
  assert.ok(segmentsOf(disk).length < before);
  const next = new ScriptedRun(disk, 4);
  next.open();
  assert.equal(next.storage.restored.entries.at(-1)?.index, 128);
});
