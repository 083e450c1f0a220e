/** Rebuilding a log, and emptying a directory, may be cut off or refused at every operation. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { surveyDamage } from "./damage-survey.ts";
import { CorruptionError, FileSystemError } from "./errors.ts";
import { evidenceNames } from "./evidence.ts";
import { HARD_STATE_FILE } from "./hard-state-file.ts";
import { rebuildLog } from "./rebuild.ts";
import { segmentSequence } from "./segment-header.ts";
import { setAside } from "./set-aside.ts";
import { cut, type Donor, donorOf, repair } from "./testing/repair-run.ts";
import { DIRECTORY, ScriptedRun } from "./testing/scripted-run.ts";
import type { CrashKeeps } from "./testing/simulated-disk.ts";
import { type FaultPlan, SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const KEEPS: readonly CrashKeeps[] = ["everything", "nothing", "prefix", "subset", "zeros"];

/** Entries 1 to 30 in several segments; snapshots of 12 and of 20, up to which it is compacted. */
function life(): ScriptedRun {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  run.step(() => run.vote(2, 1));
  for (let i = 0; i < 6; i += 1) run.step(() => run.append(2, 1 + 4 * i, 4, 700));
  run.step(() => run.save(12));
  run.step(() => run.save(20));
  run.step(() => run.compact(20));
  run.step(() => run.append(2, 25, 6, 900));
  assert.deepEqual(run.failures, []);
  return run;
}

function copyOf(run: ScriptedRun, plan: FaultPlan = {}, keeps: CrashKeeps = "nothing", seed = 1) {
  return run.fileSystem.restart(keeps, new SeededRandom(seed), plan);
}

function pathOf(disk: SimulatedFileSystem, isWanted: (name: string) => boolean): string {
  const name = disk.listSync(DIRECTORY).find(isWanted);
  assert.ok(name !== undefined);
  return `${DIRECTORY}/${name}`;
}

const isNewestSnapshot = (name: string): boolean => name.includes("20-0");

/** What a scenario does to the disk, and how its node goes about repair. */
interface Scenario {
  readonly name: string;
  readonly damage: (disk: SimulatedFileSystem) => void;
  readonly repair: (run: ScriptedRun, donor: Donor) => void;
}

function flipEntry(disk: SimulatedFileSystem, marker: string): void {
  const isHit = (name: string): boolean =>
    segmentSequence(name) !== undefined && disk.bytesOf(`${DIRECTORY}/${name}`).includes(marker);
  const path = pathOf(disk, isHit);
  disk.flipBit(path, 8 * disk.bytesOf(path).indexOf(marker));
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: "a hole filled by entries",
    damage: (disk) => flipEntry(disk, "2/26 "),
    repair,
  },
  {
    name: "a hole filled by a snapshot",
    damage: (disk) => {
      flipEntry(disk, "2/26 ");
      for (const name of disk.listSync(DIRECTORY)) {
        if (name.endsWith(".snap")) disk.flipBit(`${DIRECTORY}/${name}`, 3000);
      }
    },
    repair,
  },
  {
    name: "a cut log",
    damage: (disk) => {
      flipEntry(disk, "2/26 ");
      disk.flipBit(pathOf(disk, isNewestSnapshot), 3000);
    },
    repair: (run) => cut(run, surveyDamage(run.options)),
  },
];

/** Opens what a crash or a refusal left, repairing again while it is still damaged. */
function settle(run: ScriptedRun, scenario: Scenario, donor: Donor, context: string): void {
  try {
    run.open();
  } catch (error) {
    assert.ok(error instanceof CorruptionError, `${context}: ${String(error)}`);
    scenario.repair(run, donor);
    run.open();
  }
}

function checkSettled(run: ScriptedRun, original: ScriptedRun, context: string): void {
  const { storage } = run;
  const { restored } = storage;
  if (!storage.isRecovering) {
    original.model.check(restored, context);
    return;
  }
  assert.ok(restored.hardState.term > 2, `${context}: no promise of the old term is kept`);
  assert.equal(restored.hardState.vote, 0, context);
}

test("a rebuild cut off anywhere leaves the damage, the repaired log, or a recovering one", () => {
  const original = life();
  const donor = donorOf(copyOf(original));
  for (const scenario of SCENARIOS) {
    let calls = 1;
    for (let crashAt = 1; crashAt <= calls; crashAt += 1) {
      for (const [seed, keeps] of KEEPS.entries()) {
        const context = `${scenario.name}, crash at ${crashAt}, ${keeps}`;
        const hurt = new ScriptedRun(copyOf(original, { crashAt }), 1);
        scenario.damage(hurt.fileSystem);
        hurt.step(() => scenario.repair(hurt, donor));
        if (!hurt.fileSystem.hasCrashed) break;
        calls = crashAt + 1;
        const after = new ScriptedRun(copyOf(hurt, {}, keeps, 100 * crashAt + seed), 1);
        settle(after, scenario, donor, context);
        checkSettled(after, original, context);
        assert.equal(after.storage.isRecovering, scenario.name === "a cut log", context);
      }
    }
    assert.ok(calls > 10, `${scenario.name}: ${calls} calls`);
  }
});

