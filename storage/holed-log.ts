/**
 * A log of which parts are lost: what is left of every write, applied in the order of the writes,
 * and then closed from the top down. Each entry names the one before it by term and checksum, so
 * what stands above proves what stands below; an entry that is not the one named was replaced by a
 * write that is lost, and is dropped.
 */
import type { Entry, EntryId, LogIndex } from "../raft/index.ts";
import { entryChecksum, type PreviousEntry, previousOf } from "./entry-codec.ts";
import type { LogBase, LostEntry } from "./repair-contract.ts";
import type { LogPiece } from "./salvage.ts";

type Slot =
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "lost"; readonly lost: LostEntry };

export interface ClosedLog {
  /** The run that goes on from the base, with what stands linked before it. */
  readonly prefix: readonly Entry[];
  readonly islands: readonly (readonly Entry[])[];
  readonly lost: readonly LostEntry[];
}

const NOTHING: ClosedLog = { prefix: [], islands: [], lost: [] };

export class HoledLog {
  readonly #slots = new Map<LogIndex, Slot>();
  #start: LogBase | undefined;
  #lastIndex: LogIndex = 0;
  #isTailKnown = true;

  /** The entry before the first; the beginning of all when nothing tells. */
  get start(): LogBase {
    return this.#start ?? { index: 0, term: 0, checksum: 0 };
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  /** False after a write nobody can name, until a later one says where the log ends. */
  get isTailKnown(): boolean {
    return this.#isTailKnown;
  }

  apply(piece: LogPiece): void {
    switch (piece.kind) {
      case "entry": {
        const { entry } = piece;
        const previous = entry.encoded === undefined ? undefined : previousOf(entry.encoded);
        this.#replaceFrom(entry.index, previous, piece);
        return;
      }
      case "lost":
        this.#replaceFrom(piece.lost.index, piece.lost.previous, piece);
        return;
      case "restart":
        this.#slots.clear();
        this.#start = piece.start;
        this.#lastIndex = piece.start.index;
        this.#isTailKnown = true;
        return;
      case "unknown":
        this.#isTailKnown = false;
        return;
    }
  }

  /** An entry at an index replaces everything from there on (section 5.3). */
  #replaceFrom(index: LogIndex, previous: PreviousEntry | undefined, slot: Slot): void {
    for (let i = index; i <= this.#lastIndex; i += 1) this.#slots.delete(i);
    if (this.#start === undefined || index <= this.#start.index) {
      this.#start = { index: index - 1, term: 0, checksum: 0, ...previous };
    }
    this.#slots.set(index, slot);
    this.#lastIndex = index;
    this.#isTailKnown = true;
  }

  /** What stands above `base`, which is what the newest snapshot covers. */
  close(base: LogBase): ClosedLog {
    const lost: LostEntry[] = [];
    const runs: Entry[][] = [];
    let run: Entry[] = [];
    let expected: PreviousEntry | undefined;
    let isProven = true;
    for (let index = this.#lastIndex; index > 0; index -= 1) {
      if (index === base.index && isProven && contradicts(base, expected)) return NOTHING;
      const slot = this.#at(index, expected);
      if (slot?.kind === "entry") {
        run.push(slot.entry);
        expected = slot.entry.encoded === undefined ? undefined : previousOf(slot.entry.encoded);
        continue;
      }
      // Below the base nothing is missed: the snapshot stands for it.
      if (index <= base.index) break;
      if (run.length > 0) runs.push(run.reverse());
      run = [];
      isProven = false;
      if (slot !== undefined) lost.push(slot.lost);
      expected = slot?.lost.previous;
    }
    if (run.length > 0) runs.push(run.reverse());
    runs.reverse();
    lost.reverse();
    const [lowest, ...others] = runs;
    if (lowest !== undefined && follows(lowest, base))
      return { prefix: lowest, islands: others, lost };
    return { prefix: [], islands: runs.filter((found) => endsAbove(found, base)), lost };
  }

  /** Undefined when nothing is known of `index`; never another entry than the expected one. */
  #at(index: LogIndex, expected: PreviousEntry | undefined): Slot | undefined {
    const slot = this.#slots.get(index);
    if (slot === undefined) {
      const start = this.#start?.index === index ? this.#start : undefined;
      const known = expected ?? start;
      if (known === undefined) return undefined;
      const { term, checksum } = known;
      return { kind: "lost", lost: { index, term, checksum, previous: undefined } };
    }
    if (expected === undefined) return slot;
    const found = slot.kind === "entry" ? pointOf(slot.entry) : slot.lost;
    if (isSame(found, expected)) return slot;
    return { kind: "lost", lost: { index, ...expected, previous: undefined } };
  }
}

function pointOf(entry: Entry): LogBase {
  return { index: entry.index, term: entry.term, checksum: entryChecksum(entry) };
}

function isSame(a: PreviousEntry, b: PreviousEntry): boolean {
  const isKnown = a.checksum !== 0 && b.checksum !== 0;
  return a.term === b.term && (!isKnown || a.checksum === b.checksum);
}

function contradicts(base: LogBase, expected: PreviousEntry | undefined): boolean {
  return base.index > 0 && expected !== undefined && !isSame(base, expected);
}

function follows(run: readonly Entry[], base: LogBase): boolean {
  const [first] = run;
  const last = run.at(-1);
  if (first?.encoded === undefined || last === undefined) return false;
  if (first.index > base.index + 1 || last.index < base.index) return false;
  if (first.index === base.index + 1) return isSame(previousOf(first.encoded), base);
  return run[base.index - first.index]?.term === base.term;
}

function endsAbove(run: readonly Entry[], base: EntryId): boolean {
  return (run.at(-1)?.index ?? 0) > base.index;
}
