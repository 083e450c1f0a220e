/**
 * Keeps one segment file prepared ahead of the log: full size, allocated, durable, under its final
 * name, with nothing in it that would validate. The log then rolls over without waiting for
 * anything, since header and first batch are one write.
 *
 * A prepared file is a retired segment renamed, when its size fits (its old sectors name another
 * segment), or a new one filled with zeros: overwriting allocated blocks is much cheaper to sync
 * than growing a file.
 *
 * Running out of space here breaks no promise: the half-made file is removed and the work is tried
 * again. One job runs at a time, and each rename and unlink is made durable before the next, so
 * that after a crash the log still is a run of segments without holes.
 */
import type { Clock, Timer } from "../raft/index.ts";
import { type FileSystemError, isAllocationFailure } from "./errors.ts";
import type { File, FileSystem } from "./file-system.ts";
import type { StorageReport } from "./report.ts";
import { segmentName } from "./segment-header.ts";
import { ZEROS } from "./zeros.ts";

/** Zeros are synced in steps, so that no single flush holds up the log's own writes for long. */
const SYNC_STEP_CHUNKS = 16;
const RETRY_MS = 1000;

export interface PreparedSegment {
  readonly sequence: number;
  readonly segmentBytes: number;
  readonly file: File;
}

export interface RetiredSegment {
  readonly sequence: number;
  readonly segmentBytes: number;
}

export interface SegmentPoolOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly clock: Clock;
  /** A segment can be taken, or there is no room for one. */
  readonly onChange: () => void;
  readonly onFailure: (error: Error) => void;
  readonly onReport: (report: StorageReport) => void;
}

export class SegmentPool {
  readonly #options: SegmentPoolOptions;
  #nextSequence: number;
  /** Size of the segment to prepare; 0 when none is wanted. */
  #wantedBytes = 0;
  #prepared: PreparedSegment | undefined;
  /** The newest dropped segment, kept to be used again. */
  #retired: RetiredSegment | undefined;
  #toUnlink: number[] = [];
  #busy = false;
  #starved = false;
  #retry: Timer | undefined;
  #closed: (() => void) | undefined;

  constructor(options: SegmentPoolOptions, nextSequence: number) {
    this.#options = options;
    this.#nextSequence = nextSequence;
  }

  /** True while the last attempt to make room has failed. */
  get isStarved(): boolean {
    return this.#starved;
  }

  get preparedBytes(): number {
    return this.#prepared?.segmentBytes ?? 0;
  }

  /** Asks for a segment of this size; `onChange` is called once it can be taken. */
  prepare(segmentBytes: number): void {
    const present = this.#prepared;
    if (present !== undefined && present.segmentBytes >= segmentBytes) return;
    this.#wantedBytes = Math.max(this.#wantedBytes, segmentBytes);
    this.#work();
  }

