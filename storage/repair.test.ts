/** Whatever is damaged: what is left is found, and with a peer's help the log is what it was. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Entry, SeededRandom } from "../raft/index.ts";
import { surveyDamage } from "./damage-survey.ts";
import { CorruptionError, HardStateLostError } from "./errors.ts";
import { HARD_STATE_FILE } from "./hard-state-file.ts";
import { PAGE_BYTES, SECTOR_BYTES } from "./sector.ts";
import { segmentName, segmentSequence } from "./segment-header.ts";
import { donateSnapshot } from "./testing/donor.ts";
import { type Donor, donorOf, type Repaired, repair } from "./testing/repair-run.ts";
import { DIRECTORY, ScriptedRun } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

/** A sample of the bits of a log. All of them, RAFT_KV_FLIP_STEP=1, take most of an hour. */
const flipStep = Number(process.env["RAFT_KV_FLIP_STEP"] ?? 2503);

/** A log of some 64 KiB over several segments, with a snapshot in its middle. */
function longLife(): ScriptedRun {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.vote(1, 1));
  for (let i = 0; i < 14; i += 1) run.step(() => run.append(1, 1 + 3 * i, 3, 200 + 90 * i));
  run.step(() => run.save(20));
  run.step(() => run.compact(20));
  run.step(() => run.pause());
  run.step(() => run.close());
  run.step(() => run.recover("restarted"));
  run.step(() => run.append(2, 41, 6, 300));
  run.step(() => run.append(2, 47, 1, 5000));
  run.step(() => run.vote(3, 2));
  run.step(() => run.append(3, 45, 7, 150));
  assert.deepEqual(run.failures, []);
  return run;
}

function copyOf(run: ScriptedRun): SimulatedFileSystem {
  return run.fileSystem.restart("nothing", new SeededRandom(1));
}

function filesOf(fileSystem: SimulatedFileSystem, isWanted: (name: string) => boolean): string[] {
  const names = fileSystem.listSync(DIRECTORY).filter(isWanted);
  return names.sort((a, b) => (a < b ? -1 : 1)).map((name) => `${DIRECTORY}/${name}`);
}

const isSegment = (name: string): boolean => segmentSequence(name) !== undefined;
const isSnapshot = (name: string): boolean => name.endsWith(".snap");

/** Damages a copy and sees that it opens as it was, or does not open and is repaired. */
function heal(
  original: ScriptedRun,
  donor: Donor,
  context: string,
  damage: (disk: SimulatedFileSystem) => void,
): Repaired | "unharmed" {
  const disk = copyOf(original);
  damage(disk);
  const hurt = new ScriptedRun(disk, 1, original.model);
  try {
    hurt.reopen(context);
    return "unharmed";
  } catch (error) {
    assert.ok(error instanceof CorruptionError, `${context}: ${String(error)}`);
  }
  const repaired = repair(hurt, donor);
  const healed = new ScriptedRun(copyOf(hurt), 1, original.model);
  if (repaired === "recovering") {
    healed.open();
    assert.ok(healed.storage.isRecovering, `${context}: recovering`);
    assert.ok((healed.storage.restored.entries.at(-1)?.index ?? 0) <= donor.lastIndex, context);
    return repaired;
  }
  healed.reopen(context);
  assert.ok(!healed.storage.isRecovering, `${context}: whole`);
  return repaired;
}

test("every flipped bit of the log is repaired from a peer", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const outcomes = new Tally();
  Error.stackTraceLimit = 0;
  const intact = copyOf(original);
  for (const path of filesOf(intact, isSegment)) {
    const bits = intact.bytesOf(path).length * 8;
    for (let bit = 0; bit < bits; bit += flipStep) {
      const context = `bit ${bit} of ${path}`;
      outcomes.add(heal(original, donor, context, (disk) => disk.flipBit(path, bit)));
    }
  }
  Error.stackTraceLimit = 10;
  assert.equal(outcomes.count("unharmed"), 0, "no flip goes unnoticed");
  // The rest hit the header of the very last entry, so that nobody can know what it was.
  assert.ok(outcomes.count("recovering") < 0.02 * outcomes.total, outcomes.text);
});

test("a log cut short at any sector is repaired from a peer", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const outcomes = new Tally();
  const intact = copyOf(original);
  for (const path of filesOf(intact, isSegment)) {
    const bytes = intact.bytesOf(path);
    for (let length = 0; length < bytes.length; length += 512) {
      const context = `${path} cut to ${length} bytes`;
      const cutShort = (disk: SimulatedFileSystem): void => {
        disk.unlinkSync(path);
        disk.plant(path, bytes.subarray(0, length));
      };
      outcomes.add(heal(original, donor, context, cutShort));
    }
  }
  // The prepared space behind the log has nothing in it to lose.
  assert.ok(outcomes.count("unharmed") <= 24, outcomes.text);
  assert.ok(outcomes.count("exact") > 0.8 * outcomes.total, outcomes.text);
});

