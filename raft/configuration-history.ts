/**
 * Which configuration is in force, and which ones before it. A configuration counts from the
 * moment it is appended, committed or not (thesis 4.1), so truncating the log must bring the one
 * before back, and a snapshot of an earlier index needs the one in force there.
 *
 * Invariants: indexes rise; the first element is the configuration of the snapshot, or the
 * initial one at index 0, and is never rolled back.
 */
import { assert } from "./assert.ts";
import { votersOf } from "./membership.ts";
import type { Configuration, Entry, LogIndex, NodeId } from "./types.ts";

export interface IndexedConfiguration {
  readonly index: LogIndex;
  readonly configuration: Configuration;
}

export class ConfigurationHistory {
  #history: IndexedConfiguration[];
  #voters: readonly NodeId[];

  constructor(base: IndexedConfiguration) {
    this.#history = [base];
    this.#voters = votersOf(base.configuration);
  }

  get current(): Configuration {
    return this.#newest().configuration;
  }

  /** Where the current configuration stands in the log; 0 for the initial one. */
  get currentIndex(): LogIndex {
    return this.#newest().index;
  }

  /** Ids of the current voters, ascending. */
  get voters(): readonly NodeId[] {
    return this.#voters;
  }

  isVoter(id: NodeId): boolean {
    return this.#voters.includes(id);
  }

  /** True when it votes by the configuration in force at `index`. */
  wasVoter(id: NodeId, index: LogIndex): boolean {
    return votersOf(this.at(index).configuration).includes(id);
  }

  /** Takes note of appended entries; returns true when the configuration changed. */
  appended(entries: readonly Entry[]): boolean {
    let changed = false;
    for (const entry of entries) {
      if (entry.type !== "conf-change") continue;
      assert(entry.index > this.currentIndex, "configurations are appended in log order");
      this.#history.push({ index: entry.index, configuration: entry.configuration });
      changed = true;
    }
    if (changed) this.#voters = votersOf(this.current);
    return changed;
  }

  /** Forgets configurations at `from` and after; returns true when the configuration changed. */
  truncated(from: LogIndex): boolean {
    if (this.currentIndex < from) return false;
    while (this.#history.length > 1 && this.currentIndex >= from) this.#history.pop();
    assert(this.currentIndex < from, "the configuration of a snapshot is never rolled back");
    this.#voters = votersOf(this.current);
    return true;
  }

  /** The configuration in force at `index`. */
  at(index: LogIndex): IndexedConfiguration {
    const found = this.#history.findLast((indexed) => indexed.index <= index);
    assert(found !== undefined, "the configuration at a retained index is known");
    return found;
  }

  /** Everything before `index` is in a snapshot now. */
  compact(index: LogIndex): void {
    const base = this.at(index);
    this.#history = this.#history.filter((indexed) => indexed.index >= base.index);
  }

  /** A snapshot replaced the log. */
  restore(base: IndexedConfiguration): void {
    this.#history = [base];
    this.#voters = votersOf(base.configuration);
  }

  #newest(): IndexedConfiguration {
    const newest = this.#history.at(-1);
    assert(newest !== undefined, "a configuration is always known");
    return newest;
  }
}
