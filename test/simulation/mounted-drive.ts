/**
 * The file system of one process on a simulated disk. It is of no use once its process has ended.
 */
import { basename, dirname } from "node:path";
import { FileUse } from "../../storage/file-use.ts";
import {
  type Done,
  type File,
  type FileSystem,
  FileSystemError,
  type OpenOptions,
} from "../../storage/index.ts";
import { DiskFile } from "../../storage/testing/simulated-disk.ts";
import type { Drive } from "./drive.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import { promised } from "./violation.ts";

/** Ends the process that made the call. */
export class ProcessDied extends Error {
  override readonly name = "ProcessDied";
}

export class MountedDrive implements FileSystem {
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
    const { error, value } = attempt(() => this.openSync(path, options));
    const tell = (): void => done(error, value);
    if (options.access === "create") this.#drive.change(this.#clock, undefined, tell);
    else this.#drive.complete(this.#clock, undefined, tell);
  }

  rename(from: string, to: string, done: Done): void {
    const { error } = attempt(() => this.renameSync(from, to));
    this.#drive.change(this.#clock, undefined, () => done(error));
  }

  unlink(path: string, done: Done): void {
    const { error } = attempt(() => this.unlinkSync(path));
    this.#drive.change(this.#clock, undefined, () => done(error));
  }

  syncDirectory(path: string, done: Done): void {
    const directory = this.#drive.directory(path);
    this.#mayDie("sync directory", path);
    const settle = () => this.#drive.namesFlushed(directory);
    this.#drive.change(this.#clock, settle, () => done(undefined));
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
  readonly #use: FileUse;

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
    this.#use = new FileUse(path);
  }

  readSync(into: Uint8Array, position: number): number {
    this.#use.check();
    if (this.#file.isUnreadable(position, into.length)) throw this.#error("read");
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
    this.#mayDie("sync");
    this.#mayFailToSync();
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
    const { error, value } = attempt(() => this.readSync(into, position));
    this.#drive.complete(this.#clock, undefined, () => tell(error, value ?? 0));
  }

  write(bytes: Uint8Array, position: number, done: Done): void {
    const tell = this.#use.begin(done);
    const { error } = attempt(() => this.#write(bytes, position));
    const settle = () => this.#file.flushRange(position, bytes.length);
    const isDurable = this.#isDurable && error === undefined;
    this.#drive.change(this.#clock, isDurable ? settle : undefined, () => tell(error));
  }

  sync(done: Done): void {
    const tell = this.#use.begin(done);
    this.#mayDie("sync");
    const { error } = attempt(() => this.#mayFailToSync());
    const size = this.#file.current.length;
    const settle = error === undefined ? () => this.#file.flushRange(0, size) : undefined;
    this.#drive.change(this.#clock, settle, () => tell(error));
  }

  close(done: Done): void {
    this.#use.close();
    this.#drive.complete(this.#clock, undefined, () => done(undefined));
  }

  /** Visible at once, durable (if ever) later; a process that dies here leaves any part of it. */
  #write(bytes: Uint8Array, position: number): void {
    const grows = position + bytes.length > this.#file.current.length;
    if (grows && this.#drive.isFull) this.#drive.refuseSpace("write", this.path);
    const fails = this.#drive.failsNow("write");
    this.#file.write(fails ? bytes.subarray(0, bytes.length / 2) : bytes, position);
    this.#mayDie("write");
    if (!fails) return;
    if (this.#isDurable) this.#forget();
    throw this.#error("write");
  }

  /** The kernel reports a failed flush once, and calls the pages clean (D10). */
  #mayFailToSync(): void {
    promised("early-promise", !this.#file.hasForgotten, () => `${this.path} is synced once more`);
    if (!this.#drive.failsNow("sync")) return;
    this.#forget();
    throw this.#error("sync");
  }

  #forget(): void {
    this.#file.forgetUnflushed();
  }

  #error(operation: string): FileSystemError {
    return new FileSystemError(operation, this.path, "EIO");
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