test("a segment cut inside its first batch, a repeated one, leaves the end of the log unknown", () => {
  const before = new ScriptedRun(new SimulatedFileSystem(), 1);
  before.step(() => before.open());
  for (const index of [1, 2, 3]) before.step(() => before.append(1, index, 1));
  const run = new ScriptedRun(copyOf(before), 1, before.model);
  run.step(() => run.recover("after a crash"));
  for (const index of [4, 5]) run.step(() => run.append(2, index, 1));
  assert.deepEqual(run.failures, []);
  const path = newestWith(run.fileSystem, "2/5 ");
  const bytes = run.fileSystem.bytesOf(path);
  for (let length = PAGE_BYTES; length < 3 * PAGE_BYTES; length += 61) {
    const hurt = new ScriptedRun(copyOf(run), 1);
    hurt.fileSystem.unlinkSync(path);
    hurt.fileSystem.plant(path, bytes.subarray(0, length));
    const { isTailKnown, lastKnownIndex } = surveyDamage(hurt.options);
    assert.ok(!isTailKnown || lastKnownIndex === 5, `cut to ${length}: known to ${lastKnownIndex}`);
  }
});

test("a sector of a batch written over by another of its segment is repaired from a peer", () => {
  const original = new ScriptedRun(new SimulatedFileSystem(), 1);
  original.step(() => original.open());
  original.step(() => original.append(1, 1, 20, 120));
  original.step(() => original.vote(2, 1));
  const donor = donorOf(copyOf(original));
  const path = newestWith(copyOf(original), "1/20 ");
  const bytes = copyOf(original).bytesOf(path);
  const sectors: number[] = [];
  const isWritten = (at: number) => bytes.subarray(at, at + SECTOR_BYTES).some((byte) => byte > 0);
  for (let at = 2 * PAGE_BYTES; isWritten(at); at += SECTOR_BYTES) sectors.push(at);
  assert.ok(sectors.length > 4);
  for (const from of sectors) {
    for (const to of sectors.filter((at) => at !== from)) {
      const misdirect = (disk: SimulatedFileSystem): void => {
        const astray = Buffer.from(bytes);
        bytes.copy(astray, to, from, from + SECTOR_BYTES);
        disk.unlinkSync(path);
        disk.plant(path, astray);
      };
      heal(original, donor, `${from} over ${to} of ${path}`, misdirect);
    }
  }
});

test("rot in what a recycled segment held before brings back no old entries", () => {
  const original = new ScriptedRun(new SimulatedFileSystem(), 1);
  original.step(() => original.open());
  for (let index = 1; index <= 5; index += 1) original.step(() => original.append(1, index, 1));
  const donor = donorOf(copyOf(original));
  const newest = newestWith(copyOf(original), "1/5 ");
  const past = copyOf(original).bytesOf(newestWith(copyOf(original), "1/2 "));
  const bytes = copyOf(original).bytesOf(newest);
  const end = pageOf(bytes, "1/5 ") + PAGE_BYTES;
  const from = pageOf(past, "1/2 ");
  past.copy(bytes, end, from, from + PAGE_BYTES);
  const recycle = (disk: SimulatedFileSystem): void => {
    disk.unlinkSync(newest);
    disk.plant(newest, bytes);
  };
  assert.ok(end + PAGE_BYTES <= bytes.length);
  assert.equal(heal(original, donor, "recycled", recycle), "unharmed");
  for (let bit = 0; bit < 8 * SECTOR_BYTES; bit += 7) {
    const context = `bit ${bit} behind the end`;
    const rot = (disk: SimulatedFileSystem): void => {
      recycle(disk);
      disk.flipBit(newest, 8 * end + bit);
    };
    heal(original, donor, context, rot);
  }
});

function pageOf(bytes: Buffer, marker: string): number {
  const at = bytes.indexOf(marker);
  return at - (at % PAGE_BYTES);
}

test("a page of rot anywhere in the log is repaired from a peer", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const outcomes = new Tally();
  const intact = copyOf(original);
  const random = new SeededRandom(3);
  for (const path of filesOf(intact, isSegment)) {
    const length = intact.bytesOf(path).length;
    for (let at = 0; at < length; at += 1536) {
      const rot = (disk: SimulatedFileSystem): void => {
        for (let i = at; i < Math.min(at + 4096, length); i += 1) {
          disk.flipBit(path, 8 * i + random.below(8));
        }
      };
      outcomes.add(heal(original, donor, `rot at ${at} of ${path}`, rot));
    }
  }
  assert.equal(outcomes.count("unharmed"), 0, outcomes.text);
  assert.ok(outcomes.count("exact") > 0.7 * outcomes.total, outcomes.text);
});

