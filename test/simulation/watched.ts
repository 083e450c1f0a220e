/**
 * Production parts of a node with an eye on them: the state machine and the storage, unchanged, and
 * everything that passes told to the ledger and to the durable log. Nothing here decides anything.
 */
import { crc32 } from "node:zlib";
import type {
  CommandEntry,
  Entry,
  SnapshotMetadata,
  StateCapture,
  StateRestore,
} from "../../raft/index.ts";
import type { KvReader, KvResult, KvStateMachine, StateHash } from "../../server/kv/index.ts";
import type { ReplicatedMachine } from "../../server/replica/options.ts";
import type {
  PersistBatch,
  ReceivedSnapshot,
  SnapshotDescription,
  SnapshotSink,
  SnapshotSource,
  Storage,
} from "../../storage/index.ts";
import type { DurableLog } from "./durable-log.ts";
import type { Ledger } from "./ledger.ts";
import { promised, require } from "./violation.ts";

export class WatchedMachine implements ReplicatedMachine<KvResult> {
  readonly #nodeId: number;
  readonly #machine: KvStateMachine;
  readonly #ledger: Ledger;
  readonly #onApplied: (entries: readonly Entry[]) => void;
  #appliedIndex = 0;
  #restoringIndex = 0;

  constructor(
    nodeId: number,
    machine: KvStateMachine,
    ledger: Ledger,
    onApplied: (entries: readonly Entry[]) => void,
  ) {
    this.#nodeId = nodeId;
    this.#machine = machine;
    this.#ledger = ledger;
    this.#onApplied = onApplied;
  }

  get revision(): number {
    return this.#machine.revision;
  }

  get sessionCount(): number {
    return this.#machine.sessionCount;
  }

  get hash(): StateHash {
    return this.#machine.hash;
  }

  get reader(): KvReader {
    return this.#machine;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  apply(entries: readonly Entry[], answer: (entry: CommandEntry, result: KvResult) => void): void {
    for (const entry of entries) {
      promised(
        "lost-write",
        entry.index === this.#appliedIndex + 1,
        () =>
          `node ${this.#nodeId} is to apply ${this.#appliedIndex + 1}, was given ${entry.index}`,
      );
      this.#ledger.admit(this.#nodeId, entry);
      this.#appliedIndex = entry.index;
    }
    this.#machine.apply(entries, (entry, result) => {
      this.#ledger.executed(this.#nodeId, entry, result);
      answer(entry, result);
    });
    this.#ledger.applied(entries);
    this.#onApplied(entries);
    this.#reached();
  }

  nextDeadline(): number | undefined {
    return this.#machine.nextDeadline();
  }

  capture(): StateCapture {
    return this.#machine.capture();
  }

  beginRestore(): StateRestore {
    const restore = this.#machine.beginRestore();
    return {
      chunk: (bytes) => restore.chunk(bytes),
      end: () => {
        restore.end();
        this.#restored(this.#restoringIndex);
      },
    };
  }

  /** The next restore is of the snapshot at `index`. */
  restoring(index: number): void {
    this.#restoringIndex = index;
  }

  /** The state was replaced by a snapshot: it is the one that was saved at that index. */
  #restored(index: number): void {
    require(index >= this.#appliedIndex, () =>
      `node ${this.#nodeId} applied ${this.#appliedIndex} and went back to ${index}`);
    this.#appliedIndex = index;
    this.#reached();
    this.#ledger.snapshot(this.#nodeId, index, this.snapshotHash());
  }

  #reached(): void {
    const { revision, hash } = this.#machine;
    this.#ledger.reached(this.#nodeId, this.#appliedIndex, revision, hash.value);
  }

  /** Of the whole state, as it would stand in a snapshot. */
  snapshotHash(): string {
    return hashOf(this.#machine);
  }
}

export function hashOf(machine: KvStateMachine): string {
  const capture = machine.capture();
  const hash = new SnapshotHash(capture.summary);
  for (const chunk of capture.chunks()) hash.add(chunk);
  capture.release();
  return hash.text;
}

class SnapshotHash {
  #crc = 0;
  #bytes = 0;
  readonly #summary: string;

