/**
 * Writes one snapshot into a temporary file: one write outstanding at a time, so that the few
 * threads of the pool stay free for the log, and reads it back before anybody trusts it.
 */
import { checksum } from "./checksum.ts";
import type { Identity, SnapshotDescription } from "./contract.ts";
import type { File, FileSystem } from "./file-system.ts";
import {
  encodeDescription,
  encodeFooter,
  encodeFrame,
  FRAME_CHUNK,
  FRAME_DESCRIPTION,
  FRAME_FOOTER,
} from "./snapshot-codec.ts";
import { SnapshotParser } from "./snapshot-parser.ts";

/** Dirty pages are flushed in steps, so that the last sync does not stall the log's. */
const SYNC_STEP_BYTES = 8 * 1024 * 1024;
const READ_BYTES = 256 * 1024;

type Written = (error: Error | undefined, byteLength: number) => void;

export interface NewSnapshot {
  readonly fileSystem: FileSystem;
  readonly path: string;
  readonly writer: Identity;
}

/** `isCancelled` is asked before each chunk, and again before each piece that is read back. */
export function writeSnapshot(
  { fileSystem, path, writer }: NewSnapshot,
  description: SnapshotDescription,
  chunks: IterableIterator<Uint8Array>,
  isCancelled: () => boolean,
  done: Written,
): void {
  fileSystem.open(path, { access: "create" }, (error, file) => {
    if (file === undefined) done(error, 0);
    else {
      const first = encodeDescription(description, writer);
      new SnapshotWriter(file, chunks, isCancelled, done).start(first);
    }
  });
}

class SnapshotWriter {
  readonly #file: File;
  readonly #chunks: IterableIterator<Uint8Array>;
  readonly #isCancelled: () => boolean;
  readonly #done: Written;
  #frames = 0;
  #stateBytes = 0;
  #checksum = 0;
  #at = 0;
  #syncedTo = 0;

  constructor(
    file: File,
    chunks: IterableIterator<Uint8Array>,
    isCancelled: () => boolean,
    done: Written,
  ) {
    this.#file = file;
    this.#chunks = chunks;
    this.#isCancelled = isCancelled;
    this.#done = done;
  }

  start(description: Uint8Array): void {
    this.#write(FRAME_DESCRIPTION, description, () => this.#next());
  }

  #next(): void {
    if (this.#isCancelled()) {
      this.#finish(cancelled());
      return;
    }
    const { value, done } = this.#chunks.next();
    if (done === true) this.#footer();
    else {
      this.#stateBytes += value.length;
      this.#write(FRAME_CHUNK, value, () => this.#next());
    }
  }

  #footer(): void {
    const totals = { chunkCount: this.#frames - 1, stateBytes: this.#stateBytes };
    const footer = encodeFooter({ ...totals, fileChecksum: this.#checksum });
    this.#write(FRAME_FOOTER, footer, () => {
      this.#file.sync((error) => {
        if (error !== undefined) this.#finish(error);
        else this.#readBack();
      });
    });
  }

  #write(kind: number, payload: Uint8Array, next: () => void): void {
    const frame = encodeFrame(kind, this.#frames, payload);
    this.#frames += 1;
    this.#checksum = checksum(frame, this.#checksum);
    this.#file.write(frame, this.#at, (error) => {
      this.#at += frame.length;
      if (error !== undefined) this.#finish(error);
      else if (this.#at - this.#syncedTo < SYNC_STEP_BYTES) next();
      else {
        this.#syncedTo = this.#at;
        this.#file.sync((syncError) => {
          if (syncError !== undefined) this.#finish(syncError);
          else next();
        });
      }
    });
  }

  #readBack(): void {
    const parser = new SnapshotParser(this.#file.path, () => {});
    readSnapshotBytes(this.#file, parser, this.#isCancelled, (error) => this.#finish(error));
  }

  #finish(error: Error | undefined): void {
    this.#chunks.return?.();
    this.#file.close((closeError) => this.#done(error ?? closeError, this.#at));
  }
}

/** Feeds a whole file to a parser; whatever it finds wrong arrives as the error. */
export function readSnapshotBytes(
  file: File,
  parser: SnapshotParser,
  isCancelled: () => boolean,
  done: (error: Error | undefined) => void,
): void {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const more = (at: number): void => {
    if (isCancelled()) {
      done(cancelled());
      return;
    }
    file.read(buffer, at, (error, bytesRead) => {
      const failed =
        error ??
        parseFailure(() => {
          parser.feed(buffer.subarray(0, bytesRead));
          if (bytesRead < READ_BYTES) parser.end();
        });
      if (failed !== undefined || bytesRead < READ_BYTES) done(failed);
      else more(at + bytesRead);
    });
  };
  more(0);
}

/** The same, for start-up. Throws. */
export function readSnapshotBytesSync(file: File, parser: SnapshotParser): void {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (let at = 0; ; at += READ_BYTES) {
    const bytesRead = file.readSync(buffer, at);
    parser.feed(buffer.subarray(0, bytesRead));
    if (bytesRead < READ_BYTES) break;
  }
  parser.end();
}

function cancelled(): Error {
  return new Error("the storage is being closed");
}

function parseFailure(run: () => void): Error | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error) return error;
    throw error;
  }
}
