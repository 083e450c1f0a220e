/**
 * What a disk holds, as a power cut would find it: for every file what a read returns, and sector
 * by sector what the platter still holds instead where that was not flushed; for the directory, the
 * names that are durable and the operations that are not yet.
 */
import type { SeededRandom } from "../../raft/index.ts";

export const SECTOR_BYTES = 512;

/** What becomes of everything that was not flushed. */
export type CrashKeeps =
  /** The process died, the machine did not: caches survive, and are caches still. */
  | "everything"
  | "nothing"
  /** The first part of the unflushed sectors, in file order. */
  | "prefix"
  /** Any subset of them; the others keep what stood there before. */
  | "subset"
  /** Any subset; the others read as zeros. */
  | "zeros";

const EMPTY = Buffer.alloc(0);

export class DiskFile {
  /** What a read returns now. */
  current: Buffer = Buffer.alloc(0);
  /** Where the disk can not be read any more. */
  readonly brokenRanges: { readonly from: number; readonly to: number }[] = [];
  /** Sectors that a flush has yet to write. */
  readonly unflushed = new Set<number>();
  /** Sectors of which the platter does not hold what a read returns, but what stands in `#old`. */
  readonly #behind = new Set<number>();
  /** As long as the file, or empty while no sector is behind. */
  #old: Buffer = EMPTY;
  #durableLength = 0;
  #hasForgotten = false;
  /** Sectors that the disk can not read. */
  readonly #unreadable = new Set<number>();
  /** Another file may show the same bytes: they are copied before they change. */
  #isShared = false;

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    const lengthBefore = this.current.length;
    this.#makeOwn(Math.max(end, lengthBefore));
    this.#keepOld(floorSector(position), end, lengthBefore);
    for (let at = floorSector(position); at < end; at += SECTOR_BYTES) {
      this.unflushed.add(at);
      if (this.#unreadable.size > 0) this.#unreadable.delete(at);
    }
    this.current.set(bytes, position);
  }

