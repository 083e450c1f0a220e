/** Virtual time: stands still while anything can go on without it, then jumps to the next timer. */
import type { ClientClock } from "../clock.ts";

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class FakeClock implements ClientClock {
  #now = 0;
  /** In order of creation, which decides between timers of the same moment. */
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, delayMs), run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets everything happen that needs no time. */
  async idle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Runs until the promise is settled, however long that takes. */
  async settle<Value>(promise: Promise<Value>): Promise<Value> {
    let isSettled = false;
    const done = () => {
      isSettled = true;
    };
    promise.then(done, done);
    for (;;) {
      await this.idle();
      if (isSettled) return promise;
      if (!this.#fireNext()) throw new Error("nothing is left that could settle the promise");
    }
  }

  #fireNext(): boolean {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (next === undefined || timer.at < next.at) next = timer;
    }
    if (next === undefined) return false;
    this.#timers.delete(next);
    this.#now = Math.max(this.#now, next.at);
    next.run();
    return true;
  }
}
