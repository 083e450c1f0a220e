/**
 * The disk of one simulated node: it outlives processes and forgets what was not flushed. Calls
 * take virtual time; it can be slow, hang, be full, and take the process down in the middle of any
 * call. What a crash leaves of unflushed sectors and names is decided by storage's own model of a
 * disk (storage/testing/simulated-disk.ts).
 *
 * Invariants: nothing is durable before the completion that promises it is due; a mounted file
 * system is of no use once its process has ended.
 */
import { basename, dirname } from "node:path";
import type { SeededRandom } from "../../raft/index.ts";
import {
  type Done,
  type File,
  type FileSystem,
  FileSystemError,
  type OpenOptions,
} from "../../storage/index.ts";
import { type CrashKeeps, DiskDirectory, DiskFile } from "../../storage/testing/simulated-disk.ts";
import { between } from "./chance.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedClock } from "./simulated-clock.ts";

/** Ends the process that made the call. */
export class ProcessDied extends Error {
  override readonly name = "ProcessDied";
}

/** What a crash took away. */
export interface CrashLoss {
  readonly files: number;
  readonly names: number;
}

export class Drive {
  latencyMsMax: number;
  /** Completions wait until then. */
  hungUntilMs = 0;
  /** No new space: files can not be made and not grow. */
  isFull = false;
  /** What is left when the process dies in a call. */
  deathKeeps: CrashKeeps = "everything";
  /** Calls refused for want of space. */
  refusals = 0;
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  /** The process dies in the call that brings this to 0; 0 for never. */
  #callsToDeath = 0;
  #isDying = false;
  #directories = new Map<string, DiskDirectory>();
  #unflushedNames = new Map<DiskDirectory, number>();