  /** Run by run of sectors: most writes are one run. Behind the end there was nothing to keep. */
  #keepOld(from: number, end: number, lengthBefore: number): void {
    if (this.#old.length < this.current.length) {
      const old = Buffer.alloc(this.current.length);
      this.#old.copy(old);
      this.#old = old;
    }
    let start = from;
    for (let at = from; at < end; at += SECTOR_BYTES) {
      if (!this.#behind.has(at)) {
        this.#behind.add(at);
        continue;
      }
      if (start < at) this.current.copy(this.#old, start, start, at);
      start = at + SECTOR_BYTES;
    }
    const keptEnd = Math.min(ceilSector(end), lengthBefore);
    if (start < keptEnd) this.current.copy(this.#old, start, start, keptEnd);
  }

  flush(): void {
    this.flushRange(0, this.current.length);
  }

  /** What a durable write promises: its own sectors, and the length it needs. */
  flushRange(position: number, length: number): void {
    const from = floorSector(position);
    for (const at of this.unflushed) {
      if (at < from || at >= position + length) continue;
      this.unflushed.delete(at);
      this.#behind.delete(at);
      const end = Math.min(at + SECTOR_BYTES, this.current.length);
      this.#durableLength = Math.max(this.#durableLength, end);
    }
  }

  /** A failed flush: the kernel forgets the pages were dirty, and keeps showing them. */
  forgetUnflushed(): void {
    this.unflushed.clear();
    this.#hasForgotten = true;
  }

  /** A flush failed in this process's time. */
  get hasForgotten(): boolean {
    return this.#hasForgotten;
  }

  /** From here on reads of these sectors fail, until they are written again. */
  spoil(position: number, length: number): void {
    for (let at = floorSector(position); at < position + length; at += SECTOR_BYTES) {
      this.#unreadable.add(at);
    }
  }

  isUnreadable(position: number, length: number): boolean {
    if (this.#unreadable.size === 0) return false;
    for (const at of this.#unreadable) {
      if (at < position + length && at + SECTOR_BYTES > position) return true;
    }
    return false;
  }

  /** Rot: on the platter and in the cache. */
  flipBit(bit: number): void {
    const at = Math.floor(bit / 8);
    if (at >= this.current.length) return;
    this.#makeOwn(this.current.length);
    flip(this.current, at, bit % 8);
    if (this.#behind.has(floorSector(at))) flip(this.#old, at, bit % 8);
  }

  /** Rot: other bytes, or less of them, on the platter and in the cache. */
  rot(bytes: Uint8Array): void {
    this.current = Buffer.from(bytes);
    this.unflushed.clear();
    this.#behind.clear();
    this.#old = EMPTY;
    this.#durableLength = bytes.length;
    this.#isShared = false;
  }

  /** The file after a crash. */
  crash(keeps: CrashKeeps, random: SeededRandom): DiskFile {
    const after = keeps === "everything" ? this.#cached() : this.#cut(keeps, random);
    for (const at of this.#unreadable) after.#unreadable.add(at);
    return after;
  }

  #cut(keeps: CrashKeeps, random: SeededRandom): DiskFile {
    const after = new DiskFile();
    if (this.#behind.size === 0) after.#share(this);
    else after.current = this.#torn(keeps, random);
    after.#durableLength = after.current.length;
    return after;
  }

  /** The kernel's cache outlives the process, and what was not flushed still is not. */
  #cached(): DiskFile {
    const after = new DiskFile();
    after.#share(this);
    after.#durableLength = this.#durableLength;
    for (const at of this.unflushed) after.unflushed.add(at);
    for (const at of this.#behind) after.#behind.add(at);
    if (this.#behind.size > 0) after.#old = Buffer.from(this.#old);
    return after;
  }

  #share(file: DiskFile): void {
    this.current = file.current;
    this.#isShared = true;
    file.#isShared = true;
  }

  #torn(keeps: CrashKeeps, random: SeededRandom): Buffer {
    const sectors = [...this.unflushed].sort((a, b) => a - b);
    const prefix = keeps === "prefix" ? random.below(sectors.length + 1) : 0;
    const image = Buffer.from(this.current);
    for (const at of this.#behind) this.#old.copy(image, at, at, at + SECTOR_BYTES);
    let length = this.#durableLength;
    for (const [i, at] of sectors.entries()) {
      const end = Math.min(at + SECTOR_BYTES, this.current.length);
      const isKept = keeps === "prefix" ? i < prefix : keeps !== "nothing" && random.below(2) === 0;
      if (!isKept && keeps !== "zeros") continue;
      length = Math.max(length, end);
      if (isKept) this.current.copy(image, at, at, end);
      else image.fill(0, at, end);
    }
    return image.subarray(0, length);
  }

  /** Makes the bytes this file's own, with room for `length` of them. */
  #makeOwn(length: number): void {
    if (!this.#isShared && length === this.current.length) return;
    const own = Buffer.alloc(length);
    this.current.copy(own);
    this.current = own;
    this.#isShared = false;
  }
}

function flip(bytes: Buffer, at: number, bit: number): void {
  if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
}

type NameOperation =
  | { readonly kind: "create"; readonly name: string; readonly file: DiskFile }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "unlink"; readonly name: string };

/** One flat directory. */
export class DiskDirectory {
  readonly names = new Map<string, DiskFile>();
  readonly #durable = new Map<string, DiskFile>();
  #unflushed: NameOperation[] = [];

  apply(operation: NameOperation): void {
    applyTo(this.names, operation);
    this.#unflushed.push(operation);
  }

  /** A file is gone that was there for good. */
  lose(name: string): void {
    this.flush();
    this.names.delete(name);
    this.#durable.delete(name);
  }

  flush(): void {
    for (const operation of this.#unflushed) applyTo(this.#durable, operation);
    this.#unflushed = [];
  }

  crash(keeps: CrashKeeps, random: SeededRandom): DiskDirectory {
    const copies = new Map<DiskFile, DiskFile>();
    const copyOf = (file: DiskFile): DiskFile => {
      const copy = copies.get(file) ?? file.crash(keeps, random);
      copies.set(file, copy);
      return copy;
    };
    return keeps === "everything" ? this.#cached(copyOf) : this.#cut(keeps, random, copyOf);
  }

  #cached(copyOf: (file: DiskFile) => DiskFile): DiskDirectory {
    const after = new DiskDirectory();
    for (const [name, file] of this.names) after.names.set(name, copyOf(file));
    for (const [name, file] of this.#durable) after.#durable.set(name, copyOf(file));
    after.#unflushed = this.#unflushed.map((operation) =>
      operation.kind === "create" ? { ...operation, file: copyOf(operation.file) } : operation,
    );
    return after;
  }

  #cut(
    keeps: CrashKeeps,
    random: SeededRandom,
    copyOf: (file: DiskFile) => DiskFile,
  ): DiskDirectory {
    const survivors = new Map(this.#durable);
    const count = this.#unflushed.length;
    const prefix = keeps === "prefix" ? random.below(count + 1) : 0;
    for (const [i, operation] of this.#unflushed.entries()) {
      const isKept =
        (keeps === "prefix" && i < prefix) ||
        ((keeps === "subset" || keeps === "zeros") && random.below(2) === 0);
      if (isKept) applyTo(survivors, operation);
    }
    const after = new DiskDirectory();
    for (const [name, file] of survivors) {
      const copy = copyOf(file);
      after.names.set(name, copy);
      after.#durable.set(name, copy);
    }
    return after;
  }
}

function applyTo(names: Map<string, DiskFile>, operation: NameOperation): void {
  switch (operation.kind) {
    case "create":
      names.set(operation.name, operation.file);
      return;
    case "rename": {
      const file = names.get(operation.from);
      // The creation was forgotten, and the rename with it.
      if (file === undefined) return;
      names.delete(operation.from);
      names.set(operation.to, file);
      return;
    }
    case "unlink":
      names.delete(operation.name);
      return;
  }
}

function floorSector(position: number): number {
  return position - (position % SECTOR_BYTES);
}

function ceilSector(position: number): number {
  return floorSector(position + SECTOR_BYTES - 1);
}
