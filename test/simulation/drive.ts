/**
 * The disk of one simulated node: it outlives processes and forgets what was not flushed. Calls
 * take virtual time; it can be slow, hang, be full, fail, and take the process down in the middle
 * of any call. What a crash leaves of unflushed sectors and names is decided by storage's own model
 * of a disk (storage/testing/simulated-disk.ts).
 *
 * Invariant: nothing is durable before the completion that promises it is due.
 */
import { basename, dirname } from "node:path";
import type { SeededRandom } from "../../raft/index.ts";
import { type FileSystem, FileSystemError } from "../../storage/index.ts";
import {
  type CrashKeeps,
  DiskDirectory,
  type DiskFile,
} from "../../storage/testing/simulated-disk.ts";
import { between } from "./chance.ts";
import { MountedDrive } from "./mounted-drive.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedClock } from "./simulated-clock.ts";

export type FailingCall = "write" | "sync";

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
  /** The next call of this kind fails with EIO. */
  #failing: FailingCall | undefined;
  /** A call has failed with EIO since this process began. */
  #hasFailed = false;
  #directories = new Map<string, DiskDirectory>();
  #copy: Map<string, DiskDirectory> | undefined;
  #unflushedNames = new Map<DiskDirectory, number>();
  readonly #changes = new WeakMap<SimulatedClock, number>();

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
    this.dieAfter(0, "everything");
    this.fail(undefined);
    this.#isDying = false;
    this.#hasFailed = false;
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

  /** The next call of a kind fails with EIO: undefined for none. */
  fail(call: FailingCall | undefined): void {
    this.#failing = call;
  }

  /** True when an error of the disk is reason enough for the process to end. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** True when this is the call that is to fail. */
  failsNow(call: FailingCall): boolean {
    if (this.#failing !== call) return false;
    this.#failing = undefined;
    this.#hasFailed = true;
    return true;
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

  /** The same for a call that changes something: who lets go of the disk has waited for it. */
  change(clock: SimulatedClock, settle: (() => void) | undefined, tell: () => void): void {
    this.#changes.set(clock, this.changesUnderWay(clock) + 1);
    this.complete(clock, settle, () => {
      this.#changes.set(clock, this.changesUnderWay(clock) - 1);
      tell();
    });
  }

  /** Calls of a process that it was not told the end of yet. */
  changesUnderWay(clock: SimulatedClock): number {
    return this.#changes.get(clock) ?? 0;
  }

  refuseSpace(operation: string, path: string): never {
    this.refusals += 1;
    throw new FileSystemError(operation, path, "ENOSPC");
  }

  /** Keeps the disk as it is now, for `undoDamage`. */
  keepCopy(): void {
    this.#copy = copyOf(this.#directories, this.#random);
  }

  undoDamage(): void {
    if (this.#copy !== undefined) this.#directories = copyOf(this.#copy, this.#random);
  }

  makeDirectory(path: string): void {
    if (!this.#directories.has(path)) this.#directories.set(path, new DiskDirectory());
  }

  hasDirectory(path: string): boolean {
    return this.#directories.has(path);
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

/** Nothing is drawn for a disk that keeps everything. */
function copyOf(
  directories: ReadonlyMap<string, DiskDirectory>,
  random: SeededRandom,
): Map<string, DiskDirectory> {
  return new Map([...directories].map(([path, held]) => [path, held.crash("everything", random)]));
}
