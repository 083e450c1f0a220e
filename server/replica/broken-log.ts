/**
 * A log with holes, and what proves which entries belong into them.
 *
 * An entry is named by (index, term) alone (Log Matching, section 5.3), and its encoding names the
 * entry before it by term and checksum. So whatever stands above a hole tells what its topmost
 * entry was, that entry tells the one below, and so on down: a hole is filled from its top, and
 * nothing is taken that is not proven to be what was lost. When the chain closes at the bottom, the
 * log is byte for byte what it was.
 *
 * Invariants: entries that stand next to each other agree. Where they do not, damage has swallowed
 * the write that replaced the lower one, so the lower one is dropped and counts as lost.
 */
import { assert, type Entry, type LogIndex, type Term } from "../../raft/index.ts";
import { entryChecksum, type LogBase, previousOf } from "../../storage/index.ts";

export const LOG_ORIGIN: LogBase = { index: 0, term: 0, checksum: 0 };

/** What is left of a log, in the order in which it was written. */
export type LogPiece =
  | { readonly kind: "entries"; readonly entries: readonly Entry[] }
  /** Its bytes are gone, its name is not; a checksum of 0 is not known. */
  | { readonly kind: "lost"; readonly point: LogBase };

export interface Hole {
  readonly first: LogIndex;
  readonly last: LogIndex;
}

interface Name {
  readonly term: Term;
  readonly checksum: number;
}

export class BrokenLog {
  readonly #entries = new Map<LogIndex, Entry>();
  /** Of entries that are lost, where their own header or a restart of the log told it. */
  readonly #names = new Map<LogIndex, Name>();
  /** The last index known to have been written. */
  #last: LogIndex;

  /**
   * `start` is what stands before the first entry: nothing, or what was compacted away. The log is
   * known to have reached `reachedIndex` at least.
   */
  constructor(start: LogBase, pieces: readonly LogPiece[], reachedIndex: LogIndex) {
    this.#last = start.index;
    if (start.index > 0) this.#names.set(start.index, start);
    for (const piece of pieces) {
      if (piece.kind === "lost") this.#lose(piece.point);
      else for (const entry of piece.entries) this.#write(entry);
    }
    this.#last = Math.max(this.#last, reachedIndex);
    for (let index = this.#last; index > start.index; index--) this.#checkBelow(index);
  }

  get last(): LogIndex {
    return this.#last;
  }

  entry(index: LogIndex): Entry | undefined {
    return this.#entries.get(index);
  }

  /** True when an entry at `index` could be told from any other. */
  isNamed(index: LogIndex): boolean {
    return this.#names.has(index) || this.#entries.has(index + 1);
  }

  /** What is missing above `base`, the topmost first. */
  holesAbove(base: LogIndex): readonly Hole[] {
    const holes: Hole[] = [];
    for (let index = this.#last; index > base; index--) {
      if (this.#entries.has(index)) continue;
      const last = index;
      while (index > base && !this.#entries.has(index)) index--;
      holes.push({ first: index + 1, last });
    }
    return holes;
  }

  /**
   * Takes what is proven of a run of entries, from its top down; says how many were taken. The run
   * may reach further down than the hole.
   */
  offer(run: readonly Entry[]): number {
    let taken = 0;
    for (const entry of run.toReversed()) {
      if (this.#entries.has(entry.index) || !this.#isProven(entry)) break;
      this.#entries.set(entry.index, entry);
      this.#names.delete(entry.index);
      this.#checkBelow(entry.index);
      taken++;
    }
    return taken;
  }

  /**
   * The longest run without a hole that goes on from `base`, with what of the entries up to `base`
   * stands right before it. Empty when the entry at `base` is another one here: then all above it
   * belongs to a history that was given up (section 7, Figure 13).
   */
  runFrom(base: LogBase): readonly Entry[] {
    const above = this.#entries.get(base.index + 1);
    const held = this.#entries.get(base.index);
    const agrees = held === undefined || isNamed(held, base);
    if (!agrees || (above !== undefined && !follows(above, base))) return [];
    let first = base.index + 1;
    while (this.#entries.has(first - 1)) first--;
    const run: Entry[] = [];
    for (let index = first; ; index++) {
      const entry = this.#entries.get(index);
      if (entry === undefined) return run;
      run.push(entry);
    }
  }

  /** An entry at `index` replaces everything from there on (section 5.3). */
  #write(entry: Entry): void {
    this.#truncate(entry.index);
    this.#entries.set(entry.index, entry);
    this.#last = entry.index;
  }

  #lose({ index, term, checksum }: LogBase): void {
    const held = this.#entries.get(index);
    if (held !== undefined && isNamed(held, { term, checksum })) return;
    this.#truncate(index);
    this.#names.set(index, { term, checksum });
    this.#last = index;
  }

  #truncate(from: LogIndex): void {
    for (let index = from; index <= this.#last; index++) {
      this.#entries.delete(index);
      this.#names.delete(index);
    }
  }

  #isProven(entry: Entry): boolean {
    const above = this.#entries.get(entry.index + 1);
    if (above !== undefined) return follows(above, nameOf(entry));
    const name = this.#names.get(entry.index);
    return name !== undefined && isNamed(entry, name);
  }

  /** Drops the entry below `index` when the one at `index` follows another. */
  #checkBelow(index: LogIndex): void {
    const above = this.#entries.get(index);
    const below = this.#entries.get(index - 1);
    if (above === undefined || below === undefined || follows(above, nameOf(below))) return;
    this.#entries.delete(index - 1);
  }
}

function nameOf(entry: Entry): Name {
  return { term: entry.term, checksum: entryChecksum(entry) };
}

function isNamed(entry: Entry, { term, checksum }: Name): boolean {
  return entry.term === term && (checksum === 0 || checksum === entryChecksum(entry));
}

/** Whether `entry` was encoded behind an entry of this name. */
function follows(entry: Entry, { term, checksum }: Name): boolean {
  const { encoded } = entry;
  assert(encoded !== undefined, "an entry of a log file is encoded");
  const previous = previousOf(encoded);
  const isKnown = checksum !== 0 && previous.checksum !== 0;
  return previous.term === term && (!isKnown || previous.checksum === checksum);
}
