/**
 * The file system's twin for tests. It forgets what was not flushed, tears writes, fails calls on
 * demand, and hands every completion to its owner, who decides the order of everything.
 *
 * Calls are numbered from 1, reads apart from the rest: `crashAt` and `failAt` name one of them.
 */
import { basename, dirname } from "node:path";
import type { SeededRandom } from "../../raft/index.ts";
import { FileSystemError } from "../errors.ts";
import type { Done, File, FileSystem, OpenOptions } from "../file-system.ts";
import { FileUse } from "../file-use.ts";
import { type CrashKeeps, DiskDirectory, DiskFile } from "./simulated-disk.ts";

/** Ends a scripted run at the crash point; nothing after it happens. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

export interface FaultPlan {
  /** The machine dies at this call. What the call writes may or may not reach the disk. */
  readonly crashAt?: number;
  /** This call fails with `errno`, once. */
  readonly failAt?: number;
  readonly errno?: string;
  /** The failing write puts half of its bytes down first. */
  readonly shortWrite?: boolean;
  /** Called for each completion that is due; by default they queue up for `run`. */
  readonly schedule?: (deliver: () => void) => void;
}

export class SimulatedFileSystem implements FileSystem {
  readonly #directories: Map<string, DiskDirectory>;
  readonly #plan: FaultPlan;
  /** Bytes that files may still grow by. */
  #roomBytes = Number.MAX_SAFE_INTEGER;
  readonly #due: (() => void)[] = [];
  readonly #trace: string[] = [];
  #calls = 0;
  #crashed = false;
  #faultsFired = 0;

  constructor(plan: FaultPlan = {}, directories = new Map<string, DiskDirectory>()) {
    this.#plan = plan;
    this.#directories = directories;
  }

  /** Calls made so far, reads not counted. */
  get calls(): number {
    return this.#calls;
  }

  get hasCrashed(): boolean {
    return this.#crashed;
  }

  get faultsFired(): number {
    return this.#faultsFired;
  }

  /** One line for each call. */
  get trace(): readonly string[] {
    return this.#trace;
  }

  get completionsDue(): number {
    return this.#due.length;
  }

  /** Delivers the completion at `position` of those that are due. */
  deliver(position = 0): void {
    const [next] = this.#due.splice(position, 1);
    next?.();
  }

  /** Delivers completions until none is due. */
  run(): void {
    while (this.#due.length > 0 && !this.#crashed) this.deliver();
  }

  /** The disk as the next process finds it. This one is of no use any more. */
  restart(keeps: CrashKeeps, random: SeededRandom, plan: FaultPlan = {}): SimulatedFileSystem {
    this.#crashed = true;
    const after = new Map<string, DiskDirectory>();
    for (const [path, directory] of this.#directories)
      after.set(path, directory.crash(keeps, random));
    return new SimulatedFileSystem(plan, after);
  }

  /** From now on files grow by this much in all; writing over what is there always works. */
  limitRoom(bytes: number): void {
    this.#roomBytes = bytes;
  }

  /** Takes room for a growing file; throws when there is none. */
  grow(path: string, bytes: number): void {
    if (bytes > this.#roomBytes) throw new FileSystemError("write", path, "ENOSPC");
    this.#roomBytes -= bytes;
  }

  /** Rot: flips one bit, on the platter and in the cache. */
  flipBit(path: string, bit: number): void {
    this.#find("flip", path).flipBit(bit);
  }

  /** From now on reads that touch this range fail with EIO; writing there heals nothing. */
  breakReads(path: string, from: number, length: number): void {
    this.#find("break", path).brokenRanges.push({ from, to: from + length });
  }

  /** The bytes of a file as a read would see them. */
  bytesOf(path: string): Buffer {
    return Buffer.from(this.#find("read", path).current);
  }

  /** Puts a file there as if it had always been. */
  plant(path: string, bytes: Uint8Array): void {
    const file = new DiskFile();
    file.write(bytes, 0);
    file.flush();
    this.#directory(dirname(path)).apply({ kind: "create", name: basename(path), file });
    this.#directory(dirname(path)).flush();
  }

  makeDirectorySync(path: string): void {
    this.#call("mkdir", path);
    if (!this.#directories.has(path)) this.#directories.set(path, new DiskDirectory());
  }

  listSync(directory: string): readonly string[] {
    this.#alive();
    return [...this.#directory(directory).names.keys()];
  }

  openSync(path: string, options: OpenOptions): File {
    if (options.access === "create") this.#call("create", path);
    else this.#alive();
    return this.#open(path, options);
  }

  renameSync(from: string, to: string): void {
    this.#call("rename", from);
    this.#rename(from, to);
  }

  unlinkSync(path: string): void {
    this.#call("unlink", path);
    this.#unlink(path);
  }

  syncDirectorySync(directory: string): void {
    this.#call("sync directory", directory);
    this.#directory(directory).flush();
  }

  open(
    path: string,
    options: OpenOptions,
    done: (error: FileSystemError | undefined, file: File | undefined) => void,
  ): void {
    this.#later(
      () => {
        if (options.access === "create") this.#call("create", path);
        return this.#open(path, options);
      },
      (error, file) => done(error, file),
    );
  }

  rename(from: string, to: string, done: Done): void {
    this.#later(() => this.renameSync(from, to), done);
  }

  unlink(path: string, done: Done): void {
    this.#later(() => this.unlinkSync(path), done);
  }

  syncDirectory(directory: string, done: Done): void {
    this.#later(() => this.syncDirectorySync(directory), done);
  }

  /**
   * Counts a call; dies or fails when it is this one's turn. `partly` is what a dying or failing
   * call may still do.
   */
  call(operation: string, path: string, partly: (short: boolean, dies: boolean) => void): void {
    this.#alive();
    this.#calls += 1;
    this.#trace.push(`${this.#calls} ${operation} ${basename(path)}`);
    const { crashAt, failAt, errno, shortWrite } = this.#plan;
    if (this.#calls === crashAt) {
      partly(false, true);
      this.#crashed = true;
      throw new SimulatedCrash(`crashed at call ${this.#calls}: ${operation} ${path}`);
    }
    if (this.#calls !== failAt) return;
    this.#faultsFired += 1;
    partly(shortWrite === true, false);
    throw new FileSystemError(operation, path, errno ?? "EIO");
  }

  /** Does the work now and tells later; a crash is never told. */
  later<T>(work: () => T, tell: (error: FileSystemError | undefined, result?: T) => void): void {
    this.#later(work, tell);
  }

  #later<T>(work: () => T, tell: (error: FileSystemError | undefined, result?: T) => void): void {
    if (this.#crashed) return;
    let deliver: () => void;
    try {
      const result = work();
      deliver = () => tell(undefined, result);
    } catch (error) {
      if (error instanceof SimulatedCrash) return;
      if (!(error instanceof FileSystemError)) throw error;
      deliver = () => tell(error);
    }
    const guarded = (): void => {
      if (!this.#crashed) deliver();
    };
    if (this.#plan.schedule === undefined) this.#due.push(guarded);
    else this.#plan.schedule(guarded);
  }

  #alive(): void {
    if (this.#crashed) throw new SimulatedCrash("this machine is down");
  }

  #call(operation: string, path: string): void {
    this.call(operation, path, () => {});
  }

  #directory(path: string): DiskDirectory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw new FileSystemError("find", path, "ENOENT");
    return directory;
  }

  #find(operation: string, path: string): DiskFile {
    const file = this.#directory(dirname(path)).names.get(basename(path));
    if (file === undefined) throw new FileSystemError(operation, path, "ENOENT");
    return file;
  }

  #open(path: string, options: OpenOptions): File {
    const isDurable = options.durable === true;
    if (options.access !== "create")
      return new SimulatedFile(this, path, this.#find("open", path), isDurable);
    const directory = this.#directory(dirname(path));
    if (directory.names.has(basename(path))) throw new FileSystemError("open", path, "EEXIST");
    const file = new DiskFile();
    directory.apply({ kind: "create", name: basename(path), file });
    return new SimulatedFile(this, path, file, isDurable);
  }

  #rename(from: string, to: string): void {
    this.#find("rename", from);
    this.#directory(dirname(from)).apply({
      kind: "rename",
      from: basename(from),
      to: basename(to),
    });
  }

  #unlink(path: string): void {
    this.#find("unlink", path);
    this.#directory(dirname(path)).apply({ kind: "unlink", name: basename(path) });
  }
}

class SimulatedFile implements File {
  readonly path: string;
  readonly #system: SimulatedFileSystem;
  readonly #file: DiskFile;
  readonly #isDurable: boolean;
  readonly #use: FileUse;

