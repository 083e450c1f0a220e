/**
 * What a disk holds, as a power cut would find it: for every file a durable image, and sector by
 * sector what was written since and not yet flushed; for the directory, the names that are durable
 * and the operations that are not yet.
 */
import type { SeededRandom } from "../../raft/index.ts";

export const SECTOR_BYTES = 512;

/** What becomes of everything that was not flushed. */
export type CrashKeeps =
  /** The process died, the machine did not: caches survive. */
  | "everything"
  | "nothing"
  /** The first part of the unflushed sectors, in file order. */
  | "prefix"
  /** Any subset of them; the others keep what stood there before. */
  | "subset"
  /** Any subset; the others read as zeros. */
  | "zeros";

export class DiskFile {
  /** What a read returns now. */
  current: Buffer = Buffer.alloc(0);
  /** What is certainly on the platter. */
  durable: Buffer = Buffer.alloc(0);
  readonly unflushed = new Set<number>();

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.current.length) {
      const grown = Buffer.alloc(end);
      this.current.copy(grown);
      this.current = grown;
    }
    this.current.set(bytes, position);
    for (let at = floorSector(position); at < end; at += SECTOR_BYTES) this.unflushed.add(at);
  }

  flush(): void {
    this.#flushSectors([...this.unflushed]);
  }

  /** What a durable write promises: its own sectors, and the length it needs. */
  flushRange(position: number, length: number): void {
    const sectors: number[] = [];
    for (let at = floorSector(position); at < position + length; at += SECTOR_BYTES) {
      if (this.unflushed.has(at)) sectors.push(at);
    }
    this.#flushSectors(sectors);
  }

  /** A failed flush: the kernel forgets the pages were dirty, and keeps showing them. */
  forgetUnflushed(): void {
    this.unflushed.clear();
  }

  #flushSectors(sectors: readonly number[]): void {
    let length = this.durable.length;
    for (const at of sectors) {
      length = Math.max(length, Math.min(at + SECTOR_BYTES, this.current.length));
    }
    this.durable = resized(this.durable, length);
    for (const at of sectors) {
      const end = Math.min(at + SECTOR_BYTES, this.current.length);
      this.current.copy(this.durable, at, at, end);
      this.unflushed.delete(at);
    }
  }

  /** The file after a crash. */
  crash(keeps: CrashKeeps, random: SeededRandom): DiskFile {
    const after = new DiskFile();
    if (keeps === "everything") {
      after.durable = Buffer.from(this.current);
    } else {
      after.durable = this.#torn(keeps, random);
    }
    after.current = Buffer.from(after.durable);
    return after;
  }

  #torn(keeps: CrashKeeps, random: SeededRandom): Buffer {
    const sectors = [...this.unflushed].sort((a, b) => a - b);
    const prefix = keeps === "prefix" ? random.below(sectors.length + 1) : 0;
    let image: Buffer = Buffer.from(this.durable);
    for (const [i, at] of sectors.entries()) {
      const end = Math.min(at + SECTOR_BYTES, this.current.length);
      const isKept = keeps === "prefix" ? i < prefix : keeps !== "nothing" && random.below(2) === 0;
      if (!isKept && keeps !== "zeros") continue;
      image = resized(image, Math.max(image.length, end));
      if (isKept) this.current.copy(image, at, at, end);
      else image.fill(0, at, end);
    }
    return image;
  }
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

  flush(): void {
    for (const operation of this.#unflushed) applyTo(this.#durable, operation);
    this.#unflushed = [];
  }

  crash(keeps: CrashKeeps, random: SeededRandom): DiskDirectory {
    const survivors = new Map(this.#durable);
    const count = this.#unflushed.length;
    const prefix = keeps === "prefix" ? random.below(count + 1) : 0;
    for (const [i, operation] of this.#unflushed.entries()) {
      const isKept =
        keeps === "everything" ||
        (keeps === "prefix" && i < prefix) ||
        ((keeps === "subset" || keeps === "zeros") && random.below(2) === 0);
      if (isKept) applyTo(survivors, operation);
    }
    const after = new DiskDirectory();
    const copies = new Map<DiskFile, DiskFile>();
    for (const [name, file] of survivors) {
      const copy = copies.get(file) ?? file.crash(keeps, random);
      copies.set(file, copy);
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

function resized(bytes: Buffer, length: number): Buffer {
  if (bytes.length === length) return bytes;
  const grown = Buffer.alloc(length);
  bytes.copy(grown);
  return grown;
}