test("pages the disk can not read are repaired from a peer", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const outcomes = new Tally();
  const intact = copyOf(original);
  for (const path of filesOf(intact, (name) => isSegment(name) || isSnapshot(name))) {
    for (let at = 0; at < intact.bytesOf(path).length; at += 4096) {
      const breakPage = (disk: SimulatedFileSystem): void => disk.breakReads(path, at, 4096);
      outcomes.add(heal(original, donor, `no page ${at} of ${path}`, breakPage));
    }
  }
  assert.equal(outcomes.count("unharmed"), 0, outcomes.text);
  assert.ok(outcomes.count("exact") > 0.6 * outcomes.total, outcomes.text);
});

test("a log segment that is gone is repaired from a peer", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const paths = filesOf(copyOf(original), isSegment);
  const outcomes = paths.map((path) => {
    return heal(original, donor, `without ${path}`, (disk) => disk.unlinkSync(path));
  });
  // The first holds nothing above the snapshot, the last is prepared space; of the newest that had
  // begun nobody knows what it held.
  const between = outcomes.slice(1, -2);
  assert.deepEqual([outcomes[0], ...outcomes.slice(-2)], ["unharmed", "recovering", "unharmed"]);
  assert.ok(between.length >= 2 && between.every((outcome) => outcome === "exact"), between.join());
});

test("a log segment under another's name, or in another's place, is repaired from a peer", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const paths = filesOf(copyOf(original), isSegment).slice(1, -1);
  for (const [i, path] of paths.entries()) {
    for (const other of paths.slice(i + 1)) {
      heal(original, donor, `${path} and ${other} swapped`, (disk) => {
        const [first, second] = [disk.bytesOf(path), disk.bytesOf(other)];
        disk.unlinkSync(path);
        disk.unlinkSync(other);
        disk.plant(path, second);
        disk.plant(other, first);
      });
    }
    for (const number of [1, 99]) {
      heal(original, donor, `${path} as number ${number}`, (disk) => {
        disk.renameSync(path, `${DIRECTORY}/${segmentName(number)}`);
        disk.syncDirectorySync(DIRECTORY);
      });
    }
  }
});

test("a snapshot that is damaged, gone or renamed comes from a peer", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const [path] = filesOf(copyOf(original), isSnapshot);
  assert.ok(path !== undefined);
  const bits = copyOf(original).bytesOf(path).length * 8;
  for (let bit = 0; bit < bits; bit += Math.min(flipStep, 101)) {
    const outcome = heal(original, donor, `bit ${bit}`, (disk) => disk.flipBit(path, bit));
    assert.equal(outcome, "exact", `bit ${bit} of the snapshot`);
  }
  const gone = heal(original, donor, "gone", (disk) => disk.unlinkSync(path));
  assert.equal(gone, "exact");
  const renamed = heal(original, donor, "renamed", (disk) => {
    disk.renameSync(path, `${path}.old`);
    disk.syncDirectorySync(DIRECTORY);
  });
  assert.equal(renamed, "exact");
});

test("an installed snapshot that is gone is not papered over by an older one", () => {
  const original = new ScriptedRun(new SimulatedFileSystem(), 1);
  original.step(() => original.open());
  original.step(() => original.append(2, 1, 6, 500));
  original.step(() => original.save(3));
  original.step(() => original.install(donateSnapshot(40, 3), 40, 3));
  const donor = donorOf(copyOf(original));
  const newest = filesOf(copyOf(original), isSnapshot).at(-1) ?? "";
  const outcome = heal(original, donor, "gone", (disk) => disk.unlinkSync(newest));
  assert.equal(outcome, "exact");
});

/** The last batch holds entries 45 to 51; their payloads repeat a marker. */
function offsetOf(bytes: Buffer, marker: string): number {
  const at = bytes.indexOf(marker);
  assert.ok(at > 0, marker);
  return at;
}

