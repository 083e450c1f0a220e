import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { lockDirectory } from "./directory-lock.ts";

const made: string[] = [];
after(() => {
  for (const directory of made) fs.rmSync(directory, { recursive: true, force: true });
});

function temporaryDirectory(): string {
  const directory = fs.mkdtempSync(join(tmpdir(), "raft-kv-lock-"));
  made.push(directory);
  return directory;
}

const never = (error: Error): void => assert.fail(error);

/** A process that takes the lock, says so, and stays until it is killed. */
function startOwner(directory: string) {
  const lockModule = new URL("./directory-lock.ts", import.meta.url).href;
  const script = `
    import(${JSON.stringify(lockModule)}).then(async ({ lockDirectory }) => {
      const options = { directory: ${JSON.stringify(directory)}, host: "here" };
      await lockDirectory({ ...options, onCompromised: () => process.exit(9) });
      process.stdout.write("locked");
      setInterval(() => {}, 1000);
    });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const locked = new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", () => reject(new Error("the owner ended too early")));
  });
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
  return { child, locked, gone };
}

test("a lock can be had once, and again after it was released", async () => {
  const directory = temporaryDirectory();
  const lock = await lockDirectory({ directory, host: "here", onCompromised: never });
  const second = lockDirectory({ directory, host: "here", onCompromised: never });
  await assert.rejects(second, { code: "directory-locked" });
  await lock.release();
  const third = await lockDirectory({ directory, host: "here", onCompromised: never });
  await third.release();
  assert.deepEqual(fs.readdirSync(directory), []);
});

test("another living process keeps the lock; killed, it gives it up at once", async () => {
  const directory = temporaryDirectory();
  const owner = startOwner(directory);
  try {
    await owner.locked;
    const refused = lockDirectory({ directory, host: "here", onCompromised: never });
    await assert.rejects(refused, { code: "directory-locked" });
    owner.child.kill("SIGKILL");
    await owner.gone;
    assert.ok(fs.existsSync(join(directory, "lock")), "the lock was left behind");
    const before = performance.now();
    const lock = await lockDirectory({ directory, host: "here", onCompromised: never });
    const tookMs = performance.now() - before;
    await lock.release();
    assert.ok(tookMs < 1000, `it took ${tookMs} ms`);
  } finally {
    owner.child.kill("SIGKILL");
  }
});

test("an owner on another machine is waited for until its lock is stale", async () => {
  const directory = temporaryDirectory();
  fs.mkdirSync(join(directory, "lock"));
  const owner = { host: "elsewhere", boot: "b", pidNamespace: "p", pid: 1, startTime: "1" };
  fs.writeFileSync(join(directory, "lock-owner"), JSON.stringify(owner));
  // Touched long ago: nobody refreshes it any more.
  const past = new Date(Date.UTC(2001, 0, 1));
  fs.utimesSync(join(directory, "lock"), past, past);
  const options = { directory, host: "here", onCompromised: never, staleMs: 2000 };
  const lock = await lockDirectory(options);
  await lock.release();
});