  take(): PreparedSegment | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    return prepared;
  }

  /** Segments dropped from the log, oldest first. The newest is kept for the next segment. */
  retire(segments: readonly RetiredSegment[]): void {
    for (const segment of segments) {
      if (this.#retired !== undefined) this.#toUnlink.push(this.#retired.sequence);
      this.#retired = segment;
    }
    this.#work();
  }

  /**
   * Finishes the present job, removes what has to go, and lets go of the prepared file, which stays
   * for the next start.
   */
  close(done: () => void): void {
    this.#retry?.cancel();
    this.#closed = done;
    this.#work();
  }

  #finishClose(done: () => void): void {
    const prepared = this.take();
    if (prepared === undefined) done();
    else prepared.file.close(() => done());
  }

  #work(): void {
    if (this.#busy) return;
    const unlink = this.#toUnlink.shift();
    if (unlink !== undefined) {
      this.#busy = true;
      this.#unlink(this.#path(segmentName(unlink)), () => this.#finished());
      return;
    }
    if (this.#closed !== undefined) {
      // Busy from here on: nothing follows.
      this.#busy = true;
      this.#finishClose(this.#closed);
      return;
    }
    if (this.#wantedBytes === 0 || this.#retry !== undefined) return;
    this.#busy = true;
    if (this.#prepared !== undefined) this.#dropPrepared(this.#prepared);
    else if (this.#retired?.segmentBytes === this.#wantedBytes) this.#reuse(this.#retired);
    else this.#create(this.#wantedBytes);
  }

  #finished(): void {
    this.#busy = false;
    this.#work();
  }

  /** Too small for what comes next. */
  #dropPrepared(prepared: PreparedSegment): void {
    this.#prepared = undefined;
    prepared.file.close(() => {
      this.#unlink(this.#path(segmentName(prepared.sequence)), () => this.#finished());
    });
  }

  #reuse(retired: RetiredSegment): void {
    const { fileSystem } = this.#options;
    this.#retired = undefined;
    const sequence = this.#nextSequence;
    const path = this.#path(segmentName(sequence));
    fileSystem.rename(this.#path(segmentName(retired.sequence)), path, (error) => {
      if (error !== undefined) this.#fail(error);
      else this.#publish(path, sequence, retired.segmentBytes);
    });
  }

  #create(segmentBytes: number): void {
    const sequence = this.#nextSequence;
    const path = this.#path(segmentName(sequence));
    const temporary = `${path}.tmp`;
    this.#options.fileSystem.open(temporary, { access: "create" }, (error, file) => {
      if (file === undefined) this.#starve(error, undefined, temporary);
      else
        this.#fill(file, segmentBytes, 0, (fillError) => {
          if (fillError !== undefined) this.#starve(fillError, file, temporary);
          else this.#rename(file, path, sequence, segmentBytes);
        });
    });
  }

  #fill(
    file: File,
    segmentBytes: number,
    at: number,
    done: (error: FileSystemError | undefined) => void,
  ): void {
    if (at >= segmentBytes) {
      file.sync(done);
      return;
    }
    const length = Math.min(ZEROS.length, segmentBytes - at);
    file.write(ZEROS.subarray(0, length), at, (error) => {
      const next = at + length;
      const chunks = next / ZEROS.length;
      if (error !== undefined) done(error);
      else if (next < segmentBytes && chunks % SYNC_STEP_CHUNKS === 0) {
        file.sync((syncError) => {
          if (syncError !== undefined) done(syncError);
          else this.#fill(file, segmentBytes, next, done);
        });
      } else this.#fill(file, segmentBytes, next, done);
    });
  }

  #rename(file: File, path: string, sequence: number, segmentBytes: number): void {
    const temporary = `${path}.tmp`;
    file.close((closeError) => {
      if (closeError !== undefined) {
        this.#starve(closeError, undefined, temporary);
        return;
      }
      this.#options.fileSystem.rename(temporary, path, (error) => {
        if (error !== undefined) this.#fail(error);
        else this.#publish(path, sequence, segmentBytes);
      });
    });
  }

  #publish(path: string, sequence: number, segmentBytes: number): void {
    const { fileSystem, directory } = this.#options;
    this.#nextSequence = sequence + 1;
    fileSystem.syncDirectory(directory, (syncError) => {
      if (syncError !== undefined) {
        this.#fail(syncError);
        return;
      }
      fileSystem.open(path, { access: "write", durable: true }, (error, file) => {
        if (file === undefined) this.#fail(error);
        else this.#ready({ sequence, segmentBytes, file });
      });
    });
  }

  #ready(prepared: PreparedSegment): void {
    this.#prepared = prepared;
    if (this.#wantedBytes <= prepared.segmentBytes) this.#wantedBytes = 0;
    if (this.#starved) {
      this.#starved = false;
      this.#options.onReport({ kind: "allocation-recovered" });
    }
    this.#finished();
    this.#options.onChange();
  }

  #unlink(path: string, done: () => void): void {
    const { fileSystem, directory } = this.#options;
    fileSystem.unlink(path, (error) => {
      if (error !== undefined && error.errno !== "ENOENT") {
        this.#fail(error);
        return;
      }
      fileSystem.syncDirectory(directory, (syncError) => {
        if (syncError !== undefined) this.#fail(syncError);
        else done();
      });
    });
  }

  /** Out of space (or descriptors) where nothing was promised yet: clean up and try again later. */
  #starve(error: FileSystemError | undefined, file: File | undefined, temporary: string): void {
    if (error === undefined || !isAllocationFailure(error)) {
      this.#fail(error);
      return;
    }
    if (!this.#starved) this.#options.onReport({ kind: "allocation-failed", error });
    this.#starved = true;
    const cleanUp = (): void => {
      this.#options.fileSystem.unlink(temporary, () => this.#retryLater());
    };
    if (file === undefined) cleanUp();
    else file.close(cleanUp);
  }

  #retryLater(): void {
    if (this.#closed === undefined) {
      this.#retry = this.#options.clock.after(RETRY_MS, () => {
        this.#retry = undefined;
        this.#work();
      });
    }
    this.#finished();
    this.#options.onChange();
  }

  #fail(error: FileSystemError | undefined): void {
    this.#options.onFailure(error ?? new Error("a file could not be opened"));
  }

  #path(name: string): string {
    return `${this.#options.directory}/${name}`;
  }
}
