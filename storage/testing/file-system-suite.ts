/** What every file system must do; run against the real one and its simulated twin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileSystemError } from "../errors.ts";
import type { Done, File, FileSystem } from "../file-system.ts";

export interface Subject {
  readonly fileSystem: FileSystem;
  /** Exists, and is empty. */
  readonly directory: string;
  /** Lets what is on its way complete, where that does not happen by itself. */
  settle(): void;
}

export function fileSystemSuite(name: string, makeSubject: () => Subject): void {
  test(`${name}: what is written can be read, synchronously`, () => {
    const { fileSystem, directory } = makeSubject();
    const file = fileSystem.openSync(`${directory}/a`, { access: "create" });
    file.writeSync(Buffer.from("hello world"), 0);
    file.writeSync(Buffer.from("W"), 6);
    file.syncSync();
    assert.equal(file.sizeSync(), 11);
    const into = Buffer.alloc(20);
    assert.equal(file.readSync(into, 0), 11);
    assert.equal(into.toString("latin1", 0, 11), "hello World");
    file.closeSync();
    fileSystem.syncDirectorySync(directory);
    assert.deepEqual(fileSystem.listSync(directory), ["a"]);
  });

  test(`${name}: a write behind the end leaves zeros in between`, () => {
    const { fileSystem, directory } = makeSubject();
    const file = fileSystem.openSync(`${directory}/a`, { access: "create" });
    file.writeSync(Buffer.from("x"), 3);
    const into = Buffer.alloc(4, 1);
    assert.equal(file.readSync(into, 0), 4);
    assert.deepEqual([...into], [0, 0, 0, 120]);
    file.closeSync();
  });

  test(`${name}: create refuses a name that exists, the others one that does not`, () => {
    const { fileSystem, directory } = makeSubject();
    const path = `${directory}/a`;
    assert.throws(() => fileSystem.openSync(path, { access: "read" }), { errno: "ENOENT" });
    assert.throws(() => fileSystem.openSync(path, { access: "write" }), { errno: "ENOENT" });
    fileSystem.openSync(path, { access: "create" }).closeSync();
    assert.throws(() => fileSystem.openSync(path, { access: "create" }), { errno: "EEXIST" });
    assert.throws(() => fileSystem.unlinkSync(`${directory}/b`), { errno: "ENOENT" });
    assert.throws(() => fileSystem.renameSync(`${directory}/b`, path), { errno: "ENOENT" });
  });

  test(`${name}: a rename takes the place of what stood there`, () => {
    const { fileSystem, directory } = makeSubject();
    for (const name of ["a", "b"]) {
      const file = fileSystem.openSync(`${directory}/${name}`, { access: "create" });
      file.writeSync(Buffer.from(name), 0);
      file.closeSync();
    }
    fileSystem.renameSync(`${directory}/a`, `${directory}/b`);
    assert.deepEqual(fileSystem.listSync(directory), ["b"]);
    const file = fileSystem.openSync(`${directory}/b`, { access: "read" });
    const into = Buffer.alloc(1);
    file.readSync(into, 0);
    assert.equal(into.toString(), "a");
    file.closeSync();
  });

  test(`${name}: an open file outlives its name`, () => {
    const { fileSystem, directory } = makeSubject();
    const file = fileSystem.openSync(`${directory}/a`, { access: "create" });
    file.writeSync(Buffer.from("still here"), 0);
    fileSystem.unlinkSync(`${directory}/a`);
    const into = Buffer.alloc(10);
    assert.equal(file.readSync(into, 0), 10);
    assert.equal(into.toString(), "still here");
    file.closeSync();
  });

  test(`${name}: making a directory that exists is fine`, () => {
    const { fileSystem, directory } = makeSubject();
    fileSystem.makeDirectorySync(`${directory}/deep`);
    fileSystem.makeDirectorySync(`${directory}/deep`);
    assert.deepEqual(fileSystem.listSync(`${directory}/deep`), []);
  });

  asynchronousCases(name, makeSubject);
}

/** Starts a call and waits for its callback, which must not come before the call has returned. */
function finished(
  subject: Subject,
  start: (done: (error: FileSystemError | undefined) => void) => void,
): Promise<FileSystemError | undefined> {
  return new Promise((resolve, reject) => {
    let hasReturned = false;
    start((error) => {
      if (hasReturned) resolve(error);
      else reject(new Error("the callback came before the call returned"));
    });
    hasReturned = true;
    subject.settle();
  });
}

function asynchronousCases(name: string, makeSubject: () => Subject): void {
  test(`${name}: the callback calls do the same, and never call back too early`, async () => {
    const subject = makeSubject();
    const { fileSystem, directory } = subject;
    const path = `${directory}/a`;
    const renamed = `${directory}/b`;
    const opened: File[] = [];
    const good = async (start: (done: Done) => void): Promise<void> => {
      assert.equal(await finished(subject, start), undefined);
    };
    await good((done) => {
      fileSystem.open(path, { access: "create", durable: true }, (error, file) => {
        if (file !== undefined) opened.push(file);
        done(error);
      });
    });
    const file = opened[0];
    assert.ok(file !== undefined);
    await good((done) => file.write(Buffer.from("hello"), 0, done));
    await good((done) => file.sync(done));
    const into = Buffer.alloc(8);
    await good((done) => {
      file.read(into, 1, (error, bytesRead) => {
        assert.equal(into.toString("latin1", 0, bytesRead), "ello");
        done(error);
      });
    });
    await good((done) => file.close(done));
    await good((done) => fileSystem.rename(path, renamed, done));
    await good((done) => fileSystem.syncDirectory(directory, done));
    assert.deepEqual(fileSystem.listSync(directory), ["b"]);
    await good((done) => fileSystem.unlink(renamed, done));
    assert.deepEqual(fileSystem.listSync(directory), []);
  });

  test(`${name}: failures arrive as the error, with the name of the reason`, async () => {
    const subject = makeSubject();
    const { fileSystem, directory } = subject;
    const path = `${directory}/a`;
    const starts: ((done: Done) => void)[] = [
      (done) => fileSystem.open(path, { access: "write" }, done),
      (done) => fileSystem.unlink(path, done),
      (done) => fileSystem.rename(path, `${directory}/b`, done),
    ];
    for (const start of starts) {
      const error = await finished(subject, start);
      assert.equal(error?.code, "file-system");
      assert.equal(error?.errno, "ENOENT");
    }
  });
}