test("a rebuild that is refused anywhere changes nothing, and never syncs a second time", () => {
  const original = life();
  const donor = donorOf(copyOf(original));
  for (const scenario of SCENARIOS) {
    for (const errno of ["EIO", "ENOSPC"]) {
      let calls = 1;
      for (let failAt = 1; failAt <= calls; failAt += 1) {
        const context = `${scenario.name}, ${errno} at ${failAt}`;
        const plan = { failAt, errno, shortWrite: failAt % 2 === 0 };
        const hurt = new ScriptedRun(copyOf(original, plan), 1);
        scenario.damage(hurt.fileSystem);
        let refusal: unknown;
        try {
          scenario.repair(hurt, donor);
        } catch (error) {
          refusal = error;
        }
        if (hurt.fileSystem.faultsFired === 0) break;
        calls = failAt + 1;
        assert.ok(refusal instanceof FileSystemError || refusal instanceof assert.AssertionError);
        checkNoSecondSync(hurt.fileSystem.trace, failAt, context);
        const after = new ScriptedRun(copyOf(hurt), 1);
        settle(after, scenario, donor, context);
        checkSettled(after, original, context);
      }
      assert.ok(calls > 10, `${scenario.name}: ${calls} calls`);
    }
  }
});

/** After a failed sync the kernel calls lost pages clean: a second one would promise nothing. */
function checkNoSecondSync(trace: readonly string[], failAt: number, context: string): void {
  const [, operation, ...rest] = (trace[failAt - 1] ?? "").split(" ");
  if (operation !== "sync") return;
  const later = trace.slice(failAt).map((line) => line.split(" ").slice(1).join(" "));
  assert.ok(!later.includes(`sync ${rest.join(" ")}`), `${context}: ${later.join(", ")}`);
}

test("a cut log stays recovering until it is marked whole, and keeps the evidence as long", () => {
  const original = life();
  const hurt = new ScriptedRun(copyOf(original), 1);
  flipEntry(hurt.fileSystem, "2/26 ");
  cut(hurt, surveyDamage(hurt.options));
  for (let i = 0; i < 2; i += 1) {
    hurt.open();
    assert.ok(hurt.storage.isRecovering);
    assert.deepEqual(hurt.storage.restored.hardState, { term: 3, vote: 0, commitIndex: 20 });
    assert.equal(hurt.storage.restored.entries.at(-1)?.index, 25);
    hurt.fileSystem = copyOf(hurt);
  }
  const path = `${DIRECTORY}/${HARD_STATE_FILE}`;
  for (let bit = 0; bit < 8192 * 8; bit += 131) {
    const flipped = new ScriptedRun(copyOf(hurt), 1);
    flipped.fileSystem.flipBit(path, bit);
    flipped.open();
    assert.ok(flipped.storage.isRecovering, `bit ${bit}`);
  }
  hurt.fileSystem = copyOf(hurt);
  hurt.open();
  assert.ok(evidenceNames(hurt.fileSystem, DIRECTORY, "damaged").length > 0);
  hurt.step(() => hurt.persist({ term: 4, vote: 0, commitIndex: 25 }, true, []));
  let isDone = false;
  hurt.storage.markWhole(() => {
    isDone = true;
  });
  hurt.settle();
  assert.ok(isDone && !hurt.storage.isRecovering);
  assert.deepEqual(evidenceNames(hurt.fileSystem, DIRECTORY, "damaged"), []);
  // Neither copy of the hard state may bring recovering back.
  for (const slot of [0, 1]) {
    const after = new ScriptedRun(copyOf(hurt), 1);
    after.fileSystem.flipBit(path, 8 * (4096 * slot + 20));
    after.open();
    assert.ok(!after.storage.isRecovering);
    assert.equal(after.storage.restored.hardState.term, 4);
  }
});

test("a mark that is cut off leaves a node that is recovering or whole", () => {
  const original = life();
  const hurt = new ScriptedRun(copyOf(original), 1);
  flipEntry(hurt.fileSystem, "2/26 ");
  cut(hurt, surveyDamage(hurt.options));
  const disk = hurt;
  for (let extra = 1; extra <= 8; extra += 1) {
    const probe = new ScriptedRun(copyOf(disk), 1);
    probe.open();
    const crashAt = probe.fileSystem.calls + extra;
    const dying = new ScriptedRun(copyOf(disk, { crashAt }), 1);
    let isDone = false;
    dying.step(() => dying.open());
    dying.step(() => {
      dying.storage.markWhole(() => {
        isDone = true;
      });
    });
    for (const keeps of KEEPS) {
      const after = new ScriptedRun(copyOf(dying, {}, keeps, extra), 1);
      after.open();
      assert.ok(!isDone || !after.storage.isRecovering, `${keeps}, ${extra} calls later`);
      assert.equal(after.storage.restored.hardState.term, 3);
    }
  }
});

