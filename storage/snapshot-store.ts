/**
 * The snapshot files of a data directory. A snapshot is written aside, read back, renamed and made
 * durable as a name before it counts; the two newest are kept, so that one that rots can be
 * replaced by the one before and the log. Knows nothing of the log.
 */
import type { EntryId } from "../raft/index.ts";
import type {
  Identity,
  ReceivedSnapshot,
  SnapshotDescription,
  SnapshotSink,
  SnapshotSource,
} from "./contract.ts";
import { CorruptionError, type FileSystemError, IdentityMismatchError } from "./errors.ts";
import type { File, FileSystem } from "./file-system.ts";
import { Jobs } from "./jobs.ts";
import { readOrDamage } from "./page-read.ts";
import { parseSnapshotName, type SnapshotFile, snapshotName } from "./snapshot-codec.ts";
import { SnapshotParser } from "./snapshot-parser.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";
import { readSnapshotBytes, readSnapshotBytesSync, writeSnapshot } from "./snapshot-writer.ts";

const KEPT = 2;
const SEND_BYTES = 256 * 1024;

export interface StoredSnapshot {
  readonly file: SnapshotFile;
  readonly description: SnapshotDescription;
  readonly byteLength: number;
}

/** The snapshot files in a directory by name, newest first; nothing is read. */
export function listSnapshots(fileSystem: FileSystem, directory: string): readonly SnapshotFile[] {
  const files: SnapshotFile[] = [];
  for (const name of fileSystem.listSync(directory)) {
    const file = parseSnapshotName(name);
    if (file !== undefined) files.push(file);
  }
  return files.sort(newestFirst);
}

/** Reads a whole snapshot, checking everything; CorruptionError for damage. */
export function verifySnapshotSync(
  fileSystem: FileSystem,
  directory: string,
  found: SnapshotFile,
  identity: Identity,
): StoredSnapshot {
  const path = `${directory}/${found.name}`;
  const file = fileSystem.openSync(path, { access: "read" });
  try {
    const parser = new SnapshotParser(path, () => {});
    readOrDamage(path, () => readSnapshotBytesSync(file, parser));
    const { metadata, summary, writer } = parser.end();
    if (writer.clusterId !== identity.clusterId) {
      throw new IdentityMismatchError(`${path} is of cluster ${writer.clusterId}`);
    }
    if (metadata.index !== found.index || metadata.term !== found.term) {
      throw new CorruptionError(path, 0, "the snapshot is not the one its name says");
    }
    const description = { metadata, summary };
    return { file: found, description, byteLength: file.sizeSync() };
  } finally {
    file.closeSync();
  }
}

export interface SnapshotStoreOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly identity: Identity;
  readonly onFailure: (error: FileSystemError) => void;
}

export class SnapshotStore {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #identity: Identity;
  readonly #onFailure: (error: FileSystemError) => void;
  /** Newest first. */
  #files: SnapshotFile[];
  #newest: StoredSnapshot | undefined;
  #temporaries = 0;
  readonly #receivers = new Set<SnapshotReceiver>();
  /** What is under way that changes the directory, or reads it for an installation. */
  readonly #jobs = new Jobs();
  #isClosing = false;

  constructor(
    options: SnapshotStoreOptions,
    found: readonly SnapshotFile[],
    newest: StoredSnapshot | undefined,
  ) {
    this.#fileSystem = options.fileSystem;
    this.#directory = options.directory;
    this.#identity = options.identity;
    this.#onFailure = options.onFailure;
    this.#files = [...found];
    this.#newest = newest;
  }

  get newest(): StoredSnapshot | undefined {
    return this.#newest;
  }

  readSync(onChunk: (bytes: Uint8Array) => void): void {
    const newest = this.#newest;
    if (newest === undefined) return;
    const path = this.#path(newest.file.name);
    const file = this.#fileSystem.openSync(path, { access: "read" });
    try {
      readSnapshotBytesSync(file, new SnapshotParser(path, onChunk));
    } finally {
      file.closeSync();
    }
  }