  constructor(scheduler: Scheduler, random: SeededRandom, latencyMsMax: number) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.latencyMsMax = latencyMsMax;
  }

  /** The file system as one process sees it. */
  mount(clock: SimulatedClock): FileSystem {
    return new MountedDrive(this, clock);
  }

  /** Leaves what the next process will find. */
  crash(keeps: CrashKeeps): CrashLoss {
    const before = this.#directories;
    let names = 0;
    let files = 0;
    this.#directories = new Map();
    for (const [path, directory] of before) {
      const after = directory.crash(keeps, this.#random);
      this.#directories.set(path, after);
      if (keeps === "everything") continue;
      names += this.#unflushedNames.get(directory) ?? 0;
      for (const [name, file] of directory.names) {
        const left = after.names.get(name);
        if (file.unflushed.size > 0 && left?.current.equals(file.current) !== true) files += 1;
      }
    }
    this.#unflushedNames = new Map();
    this.#callsToDeath = 0;
    this.#isDying = false;
    return { files, names };
  }

  /** The process dies in the middle of the `calls`th call from now. */
  dieAfter(calls: number, keeps: CrashKeeps): void {
    this.#callsToDeath = calls;
    this.deathKeeps = keeps;
  }

  /** True when it is the disk that ended the process, as it was told to. */
  get hasKilled(): boolean {
    return this.#isDying;
  }

  /** Counts a call that changes something; true when the process dies in it. */
  diesNow(): boolean {
    if (this.#callsToDeath === 0) return false;
    this.#callsToDeath -= 1;
    this.#isDying = this.#callsToDeath === 0;
    return this.#isDying;
  }

  /** When the disk is done, `settle` makes it durable; when the process looks, `tell` tells it. */
  complete(clock: SimulatedClock, settle: (() => void) | undefined, tell: () => void): void {
    const latencyMs = between(this.#random, 0.02, this.latencyMsMax);
    const atMs = Math.max(this.#scheduler.nowMs + latencyMs, this.hungUntilMs + latencyMs);
    this.#scheduler.at(atMs, () => {
      // It began to hang while this was on its way.
      if (this.hungUntilMs > this.#scheduler.nowMs) {
        this.complete(clock, settle, tell);
        return;
      }
      settle?.();
      clock.deliver(tell);
    });
  }

  refuseSpace(operation: string, path: string): never {
    this.refusals += 1;
    throw new FileSystemError(operation, path, "ENOSPC");
  }

  makeDirectory(path: string): void {
    if (!this.#directories.has(path)) this.#directories.set(path, new DiskDirectory());
  }

  directory(path: string): DiskDirectory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw new FileSystemError("find", path, "ENOENT");
    return directory;
  }

  nameChanged(directory: DiskDirectory): void {
    this.#unflushedNames.set(directory, (this.#unflushedNames.get(directory) ?? 0) + 1);
  }

  namesFlushed(directory: DiskDirectory): void {
    directory.flush();
    this.#unflushedNames.delete(directory);
  }

  find(operation: string, path: string): DiskFile {
    const file = this.directory(dirname(path)).names.get(basename(path));
    if (file === undefined) throw new FileSystemError(operation, path, "ENOENT");
    return file;
  }
}

class MountedDrive implements FileSystem {
  readonly #drive: Drive;
  readonly #clock: SimulatedClock;

  constructor(drive: Drive, clock: SimulatedClock) {
    this.#drive = drive;
    this.#clock = clock;
  }

  makeDirectorySync(path: string): void {
    this.#drive.makeDirectory(path);
  }

  listSync(directory: string): readonly string[] {
    return [...this.#drive.directory(directory).names.keys()];
  }

  openSync(path: string, options: OpenOptions): File {
    const drive = this.#drive;
    const isDurable = options.durable === true;
    if (options.access !== "create") {
      return new MountedFile(drive, this.#clock, path, drive.find("open", path), isDurable);
    }
    if (drive.isFull) drive.refuseSpace("create", path);
    const directory = drive.directory(dirname(path));
    if (directory.names.has(basename(path))) throw new FileSystemError("open", path, "EEXIST");
    const file = new DiskFile();
    directory.apply({ kind: "create", name: basename(path), file });
    drive.nameChanged(directory);
    this.#mayDie("create", path);
    return new MountedFile(drive, this.#clock, path, file, isDurable);
  }

  renameSync(from: string, to: string): void {
    this.#drive.find("rename", from);
    const directory = this.#drive.directory(dirname(from));
    directory.apply({ kind: "rename", from: basename(from), to: basename(to) });
    this.#drive.nameChanged(directory);
    this.#mayDie("rename", from);
  }

  unlinkSync(path: string): void {
    this.#drive.find("unlink", path);
    const directory = this.#drive.directory(dirname(path));
    directory.apply({ kind: "unlink", name: basename(path) });
    this.#drive.nameChanged(directory);
    this.#mayDie("unlink", path);
  }

  syncDirectorySync(path: string): void {
    this.#mayDie("sync directory", path);
    this.#drive.namesFlushed(this.#drive.directory(path));
  }

  open(
    path: string,
    options: OpenOptions,
    done: (error: FileSystemError | undefined, file: File | undefined) => void,
  ): void {
    const opened = attempt(() => this.openSync(path, options));
    this.#drive.complete(this.#clock, undefined, () => done(opened.error, opened.value));
  }

  rename(from: string, to: string, done: Done): void {
    const { error } = attempt(() => this.renameSync(from, to));
    this.#drive.complete(this.#clock, undefined, () => done(error));
  }

  unlink(path: string, done: Done): void {
    const { error } = attempt(() => this.unlinkSync(path));
    this.#drive.complete(this.#clock, undefined, () => done(error));
  }

  syncDirectory(path: string, done: Done): void {
    const directory = this.#drive.directory(path);
    this.#mayDie("sync directory", path);
    const settle = () => this.#drive.namesFlushed(directory);
    this.#drive.complete(this.#clock, settle, () => done(undefined));
  }

  #mayDie(operation: string, path: string): void {
    if (this.#drive.diesNow()) throw new ProcessDied(`in ${operation} ${basename(path)}`);
  }
}

class MountedFile implements File {
  readonly path: string;
  readonly #drive: Drive;
  readonly #clock: SimulatedClock;
  readonly #file: DiskFile;
  readonly #isDurable: boolean;

  constructor(
    drive: Drive,
    clock: SimulatedClock,
    path: string,
    file: DiskFile,
    isDurable: boolean,
  ) {
    this.#drive = drive;
    this.#clock = clock;
    this.path = path;
    this.#file = file;
    this.#isDurable = isDurable;
  }

  readSync(into: Uint8Array, position: number): number {
    const from = Math.min(position, this.#file.current.length);
    const to = Math.min(position + into.length, this.#file.current.length);
    into.set(this.#file.current.subarray(from, to));
    return to - from;
  }

  writeSync(bytes: Uint8Array, position: number): void {
    this.#write(bytes, position);
    if (this.#isDurable) this.#file.flushRange(position, bytes.length);
  }

  syncSync(): void {
    this.#mayDie("sync");
    this.#file.flush();
  }

  closeSync(): void {}

  sizeSync(): number {
    return this.#file.current.length;
  }

  read(
    into: Uint8Array,
    position: number,
    done: (error: FileSystemError | undefined, bytesRead: number) => void,
  ): void {
    const bytesRead = this.readSync(into, position);
    this.#drive.complete(this.#clock, undefined, () => done(undefined, bytesRead));
  }

  write(bytes: Uint8Array, position: number, done: Done): void {
    const { error } = attempt(() => this.#write(bytes, position));
    const settle = () => this.#file.flushRange(position, bytes.length);
    const isDurable = this.#isDurable && error === undefined;
    this.#drive.complete(this.#clock, isDurable ? settle : undefined, () => done(error));
  }

  sync(done: Done): void {
    this.#mayDie("sync");
    const size = this.#file.current.length;
    const settle = () => this.#file.flushRange(0, size);
    this.#drive.complete(this.#clock, settle, () => done(undefined));
  }

  close(done: Done): void {
    this.#drive.complete(this.#clock, undefined, () => done(undefined));
  }

  /** Visible at once, durable (if ever) later; a process that dies here leaves any part of it. */
  #write(bytes: Uint8Array, position: number): void {
    const grows = position + bytes.length > this.#file.current.length;
    if (grows && this.#drive.isFull) this.#drive.refuseSpace("write", this.path);
    this.#file.write(bytes, position);
    this.#mayDie("write");
  }

  #mayDie(operation: string): void {
    if (this.#drive.diesNow()) throw new ProcessDied(`in ${operation} ${basename(this.path)}`);
  }
}

/** The outcome of a call as a value: what a disk refuses is told later, like everything else. */
function attempt<Value>(run: () => Value): {
  readonly value: Value | undefined;
  readonly error: FileSystemError | undefined;
} {
  try {
    return { value: run(), error: undefined };
  } catch (error) {
    if (!(error instanceof FileSystemError)) throw error;
    return { value: undefined, error };
  }
}
