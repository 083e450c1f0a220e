/**
 * Virtual time. One queue of events ordered by (time, order of scheduling); nothing in a
 * simulation happens outside it, so the same seed gives the same run, event for event.
 *
 * Code behind promises (the client library) runs between events: an event that woke some says so
 * with `wake`, and `play` lets it run until it waits again before the next event fires.
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
  #isAwake = false;
  #failure: { readonly error: unknown } | undefined;

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

  /** An event has settled a promise: whoever waits for it goes on before the next event. */
  wake(): void {
    this.#isAwake = true;
  }

  /** Code behind promises has found something wrong, and has no caller to throw it at. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.wake();
  }

  /** Like `runUntil`, for events that wake code behind promises. */
  async playUntil(untilMs: number): Promise<void> {
    for (;;) {
      this.#runUntilAwake(untilMs);
      if (!this.#isAwake) break;
      this.#isAwake = false;
      await everyPromise();
      if (this.#failure !== undefined) throw this.#failure.error;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  playFor(durationMs: number): Promise<void> {
    return this.playUntil(this.#nowMs + durationMs);
  }

  /** Runs event after event, until one has changed what `isWaiting` says or none is left. */
  runWhile(isWaiting: () => boolean): void {
    while (isWaiting() && this.#heap.length > 0) this.#step();
  }

  runFor(durationMs: number): void {
    this.runUntil(this.#nowMs + durationMs);
  }

  #runUntilAwake(untilMs: number): void {
    while (!this.#isAwake) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) return;
      this.#step();
    }
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

/** Seen from a promise, a tick comes when no other promise can go on. */
function everyPromise(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