  /**
   * Gives up what is being saved, received or read, finishes what is being published or removed.
   * From here on nothing begins any more.
   */
  close(done: () => void): void {
    this.#isClosing = true;
    for (const receiver of this.#receivers) receiver.abort();
    this.#jobs.end(done);
  }

  readonly #isCancelled = (): boolean => this.#isClosing;

  /** Streams the newest snapshot's chunks, each checked. */
  read(onChunk: (bytes: Uint8Array) => void, tell: (error: Error | undefined) => void): void {
    const done = this.#jobs.begin(tell);
    const path = this.#path(this.#newest?.file.name ?? "");
    this.#fileSystem.open(path, { access: "read" }, (error, file) => {
      if (file === undefined) {
        done(error);
        return;
      }
      const parser = new SnapshotParser(path, onChunk);
      readSnapshotBytes(file, parser, this.#isCancelled, (readError) => {
        file.close(() => done(readError));
      });
    });
  }

  save(
    description: SnapshotDescription,
    chunks: IterableIterator<Uint8Array>,
    tell: (error: Error | undefined) => void,
  ): void {
    const done = this.#jobs.begin(tell);
    const temporary = this.#temporary("save");
    const written = (error: Error | undefined, byteLength: number): void => {
      if (error !== undefined) {
        this.#fileSystem.unlink(temporary, () => done(error));
        return;
      }
      this.publish({ description, path: temporary, byteLength }, () => done(undefined));
    };
    const file = { fileSystem: this.#fileSystem, path: temporary, writer: this.#identity };
    writeSnapshot(file, description, chunks, this.#isCancelled, written);
  }

  /** A job until it ends; one that begins too late is over from the start. */
  receive(): SnapshotSink {
    const ended = this.#isClosing
      ? () => {}
      : this.#jobs.begin(() => this.#receivers.delete(receiver));
    const path = this.#temporary("receive");
    const receiver = new SnapshotReceiver(this.#fileSystem, path, this.#identity, ended);
    if (this.#isClosing) receiver.abort();
    else this.#receivers.add(receiver);
    return receiver;
  }

  /** A file that can not be removed now goes at the next start. */
  discard(received: ReceivedSnapshot): void {
    if (this.#isClosing) return;
    this.#fileSystem.unlink(
      received.path,
      this.#jobs.begin(() => {}),
    );
  }

  /**
   * Gives a verified temporary file its name. A failure here leaves open which snapshot is the
   * newest on disk: it ends the process, like a failed sync.
   */
  publish(verified: ReceivedSnapshot, tell: () => void): void {
    const done = this.#jobs.begin(tell);
    const { index, term } = verified.description.metadata;
    const file = { name: snapshotName(index, term), index, term };
    this.#fileSystem.rename(verified.path, this.#path(file.name), (renameError) => {
      if (renameError !== undefined) {
        this.#onFailure(renameError);
        return;
      }
      this.#fileSystem.syncDirectory(this.#directory, (syncError) => {
        if (syncError !== undefined) {
          this.#onFailure(syncError);
          return;
        }
        const { description, byteLength } = verified;
        this.#files = this.#files.filter((other) => other.name !== file.name);
        this.#files.push(file);
        this.#files.sort(newestFirst);
        if (this.#files[0] === file) this.#newest = { file, description, byteLength };
        this.#prune(done);
      });
    });
  }

  open(): SnapshotSource | undefined {
    const newest = this.#newest;
    if (newest === undefined) return undefined;
    return openSnapshotFile(this.#fileSystem, this.#path(newest.file.name), newest);
  }

  /** Older ones go one by one, each durably, so that what is left is always the newest. */
  #prune(done: () => void): void {
    const oldest = this.#files.length > KEPT ? this.#files.at(-1) : undefined;
    if (oldest === undefined) {
      done();
      return;
    }
    this.#fileSystem.unlink(this.#path(oldest.name), (error) => {
      if (error !== undefined && error.errno !== "ENOENT") {
        this.#onFailure(error);
        return;
      }
      this.#files.pop();
      this.#fileSystem.syncDirectory(this.#directory, (syncError) => {
        if (syncError !== undefined) this.#onFailure(syncError);
        else this.#prune(done);
      });
    });
  }

  #temporary(purpose: string): string {
    this.#temporaries += 1;
    return this.#path(`snapshot-${purpose}-${this.#temporaries}.tmp`);
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

/** A verified snapshot file, for sending. */
export function openSnapshotFile(
  fileSystem: FileSystem,
  path: string,
  { description, byteLength }: Pick<StoredSnapshot, "description" | "byteLength">,
): SnapshotSource {
  const file = fileSystem.openSync(path, { access: "read" });
  return new OpenSnapshot(file, description, byteLength);
}

class OpenSnapshot implements SnapshotSource {
  readonly description: SnapshotDescription;
  readonly byteLength: number;
  readonly #file: File;
  #at = 0;
  #state: "idle" | "reading" | "closed" = "idle";

  constructor(file: File, description: SnapshotDescription, byteLength: number) {
    this.#file = file;
    this.description = description;
    this.byteLength = byteLength;
  }

  read(done: (error: Error | undefined, bytes: Uint8Array | undefined) => void): void {
    if (this.#state !== "idle") {
      done(new Error("the snapshot is closed, or being read"), undefined);
      return;
    }
    const left = this.byteLength - this.#at;
    // The receiver may hold on to the bytes: each piece is a buffer of its own.
    const bytes = Buffer.allocUnsafeSlow(Math.min(left, SEND_BYTES));
    this.#state = "reading";
    this.#file.read(bytes, this.#at, (error, bytesRead) => {
      if (this.#state === "closed") {
        this.#file.close(() => done(new Error("the snapshot is closed"), undefined));
        return;
      }
      this.#state = "idle";
      this.#at += bytesRead;
      if (error !== undefined) done(error, undefined);
      else done(undefined, bytesRead === 0 ? undefined : bytes.subarray(0, bytesRead));
    });
  }

  close(): void {
    if (this.#state === "closed") return;
    const isReading = this.#state === "reading";
    this.#state = "closed";
    if (!isReading) this.#file.close(() => {});
  }
}

function newestFirst(a: EntryId, b: EntryId): number {
  return b.index - a.index || b.term - a.term;
}
