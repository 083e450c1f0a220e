/**
 * The port between storage and a disk. Types only.
 *
 * Two manners: synchronous calls (named `...Sync`) for start-up and tools, which throw; and
 * callback calls for serving, which report. No promises: a simulator must own the order in which
 * things complete. Every failure is a FileSystemError.
 *
 * What an implementation promises:
 * - A write lands whole or fails: short writes are continued inside.
 * - On a handle opened `durable`, a completed write survives a power cut. On others only `sync`
 *   gives that promise, for everything written before it was called.
 * - A file that was created, renamed or unlinked is durably so only after `syncDirectory`.
 * - A callback is never called before the call that was given it has returned.
 * - Files are made 0600, directories 0700; a symbolic link is refused, not followed.
 *
 * What its caller promises (kept by FileUse): a file is closed once, when nothing of it is on its
 * way, and not used afterwards.
 */
import type { FileSystemError } from "./errors.ts";

export type Done = (error: FileSystemError | undefined) => void;

export interface OpenOptions {
  /** `create` makes a new file and refuses to open one that exists. */
  readonly access: "read" | "write" | "create";
  /** Every write is durable when it completes (O_DSYNC). */
  readonly durable?: boolean;
}

export interface File {
  readonly path: string;

  readSync(into: Uint8Array, position: number): number;
  writeSync(bytes: Uint8Array, position: number): void;
  syncSync(): void;
  closeSync(): void;
  sizeSync(): number;

  /** `bytesRead` is less than asked only at the end of the file. */
  read(
    into: Uint8Array,
    position: number,
    done: (error: FileSystemError | undefined, bytesRead: number) => void,
  ): void;
  /** The bytes belong to the file system until `done`. */
  write(bytes: Uint8Array, position: number, done: Done): void;
  sync(done: Done): void;
  close(done: Done): void;
}

export interface FileSystem {
  /** Makes the directory, and its missing parents, durably. Fine when it exists. */
  makeDirectorySync(path: string): void;
  /** The names in a directory, in no particular order. */
  listSync(directory: string): readonly string[];
  openSync(path: string, options: OpenOptions): File;
  renameSync(from: string, to: string): void;
  unlinkSync(path: string): void;
  syncDirectorySync(directory: string): void;

  open(
    path: string,
    options: OpenOptions,
    done: (error: FileSystemError | undefined, file: File | undefined) => void,
  ): void;
  rename(from: string, to: string, done: Done): void;
  unlink(path: string, done: Done): void;
  syncDirectory(directory: string, done: Done): void;
}

/**
 * Reads a whole file that is expected to be small enough for that; `scratch` hands out memory for
 * it that is used again.
 */
export function readFileSync(
  fileSystem: FileSystem,
  path: string,
  scratch: (byteLength: number) => Buffer = Buffer.allocUnsafeSlow,
): Buffer {
  const file = fileSystem.openSync(path, { access: "read" });
  try {
    const bytes = scratch(file.sizeSync());
    const bytesRead = file.readSync(bytes, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    file.closeSync();
  }
}

/** Makes `name` appear whole or not at all: written aside, synced, renamed, directory synced. */
export function replaceFileSync(
  fileSystem: FileSystem,
  directory: string,
  name: string,
  bytes: Uint8Array,
): void {
  const path = `${directory}/${name}`;
  const file = fileSystem.openSync(`${path}.tmp`, { access: "create" });
  try {
    file.writeSync(bytes, 0);
    file.syncSync();
  } finally {
    file.closeSync();
  }
  fileSystem.renameSync(`${path}.tmp`, path);
  fileSystem.syncDirectorySync(directory);
}
