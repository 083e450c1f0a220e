/**
 * Term and checksum of every entry in the log, so that the next entry can name the one before it.
 * It holds no entries: those live in `raft/`. Sixteen bytes for each index.
 *
 * Invariant: covers the indexes from `firstIndex` to `lastIndex` without a gap, and knows the entry
 * right before `firstIndex` when a snapshot or a restart told it.
 */
import type { Entry, LogIndex } from "../raft/index.ts";
import { assert } from "../raft/index.ts";
import { entryChecksum, NO_PREVIOUS_ENTRY, type PreviousEntry } from "./entry-codec.ts";

/** How many dropped slots may stand before the arrays are cut. */
const SLACK = 4096;

export class EntryChain {
  #terms: number[] = [];
  #checksums: number[] = [];
  /** The index of slot 0, which is the entry before the first. */
  #base: LogIndex = 0;
  /** Slots at the front that were dropped but still stand in the arrays. */
  #dropped = 0;

  constructor() {
    this.restart(0, NO_PREVIOUS_ENTRY);
  }

  get lastIndex(): LogIndex {
    return this.#base + this.#terms.length - 1;
  }

  get firstIndex(): LogIndex {
    return this.#base + this.#dropped + 1;
  }

  /** The log is empty and goes on after `index`. */
  restart(index: LogIndex, previous: PreviousEntry): void {
    this.#terms = [previous.term];
    this.#checksums = [previous.checksum];
    this.#base = index;
    this.#dropped = 0;
  }

  /** Undefined when `index` is not covered; checksum 0 when only the term is known. */
  at(index: LogIndex): PreviousEntry | undefined {
    const slot = index - this.#base;
    if (slot < this.#dropped) return undefined;
    const term = this.#terms[slot];
    const checksum = this.#checksums[slot];
    if (term === undefined || checksum === undefined) return undefined;
    return { term, checksum };
  }

  /** Appends an encoded entry, forgetting all from its index on (section 5.3). */
  append(entry: Entry): void {
    const slot = entry.index - this.#base;
    assert(slot > this.#dropped, "an entry comes after the first known one");
    assert(slot <= this.#terms.length, "an entry leaves no gap in the log");
    if (slot < this.#terms.length) {
      this.#terms.length = slot;
      this.#checksums.length = slot;
    }
    this.#terms.push(entry.term);
    this.#checksums.push(entryChecksum(entry));
  }

  /** Forgets the entries before `index`, which itself stays as the entry before the first. */
  dropBefore(index: LogIndex): void {
    const slot = Math.min(index - this.#base, this.#terms.length - 1);
    if (slot <= this.#dropped) return;
    this.#dropped = slot;
    if (slot < SLACK) return;
    this.#terms = this.#terms.slice(slot);
    this.#checksums = this.#checksums.slice(slot);
    this.#base += slot;
    this.#dropped = 0;
  }
}
