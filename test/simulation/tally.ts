/** How often each kind of thing really happened. */
export class Tally {
  readonly #counts = new Map<string, number>();

  count(kind: string, times = 1): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + times);
  }

  of(kind: string): number {
    return this.#counts.get(kind) ?? 0;
  }

  add(other: Tally): void {
    for (const [kind, times] of other.#counts) this.count(kind, times);
  }

  /** By name. */
  get counts(): readonly (readonly [kind: string, times: number])[] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  report(): string {
    return this.counts.map(([kind, times]) => `${kind} ${times}`).join(", ");
  }
}
