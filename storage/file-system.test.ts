import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { SeededRandom } from "../raft/index.ts";
import { NodeFileSystem, type RawCalls } from "./node-file-system.ts";
import { fileSystemSuite, type Subject } from "./testing/file-system-suite.ts";
import { SimulatedFileSystem } from "./testing/simulated-file-system.ts";

const made: string[] = [];
after(() => {
  for (const directory of made) fs.rmSync(directory, { recursive: true, force: true });
});

function temporaryDirectory(): string {
  const directory = fs.mkdtempSync(join(tmpdir(), "raft-kv-storage-"));
  made.push(directory);
  return directory;
}

/** Moves at most three bytes a call, as a disk may. */
const HESITANT: RawCalls = {
  readSync: (fd, into, at, length, position) =>
    fs.readSync(fd, into, at, Math.min(3, length), position),
  writeSync: (fd, from, at, length, position) =>
    fs.writeSync(fd, from, at, Math.min(3, length), position),
  read: (fd, into, at, length, position, done) =>
    fs.read(fd, into, at, Math.min(3, length), position, done),
  write: (fd, from, at, length, position, done) =>
    fs.write(fd, from, at, Math.min(3, length), position, done),
  fsync: fs.fsync,
};

function realSubject(fileSystem: NodeFileSystem): () => Subject {
  return () => ({ fileSystem, directory: temporaryDirectory(), settle: () => {} });
}

fileSystemSuite("node", realSubject(new NodeFileSystem()));
fileSystemSuite("node with short reads and writes", realSubject(new NodeFileSystem(HESITANT)));
fileSystemSuite("node without O_DSYNC", realSubject(new NodeFileSystem(fs, false)));
fileSystemSuite("simulated", () => {
  const fileSystem = new SimulatedFileSystem();
  fileSystem.makeDirectorySync("/d");
  return { fileSystem, directory: "/d", settle: () => fileSystem.run() };
});

test("a symbolic link in place of a file is refused", () => {
  const directory = temporaryDirectory();
  fs.writeFileSync(join(directory, "target"), "secret");
  fs.symlinkSync(join(directory, "target"), join(directory, "link"));
  const open = (): unknown =>
    new NodeFileSystem().openSync(join(directory, "link"), { access: "write" });
  assert.throws(open, { code: "file-system", errno: "ELOOP" });
});

test("files and directories are for their owner only", () => {
  const directory = join(temporaryDirectory(), "data");
  const fileSystem = new NodeFileSystem();
  fileSystem.makeDirectorySync(directory);
  fileSystem.openSync(`${directory}/a`, { access: "create" }).closeSync();
  assert.equal(fs.statSync(directory).mode & 0o777, 0o700);
  assert.equal(fs.statSync(`${directory}/a`).mode & 0o777, 0o600);
});

test("the twin forgets what was not flushed, and names that were not", () => {
  const fileSystem = new SimulatedFileSystem();
  fileSystem.makeDirectorySync("/d");
  const file = fileSystem.openSync("/d/a", { access: "create" });
  file.writeSync(Buffer.alloc(1024, 1), 0);
  file.syncSync();
  file.writeSync(Buffer.alloc(512, 2), 0);
  const nameless = fileSystem.restart("nothing", new SeededRandom(1));
  assert.deepEqual(nameless.listSync("/d"), []);

  const again = new SimulatedFileSystem();
  again.makeDirectorySync("/d");
  const kept = again.openSync("/d/a", { access: "create" });
  kept.writeSync(Buffer.alloc(1024, 1), 0);
  kept.syncSync();
  again.syncDirectorySync("/d");
  kept.writeSync(Buffer.alloc(512, 2), 0);
  const old = again.restart("nothing", new SeededRandom(1));
  assert.deepEqual(old.bytesOf("/d/a"), Buffer.alloc(1024, 1));
});

test("a failed sync of the twin drops what was dirty and calls it clean", () => {
  const fileSystem = new SimulatedFileSystem({ failAt: 4, errno: "EIO" });
  fileSystem.makeDirectorySync("/d");
  const file = fileSystem.openSync("/d/a", { access: "create" });
  file.writeSync(Buffer.from("new"), 0);
  assert.throws(() => file.syncSync(), { errno: "EIO" });
  file.syncSync();
  fileSystem.syncDirectorySync("/d");
  assert.equal(fileSystem.bytesOf("/d/a").toString(), "new", "the cache still shows it");
  const after = fileSystem.restart("nothing", new SeededRandom(1));
  assert.equal(after.bytesOf("/d/a").length, 0, "the disk never had it");
});
