/**
 * The replicated log as one node holds it: a flat array behind a base (the entry before the first
 * retained one), and the cursors that run along it. Knows nothing of terms in force, votes, peers.
 *
 * Invariants:
 * - entries are contiguous; terms and stamps never decrease along the log;
 * - appliedIndex <= emittedIndex <= commitIndex <= lastIndex (emitted lags during an install);
 * - commitIndex never decreases, and nothing at or below it is ever replaced (Figure 3);
 * - what is emitted for applying is both committed and durable here;
 * - base.index <= snapshot.index, so a follower behind the log can always be sent the snapshot.
 */
import { assert } from "./assert.ts";
import {
  type ClusterTime,
  ENTRY_OVERHEAD_BYTES,
  type Entry,
  type EntryId,
  type LogIndex,
  type RestoredState,
  type SnapshotMetadata,
  type Term,
} from "./types.ts";

interface Base extends EntryId {
  readonly time: ClusterTime;
}

/** Before the first entry. Its stamp is 0: members may start with different initial times. */
const ORIGIN: Base = { index: 0, term: 0, time: 0 };

/** What an entry is charged for in windows and limits. */
export function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + (entry.type === "command" ? entry.data.length : 0);
}

export class RaftLog {
  readonly #initialTime: ClusterTime;
  #entries: Entry[];
  #base: Base;
  #snapshot: SnapshotMetadata | undefined;
  #commitIndex: LogIndex;
  #stableIndex: LogIndex;
  #handedIndex: LogIndex;
  #emittedIndex: LogIndex;
  #appliedIndex: LogIndex;

