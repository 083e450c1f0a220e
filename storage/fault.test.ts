/** Every call fails once, with every error a disk knows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { FileSystemError } from "./errors.ts";
import { donateSnapshot } from "./testing/donor.ts";
import { DIRECTORY, describe, ScriptedRun, stateOf, wholeLife } from "./testing/scripted-run.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const donated = donateSnapshot(40, 3);

test("a call that fails, whichever and however, never loses anything acknowledged", () => {
  const plain = new ScriptedRun(new SimulatedFileSystem(), 1);
  wholeLife(plain, donated);
  const calls = plain.fileSystem.calls;
  for (const errno of ["EIO", "ENOSPC", "EROFS"]) {
    for (let failAt = 1; failAt <= calls; failAt += 1) {
      const shortWrite = errno === "ENOSPC" || failAt % 2 === 0;
      const run = new ScriptedRun(new SimulatedFileSystem({ failAt, errno, shortWrite }), 1);
      const context = `${errno} at call ${failAt}`;
      let refused = false;
      try {
        wholeLife(run, donated);
      } catch (error) {
        // Refused at a start, or a transfer or a saved snapshot that the script relied on.
        refused = true;
        const isAllowed =
          error instanceof FileSystemError || error instanceof assert.AssertionError;
        assert.ok(isAllowed, `${context}: ${String(error)}`);
      }
      assert.ok(run.failures.length <= 1, `${context}: told once`);
      assert.equal(run.fileSystem.faultsFired, 1, context);
      checkNothingRetried(run.fileSystem.trace, failAt, context);
      const random = new SeededRandom(failAt);
      const after = run.fileSystem.restart(failAt % 3 === 0 ? "subset" : "nothing", random);
      const next = new ScriptedRun(after, 1, run.model);
      next.recover(`${context}${refused ? ", refused" : ""}`);
    }
  }
});

/**
 * What a failed write or sync left of a file is unknown, and the kernel may call it clean: it is
 * never written to or synced again, unless as a new file of the name.
 */
function checkNothingRetried(trace: readonly string[], failAt: number, context: string): void {
  const [, operation, name] = (trace[failAt - 1] ?? "").split(" ");
  if (operation !== "write" && operation !== "sync") return;
  for (const line of trace.slice(failAt)) {
    const [, later, laterName] = line.split(" ");
    if (laterName !== name) continue;
    if (later === "create" || later === "unlink") return;
    assert.fail(`${context} (${operation} ${name}): ${line}`);
  }
}

test("a failed sync poisons: nothing completes after it", () => {
  const run = new ScriptedRun(new SimulatedFileSystem(), 1);
  run.step(() => run.open());
  const failAt = run.fileSystem.calls + 1;
  const failing = new ScriptedRun(new SimulatedFileSystem({ failAt, errno: "EIO" }), 1);
  failing.step(() => failing.open());
  let done = 0;
  const entry = { type: "noop", group: 0, term: 1, index: 1, time: 0 } as const;
  const batch = { hardState: undefined, mustSyncHardState: false, entries: [{ ...entry }] };
  failing.storage.persist(batch, () => {
    done += 1;
  });
  failing.fileSystem.run();
  failing.clock.runSoon();
  assert.equal(failing.failures.length, 1);
  const later = { ...batch, entries: [{ ...entry, index: 2 }] };
  failing.storage.persist(later, () => {
    done += 1;
  });
  failing.fileSystem.run();
  assert.equal(done, 0);
  assert.equal(failing.storage.hasRoom(1), false);
});

test("a full disk refuses early, keeps what was acknowledged, and heals by itself", () => {
  const full = new SimulatedFileSystem();
  const starved = new ScriptedRun(full, 1);
  starved.step(() => starved.open());
  full.limitRoom(500);
  let index = 1;
  while (starved.storage.hasRoom(600)) {
    starved.step(() => starved.append(1, index, 1, 500));
    index += 1;
    assert.ok(index < 100, "a full disk is noticed");
  }
  assert.equal(starved.storage.hasRoom(0), false, "what is small finds no room either");
  assert.deepEqual(starved.failures, []);
  assert.ok(starved.reports.some((report) => report.kind === "allocation-failed"));
  let saveError: Error | undefined;
  const chunks = stateOf(1)[Symbol.iterator]();
  starved.storage.saveSnapshot(describe(1, 1, 0), chunks, (error) => {
    saveError = error;
  });
  starved.settle();
  assert.ok(saveError instanceof FileSystemError);
  assert.equal(saveError.errno, "ENOSPC");
  const names = full.listSync(DIRECTORY);
  assert.deepEqual(
    names.filter((name) => name.endsWith(".tmp")),
    [],
    "cleaned up",
  );
  // Waits without being acknowledged until there is room.
  starved.step(() => starved.append(1, index, 12, 900));
  full.limitRoom(1_000_000);
  for (let i = 0; i < 20; i += 1) starved.step(() => starved.pause());
  assert.ok(starved.reports.some((report) => report.kind === "allocation-recovered"));
  assert.equal(starved.storage.hasRoom(600), true);
  const after = full.restart("nothing", new SeededRandom(1));
  const next = new ScriptedRun(after, 1, starved.model);
  next.recover("healed");
  assert.equal(next.model.lastIndex, index + 11, "all that waited was written");
});
