/**
 * Reading what a disk may no longer give back: a sector that can not be read is damage like any
 * other, no reason to give up the rest of the file.
 */
import { CorruptionError, FileSystemError } from "./errors.ts";
import { type File, type FileSystem, readFileSync } from "./file-system.ts";
import { PAGE_BYTES } from "./sector.ts";

/** Stands for bytes that are not there: no checksum in any of our formats fits a run of it. */
export const UNREADABLE_BYTE = 0xee;

export interface PagesRead {
  readonly bytes: Buffer;
  /** Offsets of the pages that could not be read and are filled with `UNREADABLE_BYTE`. */
  readonly unreadable: readonly number[];
}

/** The whole file, page by page where it can not be had at once. */
export function readPagesSync(fileSystem: FileSystem, path: string): PagesRead {
  try {
    return { bytes: readFileSync(fileSystem, path), unreadable: [] };
  } catch (error) {
    if (!isReadFailure(error)) throw error;
  }
  const file = fileSystem.openSync(path, { access: "read" });
  try {
    const bytes = Buffer.alloc(file.sizeSync(), UNREADABLE_BYTE);
    const unreadable: number[] = [];
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      if (!readPageSync(file, bytes, at)) unreadable.push(at);
    }
    return { bytes, unreadable };
  } finally {
    file.closeSync();
  }
}

function readPageSync(file: File, bytes: Buffer, at: number): boolean {
  const page = bytes.subarray(at, at + PAGE_BYTES);
  try {
    file.readSync(page, at);
    return true;
  } catch (error) {
    if (!isReadFailure(error)) throw error;
    page.fill(UNREADABLE_BYTE);
    return false;
  }
}

/** Runs `read`; a disk that can not give the bytes back is damage in `path`. */
export function readOrDamage<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isReadFailure(error)) throw error;
    throw new CorruptionError(path, 0, "the disk can not read it (EIO)");
  }
}

function isReadFailure(error: unknown): boolean {
  return error instanceof FileSystemError && error.errno === "EIO" && error.operation === "read";
}