  constructor(system: SimulatedFileSystem, path: string, file: DiskFile, isDurable: boolean) {
    this.#system = system;
    this.path = path;
    this.#file = file;
    this.#isDurable = isDurable;
    this.#use = new FileUse(path);
  }

  readSync(into: Uint8Array, position: number): number {
    this.#use.check();
    const isBroken = this.#file.brokenRanges.some(
      (range) => position < range.to && position + into.length > range.from,
    );
    if (isBroken) throw new FileSystemError("read", this.path, "EIO");
    const from = Math.min(position, this.#file.current.length);
    const to = Math.min(position + into.length, this.#file.current.length);
    into.set(this.#file.current.subarray(from, to));
    return to - from;
  }

  writeSync(bytes: Uint8Array, position: number): void {
    this.#use.check();
    this.#write(bytes, position);
    if (this.#isDurable) this.#file.flushRange(position, bytes.length);
  }

  syncSync(): void {
    this.#use.check();
    this.#system.call("sync", this.path, (_short, dies) => {
      // A dying machine may have flushed any part; a failed flush drops what was dirty.
      if (!dies) this.#file.forgetUnflushed();
    });
    this.#file.flush();
  }

  closeSync(): void {
    this.#use.close();
  }

  sizeSync(): number {
    this.#use.check();
    return this.#file.current.length;
  }

  read(
    into: Uint8Array,
    position: number,
    done: (error: FileSystemError | undefined, bytesRead: number) => void,
  ): void {
    const tell = this.#use.begin(done);
    this.#system.later(
      () => this.readSync(into, position),
      (error, bytesRead) => tell(error, bytesRead ?? 0),
    );
  }

  /** Visible at once, durable (if ever) only when the completion is delivered. */
  write(bytes: Uint8Array, position: number, done: Done): void {
    const tell = this.#use.begin(done);
    const copy = Buffer.from(bytes);
    this.#system.later(
      () => this.#write(copy, position),
      (error) => {
        if (error === undefined && this.#isDurable) this.#file.flushRange(position, copy.length);
        tell(error);
      },
    );
  }

  sync(done: Done): void {
    this.#system.later(() => this.syncSync(), this.#use.begin(done));
  }

  close(done: Done): void {
    this.#use.close();
    this.#system.later(() => {}, done);
  }

  #write(bytes: Uint8Array, position: number): void {
    this.#system.call("write", this.path, (short, dies) => {
      const half = bytes.subarray(0, Math.floor(bytes.length / 2));
      if (dies) this.#file.write(bytes, position);
      else if (short) this.#file.write(half, position);
    });
    const grows = Math.max(0, position + bytes.length - this.#file.current.length);
    if (grows > 0) this.#system.grow(this.path, grows);
    this.#file.write(bytes, position);
  }
}
