/**
 * What a log must hold after a crash, as plain arrays: the states it went through, entry by entry,
 * and how far they were acknowledged. A recovered log is right when it is one of the states from
 * the last acknowledged one on.
 */
import assert from "node:assert/strict";
import type { Entry, HardState, RestoredState } from "../../raft/index.ts";

interface LogState {
  /** The index before the first entry. */
  readonly base: number;
  readonly entries: readonly Entry[];
}

interface PromisedHardState {
  readonly term: number;
  readonly vote: number;
}

export class LogModel {
  #states: LogState[] = [{ base: 0, entries: [] }];
  #hardStates: PromisedHardState[] = [{ term: 0, vote: 0 }];
  #acknowledged = 0;
  #acknowledgedHardState = 0;
  /** Index and term of the newest snapshot that was acknowledged, and of all that were tried. */
  #snapshotAcknowledged = 0;
  readonly #snapshotsTried = new Set<number>([0]);

  get last(): LogState {
    return this.#states.at(-1) ?? { base: 0, entries: [] };
  }

  get lastIndex(): number {
    return this.last.base + this.last.entries.length;
  }

  entry(index: number): Entry | undefined {
    return this.last.entries[index - this.last.base - 1];
  }

  /** Returns what to call when the write is acknowledged. */
  persist(hardState: HardState | undefined, entries: readonly Entry[]): () => void {
    if (hardState !== undefined) {
      this.#hardStates.push({ term: hardState.term, vote: hardState.vote });
    }
    for (const entry of entries) {
      const { base, entries: before } = this.last;
      this.#states.push({ base, entries: [...before.slice(0, entry.index - base - 1), entry] });
    }
    const state = this.#states.length - 1;
    const promised = this.#hardStates.length - 1;
    return () => {
      this.#acknowledged = Math.max(this.#acknowledged, state);
      this.#acknowledgedHardState = Math.max(this.#acknowledgedHardState, promised);
    };
  }

  snapshot(index: number): () => void {
    this.#snapshotsTried.add(index);
    return () => {
      this.#snapshotAcknowledged = Math.max(this.#snapshotAcknowledged, index);
    };
  }

  install(index: number, term: number): () => void {
    const acknowledgeSnapshot = this.snapshot(index);
    if (this.entry(index)?.term !== term) this.#states.push({ base: index, entries: [] });
    const state = this.#states.length - 1;
    return () => {
      acknowledgeSnapshot();
      this.#acknowledged = Math.max(this.#acknowledged, state);
    };
  }

  /** After recovery: the past is settled, this is the one true state. */
  adopt(restored: RestoredState): void {
    const base = (restored.entries[0]?.index ?? (restored.snapshot?.index ?? 0) + 1) - 1;
    this.#states = [{ base, entries: restored.entries }];
    this.#hardStates = [{ term: restored.hardState.term, vote: restored.hardState.vote }];
    this.#acknowledged = 0;
    this.#acknowledgedHardState = 0;
    this.#snapshotAcknowledged = restored.snapshot?.index ?? 0;
  }

  check(restored: RestoredState, context: string): void {
    const snapshotIndex = restored.snapshot?.index ?? 0;
    assert.ok(this.#snapshotsTried.has(snapshotIndex), `${context}: an unknown snapshot`);
    assert.ok(
      snapshotIndex >= this.#snapshotAcknowledged,
      `${context}: snapshot ${this.#snapshotAcknowledged} was acknowledged, ${snapshotIndex} found`,
    );
    const candidates = this.#states.slice(this.#acknowledged);
    assert.ok(
      candidates.some((state) => isSame(restored, state)),
      `${context}: the log is none of the ${candidates.length} states it may be in: found ` +
        `${describe(restored)}, acknowledged ${describeState(candidates[0])}`,
    );
    const { term, vote } = restored.hardState;
    const promised = this.#hardStates.slice(this.#acknowledgedHardState);
    assert.ok(
      promised.some((state) => state.term === term && state.vote === vote),
      `${context}: hard state (${term}, ${vote}) was not among those promised`,
    );
  }
}

function isSame(restored: RestoredState, state: LogState): boolean {
  const snapshotIndex = restored.snapshot?.index ?? 0;
  const first = restored.entries[0]?.index ?? snapshotIndex + 1;
  if (first > snapshotIndex + 1) return false;
  const last = restored.entries.at(-1)?.index ?? snapshotIndex;
  if (last !== Math.max(state.base + state.entries.length, snapshotIndex)) return false;
  for (const [i, entry] of restored.entries.entries()) {
    if (entry.index !== first + i) return false;
    const expected = state.entries[entry.index - state.base - 1];
    if (entry.index > state.base && !isSameEntry(entry, expected)) return false;
  }
  return true;
}

function isSameEntry(a: Entry, b: Entry | undefined): boolean {
  if (a.encoded === undefined || b?.encoded === undefined) return false;
  return Buffer.from(a.encoded).equals(b.encoded);
}

function describe(restored: RestoredState): string {
  const ids = restored.entries.map((entry) => `${entry.index}/${entry.term}`);
  return `snapshot ${restored.snapshot?.index ?? 0} and [${ids.join(" ")}]`;
}

function describeState(state: LogState | undefined): string {
  const ids = state?.entries.map((entry) => `${entry.index}/${entry.term}`) ?? [];
  return `base ${state?.base ?? 0} and [${ids.join(" ")}]`;
}
