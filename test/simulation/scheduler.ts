/**
 * Virtual time. One queue of events ordered by (time, order of scheduling); nothing in a
 * simulation happens outside it, so the same seed gives the same run, event for event.
 */
export class Scheduled {
  readonly atMs: number;
  readonly order: number;
  #run: (() => void) | undefined;

  constructor(atMs: number, order: number, run: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.#run = run;
  }

  cancel(): void {
    this.#run = undefined;
  }

  /** Runs once; false when it was cancelled. */
  fire(): boolean {
    const run = this.#run;
    this.#run = undefined;
    if (run === undefined) return false;
    run();
    return true;
  }
}

export class Scheduler {
  /** A binary heap. */
  readonly #heap: Scheduled[] = [];
  #nowMs = 0;
  #order = 0;
  #executed = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many events ran. */
  get executed(): number {
    return this.#executed;
  }

  at(atMs: number, run: () => void): Scheduled {
    const event = new Scheduled(Math.max(atMs, this.#nowMs), this.#order++, run);
    this.#push(event);
    return event;
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.at(this.#nowMs + delayMs, run);
  }

  /** Runs everything up to and including `untilMs`. */
  runUntil(untilMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; ) {
      this.#step();
      next = this.#heap[0];
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Runs event after event, until one has changed what `isWaiting` says or none is left. */
  runWhile(isWaiting: () => boolean): void {
    while (isWaiting() && this.#heap.length > 0) this.#step();
  }

  runFor(durationMs: number): void {
    this.runUntil(this.#nowMs + durationMs);
  }

  #step(): void {
    const event = this.#pop();
    if (event === undefined) return;
    this.#nowMs = event.atMs;
    if (event.fire()) this.#executed += 1;
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let smallest = left;
      if (right !== undefined && isBefore(right, left)) {
        smallest = right;
        child += 1;
      }
      if (!isBefore(smallest, last)) break;
      heap[i] = smallest;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
