/**
 * Acknowledged writes in time: how long nobody could write, and when somebody could again. Knows
 * no clients; it is told of each acknowledgement.
 */

export interface Silence {
  readonly fromMs: number;
  readonly lastedMs: number;
}

interface Waiter {
  readonly begunAfterMs: number;
  readonly resolve: (atMs: number) => void;
}

const NO_SILENCE: Silence = { fromMs: 0, lastedMs: 0 };

export class Pulse {
  count = 0;
  #longest = NO_SILENCE;
  #longestOfLap = NO_SILENCE;
  #lastAtMs: number | undefined;
  #waiters: readonly Waiter[] = [];

  get longest(): Silence {
    return this.#longest;
  }

  /** The longest silence since this was asked before. */
  takeLap(): Silence {
    const lap = this.#longestOfLap;
    this.#longestOfLap = NO_SILENCE;
    return lap;
  }

  acknowledged(begunAtMs: number, atMs: number = performance.now()): void {
    this.count += 1;
    if (this.#lastAtMs !== undefined) {
      const silence = { fromMs: this.#lastAtMs, lastedMs: atMs - this.#lastAtMs };
      if (silence.lastedMs > this.#longest.lastedMs) this.#longest = silence;
      if (silence.lastedMs > this.#longestOfLap.lastedMs) this.#longestOfLap = silence;
    }
    this.#lastAtMs = atMs;
    const met = this.#waiters.filter(({ begunAfterMs }) => begunAtMs >= begunAfterMs);
    if (met.length === 0) return;
    this.#waiters = this.#waiters.filter(({ begunAfterMs }) => begunAtMs < begunAfterMs);
    for (const { resolve } of met) resolve(atMs);
  }

  /** When the next write that begins after `begunAfterMs` is acknowledged. */
  next(begunAfterMs: number): Promise<number> {
    return new Promise((resolve) => {
      this.#waiters = [...this.#waiters, { begunAfterMs, resolve }];
    });
  }
}
