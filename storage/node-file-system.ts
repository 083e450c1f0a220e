/**
 * The file-system port over node:fs. Knows descriptors and flags, nothing of formats.
 *
 * O_DSYNC makes one thread-pool hop of write and flush. It is not a full flush on macOS, and
 * missing on Windows: there a durable write is a write followed by fsync.
 */
import * as nodeFs from "node:fs";
import { dirname } from "node:path";
import { FileSystemError } from "./errors.ts";
import type { Done, File, FileSystem, OpenOptions } from "./file-system.ts";
import { FileUse } from "./file-use.ts";

/** The calls that may do less than asked; tests hand in ones that do. */
export interface RawCalls {
  readSync(fd: number, into: Uint8Array, at: number, length: number, position: number): number;
  writeSync(fd: number, from: Uint8Array, at: number, length: number, position: number): number;
  read(
    fd: number,
    into: Uint8Array,
    at: number,
    length: number,
    position: number,
    done: (error: NodeJS.ErrnoException | null, bytesRead: number) => void,
  ): void;
  write(
    fd: number,
    from: Uint8Array,
    at: number,
    length: number,
    position: number,
    done: (error: NodeJS.ErrnoException | null, written: number) => void,
  ): void;
  fsync(fd: number, done: (error: NodeJS.ErrnoException | null) => void): void;
}

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** One call moves at most this much, so that a big read does not occupy a pool thread for long. */
const TRANSFER_BYTES_MAX = 64 * 1024 * 1024;

export class NodeFileSystem implements FileSystem {
  readonly #raw: RawCalls;
  readonly #dsync: boolean;

  constructor(raw: RawCalls = nodeFs, dsync = process.platform === "linux") {
    this.#raw = raw;
    this.#dsync = dsync;
  }

  makeDirectorySync(path: string): void {
    attempt("mkdir", path, () => {
      const first = nodeFs.mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
      if (first === undefined) return;
      // Every directory between the first one made and its leaf is an entry in its parent.
      for (let made = path; ; made = dirname(made)) {
        syncDirectorySync(dirname(made));
        if (made === first || made === dirname(made)) return;
      }
    });
  }

  listSync(directory: string): readonly string[] {
    return attempt("list", directory, () => nodeFs.readdirSync(directory));
  }

  openSync(path: string, options: OpenOptions): File {
    return attempt("open", path, () => {
      const fd = nodeFs.openSync(path, this.#flags(options), FILE_MODE);
      return this.#file(path, fd, options, nodeFs.fstatSync(fd).isFile());
    });
  }

  renameSync(from: string, to: string): void {
    attempt("rename", from, () => nodeFs.renameSync(from, to));
  }

  unlinkSync(path: string): void {
    attempt("unlink", path, () => nodeFs.unlinkSync(path));
  }

  syncDirectorySync(directory: string): void {
    attempt("sync directory", directory, () => syncDirectorySync(directory));
  }

  open(
    path: string,
    options: OpenOptions,
    done: (error: FileSystemError | undefined, file: File | undefined) => void,
  ): void {
    nodeFs.open(path, this.#flags(options), FILE_MODE, (error, fd) => {
      if (error !== null) {
        done(failure("open", path, error), undefined);
        return;
      }
      nodeFs.fstat(fd, (statError, stat) => {
        if (statError !== null) {
          nodeFs.close(fd, () => done(failure("open", path, statError), undefined));
          return;
        }
        if (!stat.isFile()) {
          nodeFs.close(fd, () => done(new FileSystemError("open", path, "EINVAL"), undefined));
          return;
        }
        done(undefined, this.#file(path, fd, options, true));
      });
    });
  }

  rename(from: string, to: string, done: Done): void {
    nodeFs.rename(from, to, (error) => done(failure("rename", from, error)));
  }

  unlink(path: string, done: Done): void {
    nodeFs.unlink(path, (error) => done(failure("unlink", path, error)));
  }

  syncDirectory(directory: string, done: Done): void {
    nodeFs.open(directory, "r", (openError, fd) => {
      if (openError !== null) {
        done(failure("sync directory", directory, openError));
        return;
      }
      nodeFs.fsync(fd, (syncError) => {
        nodeFs.close(fd, () => done(failure("sync directory", directory, syncError)));
      });
    });
  }

  #flags(options: OpenOptions): number {
    const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_DSYNC } = nodeFs.constants;
    const noFollow = O_NOFOLLOW ?? 0;
    if (options.access === "read") return O_RDONLY | noFollow;
    const durable = options.durable === true && this.#dsync ? O_DSYNC : 0;
    const create = options.access === "create" ? O_CREAT | O_EXCL : 0;
    return O_RDWR | noFollow | durable | create;
  }

  #file(path: string, fd: number, options: OpenOptions, isFile: boolean): File {
    if (!isFile) {
      nodeFs.closeSync(fd);
      throw new FileSystemError("open", path, "EINVAL");
    }
    const syncEachWrite = options.durable === true && !this.#dsync;
    return new NodeFile(this.#raw, path, fd, syncEachWrite);
  }
}

