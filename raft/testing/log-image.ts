/**
 * A log as an outsider sees it: the entries a node handed out, or those its disk holds. Used to
 * compare logs; it trusts nobody and asserts that there are no gaps.
 */
import { assert } from "../assert.ts";
import type { Configuration, Entry, EntryId, LogIndex, SnapshotMetadata, Term } from "../types.ts";

/** Term of a base whose entry was compacted away before anyone asked for its term. */
const UNKNOWN_TERM = -1;

export class LogImage {
  /** The position right before the first entry held. */
  #base: EntryId = { index: 0, term: 0 };
  #entries: Entry[] = [];

  get firstIndex(): LogIndex {
    return this.#base.index + 1;
  }

  get lastIndex(): LogIndex {
    return this.#base.index + this.#entries.length;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Undefined when the position is not held or its term is not known. */
  termAt(index: LogIndex): Term | undefined {
    if (index !== this.#base.index) return this.#entries[index - this.firstIndex]?.term;
    return this.#base.term === UNKNOWN_TERM ? undefined : this.#base.term;
  }

  /** Replaces everything from the first given entry on. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index >= this.firstIndex, "an append stays above what was compacted");
    assert(first.index <= this.lastIndex + 1, "an append leaves no gap");
    this.#entries.length = first.index - this.firstIndex;
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, "entries are contiguous");
      this.#entries.push(entry);
    }
  }

  /** Forgets what stands behind `lastIndex`, and returns it. */
  cut(lastIndex: LogIndex): readonly Entry[] {
    assert(lastIndex >= this.#base.index, "only entries are cut off");
    return this.#entries.splice(lastIndex - this.#base.index);
  }

  /** Forgets everything and stands right behind `id`. */
  reset(id: EntryId): void {
    this.#base = { index: id.index, term: id.term };
    this.#entries = [];
  }

  compactBefore(index: LogIndex): void {
    if (index <= this.firstIndex) return;
    assert(index <= this.lastIndex + 1, "compaction stays inside the log");
    const term = this.termAt(index - 1) ?? UNKNOWN_TERM;
    this.#entries.splice(0, index - this.firstIndex);
    this.#base = { index: index - 1, term };
  }

  static restored(snapshot: SnapshotMetadata | undefined, entries: readonly Entry[]): LogImage {
    const image = new LogImage();
    const first = entries[0];
    if (snapshot !== undefined) image.reset(snapshot);
    if (first !== undefined && first.index !== image.firstIndex) {
      image.reset({ index: first.index - 1, term: UNKNOWN_TERM });
    }
    image.append(entries);
    return image;
  }
}

/** The configurations of a log, newest last; truncation rolls back (thesis 4.1). */
export class ConfigurationStack {
  #stack: { readonly index: LogIndex; readonly configuration: Configuration }[];

  constructor(index: LogIndex, configuration: Configuration) {
    this.#stack = [{ index, configuration }];
  }

  get newest(): Configuration {
    const top = this.#stack.at(-1);
    assert(top !== undefined, "there is always a first configuration");
    return top.configuration;
  }

  /** Entries as they enter the log: what they replace goes first. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.#stack = this.#stack.filter((held) => held.index < first.index);
    for (const entry of entries) {
      if (entry.type !== "conf-change") continue;
      this.#stack.push({ index: entry.index, configuration: entry.configuration });
    }
  }

  countAbove(index: LogIndex): number {
    return this.#stack.filter((held) => held.index > index).length;
  }
}
