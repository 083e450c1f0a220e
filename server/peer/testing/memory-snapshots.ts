/** Snapshots in memory: a source and a sink with the promises of the storage port, for tests. */
import type { SnapshotMetadata } from "../../../raft/index.ts";
import type { ReceivedSnapshot, SnapshotSink, SnapshotSource } from "../../../storage/index.ts";
import type { SnapshotStore } from "../snapshot-receiver.ts";

export const METADATA: SnapshotMetadata = {
  term: 6,
  index: 900,
  group: 0,
  time: 12_345,
  configuration: {
    members: [
      {
        id: 1,
        incarnation: 101,
        role: "voter",
        peerAddress: "127.0.0.1:9001",
        clientAddress: "127.0.0.1:8001",
      },
      {
        id: 2,
        incarnation: 0,
        role: "learner",
        peerAddress: "[::1]:9002",
        clientAddress: "node-2.example:8002",
      },
    ],
  },
  configurationIndex: 17,
  entryChecksum: 0xdead_beef,
};

/** Counts what became of every snapshot; the last four bytes of a file are the sum of the rest. */
export class MemorySnapshotStore implements SnapshotStore {
  aborted = 0;
  discarded = 0;
  opened = 0;
  /** What a received file is found to be. */
  found: SnapshotMetadata = METADATA;
  files: Buffer[] = [];

  receiveSnapshot(): SnapshotSink {
    this.opened += 1;
    const pieces: Buffer[] = [];
    return {
      write: (bytes, done) => {
        pieces.push(Buffer.from(bytes));
        setImmediate(done, undefined);
      },
      finish: (done) => {
        const file = Buffer.concat(pieces);
        if (!isSound(file)) {
          done(new Error("checksum"), undefined);
          return;
        }
        this.files.push(file);
        const description = { metadata: this.found, summary: new Uint8Array() };
        done(undefined, { description, path: "memory", byteLength: file.length });
      },
      abort: () => {
        this.aborted += 1;
      },
    };
  }

  discardSnapshot(_received: ReceivedSnapshot): void {
    this.discarded += 1;
  }
}

/** A file of `byteLength` bytes with its sum at the end. */
export function snapshotFile(byteLength: number): Buffer {
  const file = Buffer.alloc(byteLength, 7);
  file.writeUInt32LE(sumOf(file.subarray(0, -4)), byteLength - 4);
  return file;
}

export class MemorySnapshotSource implements SnapshotSource {
  readonly description = { metadata: METADATA, summary: new Uint8Array() };
  readonly #file: Buffer;
  readonly #failAt: number;
  #offset = 0;
  closed = 0;

  /** Reading fails at `failAt`. */
  constructor(file: Buffer, failAt = Number.POSITIVE_INFINITY) {
    this.#file = file;
    this.#failAt = failAt;
  }

  get byteLength(): number {
    return this.#file.length;
  }

  read(done: (error: Error | undefined, bytes: Uint8Array | undefined) => void): void {
    if (this.#offset >= this.#failAt) {
      done(new Error("unreadable"), undefined);
      return;
    }
    const piece = this.#file.subarray(this.#offset, this.#offset + 65_536);
    this.#offset += piece.length;
    done(undefined, piece.length === 0 ? undefined : piece);
  }

  close(): void {
    this.closed += 1;
  }
}

function isSound(file: Buffer): boolean {
  return file.length >= 4 && file.readUInt32LE(file.length - 4) === sumOf(file.subarray(0, -4));
}

function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum + byte) >>> 0;
  return sum;
}