test("what is set aside leaves an empty recovering log of the next term, cut off or not", () => {
  const original = life();
  let calls = 1;
  for (let crashAt = 1; crashAt <= calls; crashAt += 1) {
    for (const [seed, keeps] of KEEPS.entries()) {
      const context = `crash at ${crashAt}, ${keeps}`;
      const run = new ScriptedRun(copyOf(original, { crashAt }), 1);
      run.step(() => setAside(run.options));
      if (!run.fileSystem.hasCrashed) break;
      calls = crashAt + 1;
      const after = new ScriptedRun(copyOf(run, {}, keeps, 10 * crashAt + seed), 1);
      after.open();
      const { restored, isRecovering } = after.storage;
      if (!isRecovering) original.model.check(restored, context);
      else {
        assert.deepEqual(restored.entries, [], context);
        assert.equal(restored.snapshot, undefined, context);
        assert.deepEqual(restored.hardState, { term: 3, vote: 0, commitIndex: 0 }, context);
        assert.ok(evidenceNames(after.fileSystem, DIRECTORY, "diverged").length >= 3, context);
      }
    }
  }
  assert.ok(calls > 6, `${calls} calls`);
});

test("setting aside that is refused anywhere can be done again", () => {
  const original = life();
  for (const errno of ["EIO", "ENOSPC"]) {
    let calls = 1;
    for (let failAt = 1; failAt <= calls; failAt += 1) {
      const context = `${errno} at ${failAt}`;
      const run = new ScriptedRun(copyOf(original, { failAt, errno }), 1);
      try {
        setAside(run.options);
        break;
      } catch (error) {
        assert.ok(error instanceof FileSystemError, `${context}: ${String(error)}`);
      }
      calls = failAt + 1;
      const again = new ScriptedRun(copyOf(run), 1);
      setAside(again.options);
      again.open();
      assert.ok(again.storage.isRecovering, context);
      assert.deepEqual(again.storage.restored.entries, [], context);
      assert.ok(again.storage.restored.hardState.term > 2, context);
    }
    assert.ok(calls > 6, `${calls} calls`);
  }
});

test("an emptied directory goes on from its first entry, and one set of evidence is kept", () => {
  const original = life();
  let run = new ScriptedRun(copyOf(original), 1);
  setAside(run.options);
  const names = evidenceNames(run.fileSystem, DIRECTORY, "diverged");
  run = new ScriptedRun(copyOf(run), 1);
  run.step(() => run.open());
  run.model.adopt(run.storage.restored);
  run.step(() => run.append(3, 1, 5, 900));
  run = new ScriptedRun(copyOf(run), 1, run.model);
  run.recover("gone on");
  assert.ok(run.storage.isRecovering);
  assert.equal(run.storage.restored.entries.length, 5);
  const again = new ScriptedRun(copyOf(run), 1);
  setAside(again.options);
  const later = evidenceNames(again.fileSystem, DIRECTORY, "diverged");
  assert.ok(later.length < names.length, "the older set is gone");
  again.open();
  assert.equal(again.storage.restored.hardState.term, 4);
});

test("a rebuild refuses what would break a promise", () => {
  const original = life();
  const hurt = new ScriptedRun(copyOf(original), 1);
  flipEntry(hurt.fileSystem, "2/26 ");
  const { prefix, hardState } = surveyDamage(hurt.options);
  const rest = { snapshot: undefined, entries: prefix };
  const older = { ...hardState, term: 1 };
  const sameTerm = { ...hardState, vote: 0 };
  const gap = prefix.filter((entry) => entry.index !== 23);
  const bad = [
    { ...rest, hardState: older, isRecovering: false },
    { ...rest, hardState: sameTerm, isRecovering: true },
    { ...rest, hardState: { term: 3, vote: 0, commitIndex: 21 }, isRecovering: true },
    { ...rest, hardState: { ...hardState, term: 3 }, isRecovering: true },
    { ...rest, hardState, isRecovering: false, entries: gap },
  ];
  const { calls } = hurt.fileSystem;
  for (const rebuild of bad) {
    assert.throws(() => rebuildLog(hurt.options, rebuild), { name: "InvariantError" });
  }
  assert.equal(hurt.fileSystem.calls, calls, "refused before anything is touched");
});
