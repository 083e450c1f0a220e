/**
 * One process's view of virtual time. Its rate may drift from that of others; when the process
 * stalls, what is due waits and then fires once; when it ends, nothing of it fires again.
 */
import type { Clock, Timer } from "../../raft/index.ts";
import type { Scheduled, Scheduler } from "./scheduler.ts";

export class SimulatedClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #rate: number;
  readonly #originMs: number;
  #stalledUntilMs = 0;
  #isEnded = false;

  /** `rate` is how many of its own milliseconds pass in one of virtual time. */
  constructor(scheduler: Scheduler, rate = 1, originMs = 0) {
    this.#scheduler = scheduler;
    this.#rate = rate;
    this.#originMs = originMs;
  }

  now(): number {
    return this.#originMs + this.#scheduler.nowMs * this.#rate;
  }

  every(intervalMs: number, run: () => void): Timer {
    let isCancelled = false;
    let scheduled = this.#schedule(intervalMs, fire);
    const clock = this;
    function fire(): void {
      run();
      if (!isCancelled) scheduled = clock.#schedule(intervalMs, fire);
    }
    return {
      cancel: () => {
        isCancelled = true;
        scheduled.cancel();
      },
    };
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#schedule(delayMs, run);
  }

  soon(run: () => void): void {
    this.#schedule(0, run);
  }

  /** Nothing of this process runs before `untilMs` of virtual time. */
  stall(untilMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, untilMs);
  }

  end(): void {
    this.#isEnded = true;
  }

  /** Runs `deliver` as soon as the process is awake, unless it has ended by then. */
  deliver(deliver: () => void): void {
    if (this.#isEnded) return;
    if (this.#scheduler.nowMs >= this.#stalledUntilMs) deliver();
    else this.#scheduler.at(this.#stalledUntilMs, () => this.deliver(deliver));
  }

  #schedule(delayMs: number, run: () => void): Scheduled {
    let isCancelled = false;
    const scheduled = this.#scheduler.after(delayMs / this.#rate, () => {
      this.deliver(() => {
        if (!isCancelled) run();
      });
    });
    return {
      cancel: () => {
        isCancelled = true;
        scheduled.cancel();
      },
    };
  }
}
