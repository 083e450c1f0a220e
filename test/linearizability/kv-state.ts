/**
 * What is known of the store at one point of one order: records as this store keeps them, with
 * gaps. A write whose answer was lost got a revision that nobody has told us; it stays open, within
 * bounds, until a later answer names it. So a state stands for all stores that fit.
 *
 * - States are immutable; a draft makes the next one.
 * - Versions are always known: they follow from the order alone.
 */
import type { ObservedRecord } from "./history.ts";
import type { RevisionKnowledge } from "./revision-knowledge.ts";

export interface KeyState {
  readonly value: string;
  readonly version: number;
  /** Undefined when nobody has named it. */
  readonly createRevision: number | undefined;
  /** Exact, or the least it can be. */
  readonly revision: number;
  readonly isExact: boolean;
}

export interface KvState {
  /** By slot; undefined where the key is absent. */
  readonly keys: readonly (KeyState | undefined)[];
  /** The least revision the store can have. */
  readonly revisionMin: number;
}

/** The key as it must have been if this record (null: none) was seen; undefined if it cannot be. */
export function seenAs(key: KeyState, record: ObservedRecord): KeyState | undefined {
  if (record.value !== key.value) return undefined;
  if (record.version !== undefined && record.version !== key.version) return undefined;
  const { createRevision = record.createRevision } = key;
  if (record.createRevision !== undefined && record.createRevision !== createRevision) {
    return undefined;
  }
  const pinned = record.revision === undefined ? key : withRevision(key, record.revision);
  if (pinned === undefined || createRevision === key.createRevision) return pinned;
  return { ...pinned, createRevision };
}

export function withRevision(key: KeyState, revision: number): KeyState | undefined {
  if (key.isExact) return revision === key.revision ? key : undefined;
  return revision < key.revision ? undefined : { ...key, revision, isExact: true };
}

/** One operation at work on a state. Every change in it makes the same revision. */
export class Draft {
  readonly #state: KvState;
  readonly #revisions: RevisionKnowledge;
  /** The store's revision after the operation, where it was told. */
  readonly #revision: number | undefined;
  /** The least revision that the store had before the operation. */
  #revisionMin: number;
  #keys: (KeyState | undefined)[] | undefined;
  #hasChanged = false;

  constructor(state: KvState, revisions: RevisionKnowledge, revision: number | undefined) {
    this.#state = state;
    this.#revisions = revisions;
    this.#revision = revision;
    this.#revisionMin = state.revisionMin;
  }

  get(slot: number): KeyState | undefined {
    return (this.#keys ?? this.#state.keys)[slot];
  }

  put(slot: number, value: string): KeyState {
    const before = this.get(slot);
    const written = {
      value,
      version: before === undefined ? 1 : before.version + 1,
      createRevision: before === undefined ? this.#revision : before.createRevision,
      revision: this.#changeRevision(),
      isExact: this.#revision !== undefined,
    };
    this.#hasChanged = true;
    this.#set(slot, written);
    return written;
  }

  /** Whether there was anything to delete. */
  delete(slot: number): boolean {
    if (this.get(slot) === undefined) return false;
    this.#hasChanged = true;
    this.#set(slot, undefined);
    return true;
  }

  /** Takes in what was seen; false when it cannot be. */
  observe(slot: number, record: ObservedRecord | null): boolean {
    const key = this.get(slot);
    if (key === undefined || record === null) return key === undefined && record === null;
    return this.#learn(slot, key, seenAs(key, record));
  }

  observeRevision(slot: number, revision: number): boolean {
    const key = this.get(slot);
    return key !== undefined && this.#learn(slot, key, withRevision(key, revision));
  }

  /** The next state; undefined when the store's revision cannot be what it would have to be. */
  finish(): KvState | undefined {
    const revisionMin = this.#hasChanged ? this.#changeRevision() : this.#revisionMin;
    if (revisionMin === Number.POSITIVE_INFINITY) return undefined;
    if (this.#revision !== undefined) {
      // A change makes the next revision, so just before it the store was at the one below.
      const before = this.#hasChanged ? this.#revision - 1 : this.#revision;
      if (!this.#revisions.canBe(before, this.#revisionMin)) return undefined;
    }
    return this.#keys === undefined ? this.#state : { keys: this.#keys, revisionMin };
  }

  #changeRevision(): number {
    return this.#revision ?? this.#revisions.unnamedAfter(this.#revisionMin);
  }

  #learn(slot: number, before: KeyState, after: KeyState | undefined): boolean {
    if (after === undefined) return false;
    if (after === before) return true;
    this.#set(slot, after);
    // What is there was made before now; what this operation makes has its revision checked later.
    if (!this.#hasChanged) this.#revisionMin = Math.max(this.#revisionMin, after.revision);
    return true;
  }

  #set(slot: number, key: KeyState | undefined): void {
    this.#keys ??= [...this.#state.keys];
    this.#keys[slot] = key;
  }
}