  constructor(restored: RestoredState, initialTime: ClusterTime) {
    const { snapshot, hardState } = restored;
    const retained = retainedTail(restored);
    this.#initialTime = initialTime;
    this.#snapshot = snapshot;
    this.#entries = retained.slice();
    this.#base = snapshot === undefined ? ORIGIN : idOf(snapshot);
    const first = retained[0];
    if (first !== undefined && first.index <= this.#base.index) {
      // What stands before the first entry is only known at the origin; elsewhere the first entry
      // itself has to serve as the base.
      this.#base = first.index === 1 ? ORIGIN : idOf(first);
      if (first.index !== 1) this.#entries.shift();
    }
    assertContiguous(this.#base, this.#entries);
    const snapshotIndex = snapshot?.index ?? 0;
    // The persisted commit index is a hint: it may be older than the snapshot and, after a torn
    // tail was cut, beyond the log.
    const hint = Math.max(hardState.commitIndex, snapshotIndex);
    this.#commitIndex = Math.min(hint, this.lastIndex);
    this.#stableIndex = this.lastIndex;
    this.#handedIndex = this.lastIndex;
    this.#emittedIndex = snapshotIndex;
    this.#appliedIndex = snapshotIndex;
  }

  /** The first index whose entry is still here; lastIndex + 1 when none is. */
  get firstIndex(): LogIndex {
    return this.#base.index + 1;
  }

  get lastIndex(): LogIndex {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): Term {
    return (this.#entries.at(-1) ?? this.#base).term;
  }

  /** The newest stamp in the log; the initial time when it never had an entry. */
  get lastTime(): ClusterTime {
    if (this.lastIndex === 0) return this.#initialTime;
    return (this.#entries.at(-1) ?? this.#base).time;
  }

  get commitIndex(): LogIndex {
    return this.#commitIndex;
  }

  /** Durable on this disk up to here, with no truncation in flight below. */
  get stableIndex(): LogIndex {
    return this.#stableIndex;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** The newest snapshot, of this node's own making or installed. */
  get snapshot(): SnapshotMetadata | undefined {
    return this.#snapshot;
  }

  get hasUnpersisted(): boolean {
    return this.#handedIndex < this.lastIndex;
  }

  get hasCommittedToEmit(): boolean {
    return this.#emittedIndex < Math.min(this.#commitIndex, this.#stableIndex);
  }

  /** Undefined outside what is retained (the base counts as retained). */
  term(index: LogIndex): Term | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.firstIndex]?.term;
  }

  entry(index: LogIndex): Entry | undefined {
    return this.#entries[index - this.firstIndex];
  }

  matches(index: LogIndex, term: Term): boolean {
    return this.term(index) === term;
  }

  /** Section 5.4.1: the later last term wins; within a term the longer log does. */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm;
    return lastIndex >= this.lastIndex;
  }

  /**
   * The last index at or below `index` whose term is at most `term`: where two logs can still agree
   * (section 5.3, a whole conflicting term per step). Terms never decrease, so it is a bisection.
   * Below the base nothing is known: the answer is then the index before the base.
   */
  lastIndexOfTermAtMost(index: LogIndex, term: Term): LogIndex {
    if (index < this.#base.index) return index;
    let low = this.#base.index - 1;
    let high = Math.min(index, this.lastIndex);
    while (low < high) {
      const middle = low + Math.ceil((high - low) / 2);
      if ((this.term(middle) ?? 0) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Entries from `from` on, at least one if there is one, then as many as fit in `bytesMax`. */
  slice(from: LogIndex, bytesMax: number, through: LogIndex = this.lastIndex): readonly Entry[] {
    const start = from - this.firstIndex;
    const limit = through - this.#base.index;
    assert(start >= 0, "only retained entries are read");
    let end = start;
    let bytes = 0;
    while (end < limit) {
      const entry = this.#entries[end];
      assert(entry !== undefined, "the log is contiguous");
      bytes += entryBytes(entry);
      if (bytes > bytesMax && end > start) break;
      end += 1;
    }
    return this.#entries.slice(start, end);
  }

  /** A leader adds to the end of its log and never changes what is there (Figure 3). */
  append(entry: Entry): void {
    assertFollows(this.#entries.at(-1) ?? this.#base, entry);
    this.#entries.push(entry);
  }

  /**
   * Puts `entries` after `prevIndex`, which is known to match. Entries already here are kept; the
   * first conflict and all that follows it go (section 5.3). Returns the entries that are new here,
   * and where older ones made room for them.
   */
  splice(
    prevIndex: LogIndex,
    entries: readonly Entry[],
  ): { readonly fresh: readonly Entry[]; readonly truncatedFrom: LogIndex | undefined } {
    let known = 0;
    for (const entry of entries) {
      if (!this.matches(entry.index, entry.term)) break;
      known += 1;
    }
    const fresh = known === 0 ? entries : entries.slice(known);
    if (fresh.length === 0) return { fresh, truncatedFrom: undefined };
    const from = prevIndex + known + 1;
    const truncatedFrom = from <= this.lastIndex ? from : undefined;
    if (truncatedFrom !== undefined) this.#truncate(truncatedFrom);
    for (const entry of fresh) this.append(entry);
    return { fresh, truncatedFrom };
  }

  /** Returns false when `index` was known committed already. */
  commitTo(index: LogIndex): boolean {
    if (index <= this.#commitIndex) return false;
    assert(index <= this.lastIndex, "an index that is not in the log is not committed");
    this.#commitIndex = index;
    return true;
  }

  stableTo(index: LogIndex): boolean {
    if (index <= this.#stableIndex) return false;
    assert(index <= this.#handedIndex, "only what was handed out to be persisted is durable");
    this.#stableIndex = index;
    return true;
  }

  appliedTo(index: LogIndex): void {
    if (index <= this.#appliedIndex) return;
    assert(index <= this.#emittedIndex, "only emitted entries are applied");
    this.#appliedIndex = index;
  }

  /** Entries that were never handed out to be persisted. */
  takeUnpersisted(): readonly Entry[] {
    const start = this.#handedIndex - this.#base.index;
    this.#handedIndex = this.lastIndex;
    return this.#entries.slice(start);
  }

  /** The next entries to apply: committed, durable here, each handed out once. */
  takeCommitted(bytesMax: number): readonly Entry[] {
    const through = Math.min(this.#commitIndex, this.#stableIndex);
    const entries = this.slice(this.#emittedIndex + 1, bytesMax, through);
    this.#emittedIndex += entries.length;
    assert(this.#emittedIndex <= this.#commitIndex, "only committed entries are emitted");
    return entries;
  }

  /** A snapshot is durable; entries below `retainFrom` are no longer needed. */
  compact(metadata: SnapshotMetadata, retainFrom: LogIndex): void {
    assert(metadata.index <= this.#appliedIndex, "a snapshot covers applied entries only");
    if (this.#snapshot === undefined || metadata.index > this.#snapshot.index) {
      assert(this.matches(metadata.index, metadata.term), "a snapshot names an entry of this log");
      this.#snapshot = metadata;
    }
    const index = Math.min(retainFrom - 1, this.#snapshot.index);
    if (index <= this.#base.index) return;
    const base = this.entry(index);
    assert(base !== undefined, "the new base is in the log");
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = idOf(base);
  }

  /**
   * A leader's snapshot takes the place of the whole log (section 7). Until it is durable, only
   * what was committed before is known to be right on this disk, so that is all `stableIndex` says.
   */
  restore(metadata: SnapshotMetadata): void {
    assert(metadata.index > this.#commitIndex, "a snapshot never takes committed entries back");
    this.#stableIndex = Math.min(this.#stableIndex, this.#commitIndex);
    this.#entries = [];
    this.#base = idOf(metadata);
    this.#snapshot = metadata;
    this.#handedIndex = metadata.index;
    this.#commitIndex = metadata.index;
  }

  /** The state machine was restored from the snapshot: applying goes on behind it. */
  restored(metadata: SnapshotMetadata): void {
    this.#emittedIndex = metadata.index;
    this.#appliedIndex = metadata.index;
  }

  #truncate(from: LogIndex): void {
    assert(from > this.#commitIndex, "a committed entry is never replaced");
    this.#entries.length = from - this.firstIndex;
    this.#stableIndex = Math.min(this.#stableIndex, from - 1);
    this.#handedIndex = Math.min(this.#handedIndex, from - 1);
  }
}

/** What of the restored entries still belongs behind the restored snapshot. */
function retainedTail(restored: RestoredState): readonly Entry[] {
  const { snapshot, entries } = restored;
  const first = entries[0];
  if (first === undefined) return entries;
  if (snapshot === undefined) {
    assert(first.index === 1, "a log without a snapshot starts at 1");
    return entries;
  }
  assert(first.index <= snapshot.index + 1, "no gap between the snapshot and the log");
  if (first.index === snapshot.index + 1) return entries;
  // A crash between installing a snapshot and restarting the log leaves a log that ends before it
  // or disagrees with it; the snapshot holds what is committed, so the log gives way (section 7).
  const covered = entries[snapshot.index - first.index];
  return covered !== undefined && covered.term === snapshot.term ? entries : [];
}

function idOf(thing: Base): Base {
  return { index: thing.index, term: thing.term, time: thing.time };
}

function assertContiguous(base: Base, entries: readonly Entry[]): void {
  let previous = base;
  for (const entry of entries) {
    assertFollows(previous, entry);
    previous = entry;
  }
}

function assertFollows(previous: Base, entry: Entry): void {
  assert(entry.index === previous.index + 1, "log indexes are contiguous");
  assert(entry.term >= previous.term, "terms never decrease along the log");
  assert(entry.time >= previous.time, "stamps never decrease along the log");
}
