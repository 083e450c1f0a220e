/**
 * Virtual time. One queue of events ordered by (time, order of scheduling); nothing in a
 * simulation happens outside it, so the same seed gives the same run, event for event.
 */
export interface Scheduled {
  cancel(): void;
}

interface Event extends Scheduled {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

export class Scheduler {
  /** A binary heap. */
  readonly #heap: Event[] = [];
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
    const event: Event = {
      atMs: Math.max(atMs, this.#nowMs),
      order: this.#order++,
      run,
      cancel() {
        event.run = undefined;
      },
    };
    this.#push(event);
    return event;
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.at(this.#nowMs + delayMs, run);
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const event = this.#pop();
    if (event === undefined) return false;
    this.#nowMs = event.atMs;
    const { run } = event;
    event.run = undefined;
    if (run !== undefined) {
      this.#executed++;
      run();
    }
    return true;
  }

  /** Runs everything up to and including `untilMs`. */
  runUntil(untilMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; ) {
      this.step();
      next = this.#heap[0];
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  runFor(durationMs: number): void {
    this.runUntil(this.#nowMs + durationMs);
  }

  /** Runs until `condition` holds; false when `limitMs` of virtual time passed first. */
  runUntilTrue(condition: () => boolean, limitMs: number): boolean {
    const endMs = this.#nowMs + limitMs;
    while (!condition()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > endMs) {
        this.#nowMs = endMs;
        return condition();
      }
      this.step();
    }
    return true;
  }

  #push(event: Event): void {
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

  #pop(): Event | undefined {
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
        child++;
      }
      if (!isBefore(smallest, last)) break;
      heap[i] = smallest;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
