/**
 * The other end of a snapshot transfer: bytes as they come, checked as they come, into a temporary
 * file that is removed again when anything is wrong with it.
 */
import type { Identity, ReceivedSnapshot, SnapshotSink } from "./contract.ts";
import { IdentityMismatchError } from "./errors.ts";
import type { File, FileSystem } from "./file-system.ts";
import { SnapshotParser } from "./snapshot-parser.ts";

export class SnapshotReceiver implements SnapshotSink {
  readonly #fileSystem: FileSystem;
  readonly #path: string;
  readonly #identity: Identity;
  readonly #parser: SnapshotParser;
  readonly #ended: () => void;
  #file: File | undefined;
  #at = 0;
  #state: "idle" | "busy" | "over" = "idle";
  #aborted = false;

  /** `ended` is called once, when no call of this transfer is on its way any more. */
  constructor(fileSystem: FileSystem, path: string, identity: Identity, ended: () => void) {
    this.#fileSystem = fileSystem;
    this.#path = path;
    this.#identity = identity;
    this.#ended = ended;
    this.#parser = new SnapshotParser(path, () => {});
  }

  /** One write at a time: the next one after `done`. */
  write(bytes: Uint8Array, done: (error: Error | undefined) => void): void {
    if (!this.#enter(done)) return;
    const leave = (error: Error | undefined): void => this.#leave(error, done);
    this.#opened((openError, file) => {
      if (file === undefined) {
        leave(openError);
        return;
      }
      const damage = this.#check(bytes);
      if (damage !== undefined) {
        leave(damage);
        return;
      }
      const at = this.#at;
      this.#at += bytes.length;
      file.write(bytes, at, leave);
    });
  }

  finish(done: (error: Error | undefined, received: ReceivedSnapshot | undefined) => void): void {
    if (!this.#enter((error) => done(error, undefined))) return;
    const leave = (error: Error | undefined): void => {
      this.#leave(error, () => done(error ?? new Error("aborted"), undefined));
    };
    this.#opened((openError, file) => {
      const damage = openError ?? this.#checkWhole();
      if (file === undefined || damage !== undefined) leave(damage);
      else
        file.sync((syncError) => {
          if (syncError !== undefined || this.#aborted) leave(syncError);
          else this.#close(file, done);
        });
    });
  }

  abort(): void {
    this.#aborted = true;
    if (this.#state === "idle") this.#remove(() => {});
  }

  #close(
    file: File,
    done: (error: Error | undefined, received: ReceivedSnapshot | undefined) => void,
  ): void {
    this.#file = undefined;
    this.#state = "over";
    const { metadata, summary } = this.#parser.end();
    const description = { metadata, summary };
    file.close((error) => {
      if (error !== undefined) done(error, undefined);
      else done(undefined, { description, path: this.#path, byteLength: this.#at });
      this.#ended();
    });
  }

  #opened(next: (error: Error | undefined, file: File | undefined) => void): void {
    if (this.#file !== undefined) {
      next(undefined, this.#file);
      return;
    }
    this.#fileSystem.open(this.#path, { access: "create" }, (error, file) => {
      this.#file = file;
      next(error, file);
    });
  }

  #check(bytes: Uint8Array): Error | undefined {
    try {
      this.#parser.feed(bytes);
    } catch (error) {
      return knownError(error);
    }
    const writer = this.#parser.description?.writer;
    if (writer === undefined || writer.clusterId === this.#identity.clusterId) return undefined;
    return new IdentityMismatchError(`the snapshot is of cluster ${writer.clusterId}`);
  }

  #checkWhole(): Error | undefined {
    try {
      this.#parser.end();
      return undefined;
    } catch (error) {
      return knownError(error);
    }
  }

  /** False when the transfer is over already, or the caller did not wait for its turn. */
  #enter(done: (error: Error | undefined) => void): boolean {
    if (this.#state === "idle" && !this.#aborted) {
      this.#state = "busy";
      return true;
    }
    done(new Error("the snapshot transfer is over"));
    return false;
  }

  #leave(error: Error | undefined, done: (error: Error | undefined) => void): void {
    this.#state = "idle";
    if (error === undefined && !this.#aborted) done(undefined);
    else this.#remove(() => done(error ?? new Error("the snapshot transfer was aborted")));
  }

  #remove(done: () => void): void {
    if (this.#state === "over") {
      done();
      return;
    }
    this.#state = "over";
    const file = this.#file;
    this.#file = undefined;
    const removed = (): void => {
      done();
      this.#ended();
    };
    if (file === undefined) removed();
    else file.close(() => this.#fileSystem.unlink(this.#path, removed));
  }
}

function knownError(error: unknown): Error {
  if (error instanceof Error && "code" in error) return error;
  throw error;
}
