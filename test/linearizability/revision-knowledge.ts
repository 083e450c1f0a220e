/**
 * What the answers as a whole say about the store's revision. Each change makes the next one, and
 * most answers name theirs: so the order of the changes that were answered is known, and a change
 * that was not answered can only have made a revision that nobody has named. That leaves a search
 * little choice; without it, many lost answers on a key are more than a search can try.
 */
export class RevisionHoles {
  /** For a named revision, the first after it that is not named. */
  readonly #ends = new Map<number, number>();

  /** All revisions that answers say they made. */
  constructor(named: readonly number[]) {
    for (const revision of named.toSorted((a, b) => b - a)) {
      this.#ends.set(revision, this.after(revision));
    }
  }

  /** The first hole above this revision. */
  after(revision: number): number {
    return this.#ends.get(revision + 1) ?? revision + 1;
  }
}

/** What is known where one part of the history is checked. */
export class RevisionKnowledge {
  readonly #holes: RevisionHoles;
  readonly #named: readonly number[];

  /** The holes of the whole history, and what this part's answers say they made. */
  constructor(holes: RevisionHoles, named: readonly number[]) {
    this.#holes = holes;
    this.#named = named.toSorted((a, b) => a - b);
  }

  /**
   * The least revision that an unanswered change can make when this part's newest made `newest` or
   * more. Infinity when one that is named would have to come before it, and has not.
   */
  unnamedAfter(newest: number): number {
    const hole = this.#holes.after(newest);
    return this.#newestNamedUpTo(hole) > newest ? Number.POSITIVE_INFINITY : hole;
  }

  /** Whether the store can be at `revision` when this part's newest made `newest` or more. */
  canBe(revision: number, newest: number): boolean {
    return newest <= revision && newest >= this.#newestNamedUpTo(revision);
  }

  #newestNamedUpTo(revision: number): number {
    let low = 0;
    for (let high = this.#named.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if ((this.#named[middle] ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#named[low - 1] ?? 0;
  }
}
