/** How often each kind of fault and event really happened: one that never fires tests nothing. */
export class Coverage {
  readonly counts = new Map<string, number>();

  count(kind: string, times = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + times);
  }

  add(other: Coverage): void {
    for (const [kind, times] of other.counts) this.count(kind, times);
  }

  report(): string {
    const kinds = [...this.counts].sort(([one], [other]) => (one < other ? -1 : 1));
    return kinds.map(([kind, times]) => `${kind} ${times}`).join(", ");
  }
}
