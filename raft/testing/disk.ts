/**
 * A simulated disk of one node: what is durable, and batches on their way there.
 *
 * Batches become durable in order, one at a time. A crash keeps any prefix of the operations under
 * way, down to single entries: bytes may reach the platter without the flush being reported.
 *
 * Durable entries can go bad as well (`loseTail`). The disk then carries a mark until that is
 * removed, and remembers what it lost: whoever was told of these entries may still count them.
 */
import { assert } from "../assert.ts";
import type { Envelope } from "../message.ts";
import type {
  CommandEntry,
  Entry,
  EntryId,
  HardState,
  LogIndex,
  RestoredState,
  SnapshotMetadata,
} from "../types.ts";
import { formatId } from "./format.ts";
import { LogImage } from "./log-image.ts";

/** The state of the toy state machine after `metadata.index`: all commands so far. */
export interface SnapshotImage {
  readonly metadata: SnapshotMetadata;
  readonly commands: readonly CommandEntry[];
}

export interface WriteBatch {
  readonly sequence: number;
  readonly hardState: HardState | undefined;
  readonly snapshot: SnapshotImage | undefined;
  readonly entries: readonly Entry[];
  /** What may leave once this batch is durable. */
  readonly messages: readonly Envelope[];
}

export class Disk {
  #hardState: HardState = { term: 0, vote: 0, commitIndex: 0 };
  #snapshot: SnapshotImage | undefined;
  #log = new LogImage();
  #isMarked = false;
  #keptIndex: LogIndex = 0;
  readonly #lost = new Set<string>();
  #pending: WriteBatch[] = [];

  get hardState(): HardState {
    return this.#hardState;
  }

  get snapshot(): SnapshotImage | undefined {
    return this.#snapshot;
  }

  get snapshotIndex(): LogIndex {
    return this.#snapshot?.metadata.index ?? 0;
  }

  /** The durable log. */
  get log(): LogImage {
    return this.#log;
  }

  /** True while the node is recovering. */
  get isMarked(): boolean {
    return this.#isMarked;
  }

  /** The durable log, or the snapshot in its place, has this entry. */
  holds({ index, term }: EntryId): boolean {
    if (index > this.#log.lastIndex) return false;
    const held = this.#log.termAt(index);
    return held === undefined ? index <= this.snapshotIndex : held === term;
  }

  /**
   * True when the entry was durable here while this node could say so: it is now, or it was before
   * it went bad. What a recovering node has stored since then does not count.
   */
  hasVouchedFor(id: EntryId): boolean {
    if (this.#lost.has(formatId(id))) return true;
    return this.holds(id) && (!this.#isMarked || id.index <= this.#keptIndex);
  }

  get pending(): readonly WriteBatch[] {
    return this.#pending;
  }

  /** True while a received snapshot is on its way to the platter. */
  get isInstalling(): boolean {
    return this.#pending.some((batch) => batch.snapshot !== undefined);
  }

  write(batch: WriteBatch): void {
    this.#pending.push(batch);
  }

  /** The oldest batch is durable now. */
  completeOldest(): WriteBatch | undefined {
    const batch = this.#pending.shift();
    if (batch !== undefined) for (const operation of this.#operations(batch)) operation();
    return batch;
  }

  get pendingOperations(): number {
    let count = 0;
    for (const batch of this.#pending) count += this.#operations(batch).length;
    return count;
  }

  /** Loses power: the first `keep` operations under way made it, the rest is gone. */
  crash(keep: number): void {
    const operations = this.#pending.flatMap((batch) => this.#operations(batch));
    for (const operation of operations.slice(0, keep)) operation();
    this.#pending = [];
  }

  /** The own snapshot is durable; entries below `retainFrom` go. */
  saveSnapshot(image: SnapshotImage, retainFrom: LogIndex): void {
    assert(image.metadata.index >= this.snapshotIndex, "a snapshot never replaces a newer one");
    this.#snapshot = image;
    this.#log.compactBefore(retainFrom);
  }

  /**
   * The entries behind `lastIndex` are gone. As a host must: the mark and a term that is above all
   * in which this node ever promised something, before the log is cut (recovering.ts).
   */
  loseTail(lastIndex: LogIndex): void {
    assert(this.#pending.length === 0, "damage is found at a start");
    const { term, commitIndex } = this.#hardState;
    this.#isMarked = true;
    this.#keptIndex = lastIndex;
    this.#hardState = { term: term + 1, vote: 0, commitIndex };
    for (const { index, term: entryTerm } of this.#log.cut(lastIndex)) {
      this.#lost.add(formatId({ index, term: entryTerm }));
    }
  }

  unmark(): void {
    this.#isMarked = false;
  }

  /** For scripts that start with a past. */
  format(hardState: HardState, entries: readonly Entry[]): void {
    this.#hardState = hardState;
    this.#log.append(entries);
  }

  restored(): RestoredState {
    return {
      hardState: this.#hardState,
      snapshot: this.#snapshot?.metadata,
      entries: [...this.#log.entries],
    };
  }

  /** In the order of `Ready`: hard state, snapshot, then the entries behind it. */
  #operations(batch: WriteBatch): (() => void)[] {
    const operations: (() => void)[] = [];
    const { hardState, snapshot } = batch;
    if (hardState !== undefined) {
      operations.push(() => {
        this.#hardState = hardState;
      });
    }
    if (snapshot !== undefined) {
      operations.push(() => {
        this.#snapshot = snapshot;
        this.#log.reset(snapshot.metadata);
      });
    }
    for (const entry of batch.entries) operations.push(() => this.#log.append([entry]));
    return operations;
  }
}