  constructor(summary: Uint8Array) {
    this.#summary = Buffer.from(summary).toString("hex");
  }

  get text(): string {
    return `${this.#summary}-${this.#bytes}-${this.#crc.toString(16)}`;
  }

  add(chunk: Uint8Array): void {
    this.#crc = crc32(chunk, this.#crc);
    this.#bytes += chunk.length;
  }
}

export interface StorageEyes {
  readonly nodeId: number;
  readonly log: DurableLog;
  readonly ledger: Ledger;
  /** Entries are about to be written. */
  readonly onAppending: (entries: readonly Entry[]) => void;
  /** A flush was reported done. */
  readonly onDurable: () => void;
  readonly onSaved: (index: number) => void;
  readonly onInstalling: (metadata: SnapshotMetadata) => void;
  readonly onInstalled: (index: number) => void;
}

/** Every method that is not of interest goes straight through. */
export class WatchedStorage implements Storage {
  readonly #storage: Storage;
  readonly #eyes: StorageEyes;

  constructor(storage: Storage, eyes: StorageEyes) {
    this.#storage = storage;
    this.#eyes = eyes;
  }

  get identity(): Storage["identity"] {
    return this.#storage.identity;
  }

  get restored(): Storage["restored"] {
    return this.#storage.restored;
  }

  get statistics(): Storage["statistics"] {
    return this.#storage.statistics;
  }

  get isRecovering(): boolean {
    return this.#storage.isRecovering;
  }

  get snapshot(): SnapshotDescription | undefined {
    return this.#storage.snapshot;
  }

  get mayVote(): boolean {
    return this.#storage.mayVote;
  }

  allowVoting(done: () => void): void {
    this.#storage.allowVoting(done);
  }

  markWhole(done: () => void): void {
    this.#storage.markWhole(done);
  }

  readSnapshot(onChunk: (bytes: Uint8Array) => void): void {
    this.#storage.readSnapshot(onChunk);
  }

  persist(batch: PersistBatch, done: () => void): void {
    const durable = this.#eyes.log.persisting(batch);
    this.#eyes.onAppending(batch.entries);
    this.#storage.persist(batch, () => {
      durable();
      this.#eyes.onDurable();
      done();
    });
  }

  hasRoom(bytes: number): boolean {
    return this.#storage.hasRoom(bytes);
  }

  saveSnapshot(
    description: SnapshotDescription,
    chunks: IterableIterator<Uint8Array>,
    done: (error: Error | undefined) => void,
  ): void {
    const { index } = description.metadata;
    const hash = new SnapshotHash(description.summary);
    this.#storage.saveSnapshot(description, hashed(chunks, hash), (error) => {
      if (error === undefined) {
        this.#eyes.log.snapshotDurable(index);
        this.#eyes.ledger.snapshot(this.#eyes.nodeId, index, hash.text);
        this.#eyes.onSaved(index);
      }
      done(error);
    });
  }

  openSnapshot(): SnapshotSource | undefined {
    return this.#storage.openSnapshot();
  }

  receiveSnapshot(): SnapshotSink {
    return this.#storage.receiveSnapshot();
  }

  installSnapshot(
    received: ReceivedSnapshot,
    onChunk: (bytes: Uint8Array) => void,
    done: (error: Error | undefined) => void,
  ): void {
    const { metadata } = received.description;
    const durable = this.#eyes.log.installing(metadata);
    this.#storage.installSnapshot(received, onChunk, (error) => {
      if (error === undefined) {
        durable();
        this.#eyes.onInstalling(metadata);
      }
      done(error);
      if (error === undefined) this.#eyes.onInstalled(metadata.index);
    });
  }

  discardSnapshot(received: ReceivedSnapshot): void {
    this.#storage.discardSnapshot(received);
  }

  compact(through: number): void {
    this.#storage.compact(through);
  }

  close(done: () => void): void {
    this.#storage.close(done);
  }
}

function* hashed(
  chunks: IterableIterator<Uint8Array>,
  hash: SnapshotHash,
): IterableIterator<Uint8Array> {
  for (const chunk of chunks) {
    hash.add(chunk);
    yield chunk;
  }
}
