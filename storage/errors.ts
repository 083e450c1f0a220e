/**
 * What can go wrong between this process and its disk. Each class has a literal `code`; callers
 * switch on that, never on the message. Broken invariants are not here: they are InvariantError.
 */

/** The operating system refused an operation. `errno` is its name for the reason, as in ENOSPC. */
export class FileSystemError extends Error {
  override readonly name = "FileSystemError";
  readonly code = "file-system";
  readonly operation: string;
  readonly path: string;
  readonly errno: string;

  constructor(operation: string, path: string, errno: string, cause?: unknown) {
    super(`${operation} ${path}: ${errno}`, { cause });
    this.operation = operation;
    this.path = path;
    this.errno = errno;
  }
}

/** Bytes that were durable are no longer what was written. They are never cut, only named. */
export class CorruptionError extends Error {
  override readonly name = "CorruptionError";
  readonly code = "corruption";
  readonly file: string;
  readonly offset: number;
  readonly reason: string;

  constructor(file: string, offset: number, reason: string) {
    super(`${file} is damaged at byte ${offset}: ${reason}`);
    this.file = file;
    this.offset = offset;
    this.reason = reason;
  }
}

/** Written by a newer version of this program, or not by this program at all. */
export class UnsupportedFormatError extends Error {
  override readonly name = "UnsupportedFormatError";
  readonly code = "unsupported-format";
  readonly what: string;
  readonly found: number;

  constructor(what: string, found: number) {
    super(`${what} ${found} is unknown to this version: upgrade before starting this node`);
    this.what = what;
    this.found = found;
  }
}

/** Bytes from outside do not decode; says nothing yet about whose fault that is. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
  readonly code = "malformed";
}

/** The data directory belongs to another cluster or another node. */
export class IdentityMismatchError extends Error {
  override readonly name = "IdentityMismatchError";
  readonly code = "identity-mismatch";
}

/** Term and vote are gone: a node that can not know what it promised must not vote again. */
export class HardStateLostError extends Error {
  override readonly name = "HardStateLostError";
  readonly code = "hard-state-lost";
  readonly file: string;
  readonly offset: number;

  constructor(file: string, offset: number, reason: string) {
    super(
      `${file} is damaged at byte ${offset}: ${reason}. This node may have voted and can not ` +
        "know it: never vote again under this identity. Remove the member and let a fresh one join.",
    );
    this.file = file;
    this.offset = offset;
  }
}

/** A write or sync failed on promised bytes: nothing more is promised, the process ends. */
export class StorageFailedError extends Error {
  override readonly name = "StorageFailedError";
  readonly code = "storage-failed";

  constructor(what: string, cause: Error) {
    super(`storage failed in ${what}: ${cause.message}`, { cause });
  }
}

/** Another living process owns the data directory. */
export class DirectoryLockedError extends Error {
  override readonly name = "DirectoryLockedError";
  readonly code = "directory-locked";
}

/** Errors after which waiting for space or descriptors helps; nothing promised was touched. */
export function isAllocationFailure(error: Error): boolean {
  if (!(error instanceof FileSystemError)) return false;
  switch (error.errno) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
      return true;
    default:
      return false;
  }
}
