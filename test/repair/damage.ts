/**
 * What a bad disk does to the data directory of a node that does not run. Every function says in
 * which file it did it. The places are those of files as they are today: a batch on pages of its
 * own, zeros where nothing was written yet.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PAGE_BYTES = 4096;

/** Segments that hold something, oldest first. */
export function segmentsOf(directory: string): readonly string[] {
  return filesLike(directory, /^wal-\d+\.log$/u).filter((path) => endOf(readFileSync(path)) > 0);
}

export function snapshotsOf(directory: string): readonly string[] {
  return filesLike(directory, /^snapshot-.*\.snap$/u);
}

/** Flips one bit of the given text where the log holds it. */
export function flipBitIn(directory: string, text: string): string {
  for (const path of segmentsOf(directory)) {
    const at = readFileSync(path).indexOf(text);
    if (at < 0) continue;
    flipBit(path, at + 3);
    return path;
  }
  throw new Error(`no segment in ${directory} holds ${text}`);
}

/** Overwrites the pages that were written last, so that nothing names the entries in them. */
export function destroyEnd(directory: string, pages: number): string {
  const path = last(segmentsOf(directory));
  const bytes = readFileSync(path);
  const end = endOf(bytes);
  const from = Math.max(PAGE_BYTES, pageOf(end - 1) - (pages - 1) * PAGE_BYTES);
  writeFileSync(path, bytes.fill(0xa5, from, end));
  return path;
}

export function deleteMiddleSegment(directory: string): string {
  const segments = segmentsOf(directory);
  const path = segments[Math.floor(segments.length / 2)];
  if (path === undefined || segments.length < 3) throw new Error("the log has no middle segment");
  rmSync(path);
  return path;
}

/** One bit of each, so that no older snapshot can stand in. */
export function damageSnapshots(directory: string): readonly string[] {
  const snapshots = snapshotsOf(directory);
  for (const path of snapshots) flipBit(path, Math.floor(readFileSync(path).length / 2));
  return snapshots;
}

export function flipBit(path: string, offset: number, bit = 4): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << bit), offset);
  writeFileSync(path, bytes);
}

/** Where the bytes end that are not zero. */
export function endOf(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

function pageOf(offset: number): number {
  return offset - (offset % PAGE_BYTES);
}

function last(paths: readonly string[]): string {
  const path = paths.at(-1);
  if (path === undefined) throw new Error("there is no log");
  return path;
}

function filesLike(directory: string, name: RegExp): readonly string[] {
  return readdirSync(directory)
    .filter((file) => name.test(file))
    .sort((a, b) => (a < b ? -1 : 1))
    .map((file) => join(directory, file));
}