test("a lost payload in the last batch is known by its header and comes back", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const path = newestWith(copyOf(original), "3/51 ");
  const at = offsetOf(copyOf(original).bytesOf(path), "3/51 ");
  const damage = (disk: SimulatedFileSystem): void => disk.flipBit(path, 8 * at);
  const hurt = new ScriptedRun(copyOf(original), 1);
  damage(hurt.fileSystem);
  const survey = surveyDamage(hurt.options);
  assert.deepEqual(
    survey.lost.map(({ index, term }) => [index, term]),
    [[51, 3]],
  );
  assert.equal(survey.lastKnownIndex, 51);
  assert.ok(survey.isTailKnown);
  assert.equal(survey.prefix.at(-1)?.index, 50);
  assert.equal(heal(original, donor, "payload", damage), "exact");
});

test("a lost header of the very last entry leaves the end of the log unknown", () => {
  const original = longLife();
  const donor = donorOf(copyOf(original));
  const path = newestWith(copyOf(original), "3/51 ");
  const at = offsetOf(copyOf(original).bytesOf(path), "3/51 ");
  const damage = (disk: SimulatedFileSystem): void => {
    // A sector's own header may stand between the two.
    for (const before of [10, 50]) disk.flipBit(path, 8 * (at - before));
  };
  const hurt = new ScriptedRun(copyOf(original), 1);
  damage(hurt.fileSystem);
  const survey = surveyDamage(hurt.options);
  assert.ok(!survey.isTailKnown);
  assert.equal(survey.prefix.at(-1)?.index, 50);
  assert.equal(heal(original, donor, "header", damage), "recovering");
});

function newestWith(disk: SimulatedFileSystem, marker: string): string {
  const found = filesOf(disk, isSegment).filter((path) => disk.bytesOf(path).includes(marker));
  const path = found.at(-1);
  assert.ok(path !== undefined, marker);
  return path;
}

test("the survey names the damage, changes nothing, and finds configuration and hard state", () => {
  const original = longLife();
  const hurt = new ScriptedRun(copyOf(original), 1);
  const [path = ""] = filesOf(hurt.fileSystem, isSegment);
  hurt.fileSystem.flipBit(path, 8 * 5000);
  const { calls } = hurt.fileSystem;
  const survey = surveyDamage(hurt.options);
  assert.equal(hurt.fileSystem.calls, calls);
  assert.deepEqual(
    survey.places.map((place) => [place.file, place.offset]),
    [[path, 4608]],
  );
  assert.deepEqual([survey.hardState.term, survey.hardState.vote], [3, 2]);
  assert.deepEqual(survey.identity, original.storage.identity);
  assert.equal(survey.snapshot?.metadata.index, 20);
  assert.equal(survey.configuration?.configuration.members.length, 2);
  assert.equal(survey.isRecovering, false);
});

test("damage spread over three replicas is repaired when each place is whole somewhere", () => {
  const original = longLife();
  const paths = filesOf(copyOf(original), isSegment);
  const replicas = [0, 1, 2].map((replica) => {
    const hurt = new ScriptedRun(copyOf(original), 1);
    for (const path of paths.slice(0, -2)) {
      const pages = hurt.fileSystem.bytesOf(path).length / 4096;
      for (let page = replica; page < pages; page += 3) {
        for (let i = 0; i < 4096; i += 1) hurt.fileSystem.flipBit(path, 8 * (4096 * page + i) + 3);
      }
    }
    return { hurt, survey: surveyDamage(hurt.options) };
  });
  const entries = new Map<number, Entry[]>();
  for (const { survey } of replicas) {
    for (const run of [survey.prefix, ...survey.islands]) {
      for (const entry of run)
        entries.set(entry.index, [...(entries.get(entry.index) ?? []), entry]);
    }
  }
  const { snapshot, lastIndex } = donorOf(copyOf(original));
  for (const { hurt } of replicas) {
    assert.equal(repair(hurt, { entries, snapshot, lastIndex }), "exact");
    new ScriptedRun(copyOf(hurt), 1, original.model).reopen("helical");
  }
});

class Tally {
  readonly #counts = new Map<string, number>();

  add(outcome: string): void {
    this.#counts.set(outcome, this.count(outcome) + 1);
  }

  count(outcome: string): number {
    return this.#counts.get(outcome) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  get text(): string {
    return [...this.#counts].map(([outcome, count]) => `${outcome} ${count}`).join(", ");
  }
}

test("with a part of the log and a copy of the hard state gone, a vote may be forgotten", () => {
  const disk = copyOf(longLife());
  disk.flipBit(`${DIRECTORY}/${HARD_STATE_FILE}`, 8 * 20);
  const last = filesOf(disk, isSegment).at(-1);
  assert.ok(last !== undefined);
  disk.flipBit(last, 8 * (PAGE_BYTES + 100));
  const run = new ScriptedRun(disk, 1);
  assert.throws(() => run.open(), CorruptionError);
  assert.throws(() => surveyDamage(run.options), HardStateLostError);
});