class NodeFile implements File {
  readonly path: string;
  readonly #raw: RawCalls;
  readonly #fd: number;
  readonly #syncEachWrite: boolean;
  readonly #use: FileUse;

  constructor(raw: RawCalls, path: string, fd: number, syncEachWrite: boolean) {
    this.#raw = raw;
    this.path = path;
    this.#fd = fd;
    this.#syncEachWrite = syncEachWrite;
    this.#use = new FileUse(path);
  }

  readSync(into: Uint8Array, position: number): number {
    this.#use.check();
    return attempt("read", this.path, () => {
      let total = 0;
      while (total < into.length) {
        const length = Math.min(into.length - total, TRANSFER_BYTES_MAX);
        const bytesRead = this.#raw.readSync(this.#fd, into, total, length, position + total);
        if (bytesRead === 0) break;
        total += bytesRead;
      }
      return total;
    });
  }

  writeSync(bytes: Uint8Array, position: number): void {
    this.#use.check();
    attempt("write", this.path, () => {
      let total = 0;
      while (total < bytes.length) {
        const left = bytes.length - total;
        const written = this.#raw.writeSync(this.#fd, bytes, total, left, position + total);
        if (written === 0) throw new FileSystemError("write", this.path, "ENOSPC");
        total += written;
      }
      if (this.#syncEachWrite) nodeFs.fsyncSync(this.#fd);
    });
  }

  syncSync(): void {
    this.#use.check();
    attempt("sync", this.path, () => nodeFs.fsyncSync(this.#fd));
  }

  closeSync(): void {
    this.#use.close();
    attempt("close", this.path, () => nodeFs.closeSync(this.#fd));
  }

  sizeSync(): number {
    this.#use.check();
    return attempt("size", this.path, () => nodeFs.fstatSync(this.#fd).size);
  }

  read(
    into: Uint8Array,
    position: number,
    done: (error: FileSystemError | undefined, bytesRead: number) => void,
  ): void {
    const tell = this.#use.begin(done);
    const more = (total: number): void => {
      const length = Math.min(into.length - total, TRANSFER_BYTES_MAX);
      this.#raw.read(this.#fd, into, total, length, position + total, (error, bytesRead) => {
        if (error !== null) tell(failure("read", this.path, error), total);
        else if (bytesRead === 0 || total + bytesRead === into.length) {
          tell(undefined, total + bytesRead);
        } else more(total + bytesRead);
      });
    };
    more(0);
  }

  write(bytes: Uint8Array, position: number, done: Done): void {
    const tell = this.#use.begin(done);
    const more = (total: number): void => {
      const left = bytes.length - total;
      this.#raw.write(this.#fd, bytes, total, left, position + total, (error, written) => {
        if (error !== null) tell(failure("write", this.path, error));
        else if (total + written === bytes.length) this.#written(tell);
        else if (written === 0) tell(new FileSystemError("write", this.path, "ENOSPC"));
        else more(total + written);
      });
    };
    more(0);
  }

  #written(tell: Done): void {
    if (this.#syncEachWrite) this.#sync(tell);
    else tell(undefined);
  }

  sync(done: Done): void {
    this.#sync(this.#use.begin(done));
  }

  #sync(tell: Done): void {
    this.#raw.fsync(this.#fd, (error) => tell(failure("sync", this.path, error)));
  }

  close(done: Done): void {
    this.#use.close();
    nodeFs.close(this.#fd, (error) => done(failure("close", this.path, error ?? null)));
  }
}

function syncDirectorySync(directory: string): void {
  const fd = nodeFs.openSync(directory, "r");
  try {
    nodeFs.fsyncSync(fd);
  } finally {
    nodeFs.closeSync(fd);
  }
}

function attempt<T>(operation: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof FileSystemError) throw error;
    throw new FileSystemError(operation, path, errnoOf(error), error);
  }
}

function failure(operation: string, path: string, error: NodeJS.ErrnoException): FileSystemError;
function failure(
  operation: string,
  path: string,
  error: NodeJS.ErrnoException | null,
): FileSystemError | undefined;
function failure(
  operation: string,
  path: string,
  error: NodeJS.ErrnoException | null,
): FileSystemError | undefined {
  if (error === null) return undefined;
  return new FileSystemError(operation, path, errnoOf(error), error);
}

function errnoOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return "EUNKNOWN";
}
