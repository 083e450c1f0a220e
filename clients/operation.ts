/**
 * One call of the user, over all its tries: its deadline, its AbortSignal, and whether a try may
 * have been applied. It knows nothing of HTTP.
 *
 * Invariant: once in doubt, always in doubt. Only a definite answer, which ends the operation,
 * settles what an earlier try did.
 */
import type { ClientClock } from "./clock.ts";
import type { Outcome } from "./contract.ts";
import { AbortedError, type KvClientError, TimeoutError } from "./errors.ts";

export class Operation {
  readonly signal: AbortSignal | undefined;
  /** How many delays there have been; the backoff grows with it. */
  retries = 0;
  /** What the last try ran into, for the message of a timeout. */
  lastFailure: KvClientError | undefined = undefined;
  readonly #clock: ClientClock;
  readonly #timeoutMs: number;
  readonly #deadline: number;
  #isInDoubt = false;
  #awaited: Operation | undefined = undefined;

  constructor(clock: ClientClock, timeoutMs: number, signal?: AbortSignal | undefined) {
    this.signal = signal;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#deadline = clock.now() + timeoutMs;
  }

  get outcome(): Outcome {
    return this.#isInDoubt ? "unknown" : "not_applied";
  }

  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /** A try may have been applied. */
  doubt(): void {
    this.#isInDoubt = true;
  }

  remainingMs(): number {
    return this.#deadline - this.#clock.now();
  }

  /** Throws when the caller has given up or the deadline has passed. */
  check(): void {
    if (this.signal?.aborted) throw this.abortedError();
    if (this.remainingMs() <= 0) throw this.timeoutError();
  }

  timeoutError(): TimeoutError {
    const last = this.lastFailure ?? this.#awaited?.lastFailure;
    const why = last === undefined ? "" : `: ${last.message}`;
    return new TimeoutError(`no answer within ${this.#timeoutMs} ms${why}`, {
      outcome: this.outcome,
      status: last?.status,
      leader: last?.leader,
      cause: last,
    });
  }

  abortedError(): AbortedError {
    const cause: unknown = this.signal?.reason;
    return new AbortedError("aborted by the caller", { outcome: this.outcome, cause });
  }

  /**
   * Waits before the next try. A delay that would outlast the deadline is not waited for: the
   * answer to come would be too late for anyone.
   */
  async pause(delayMs: number): Promise<void> {
    this.check();
    if (delayMs >= this.remainingMs()) throw this.timeoutError();
    this.retries += 1;
    await new Promise<void>((resolve, reject) => {
      const stop = this.onEnd((error) => {
        cancel();
        reject(error);
      });
      const cancel = this.#clock.after(delayMs, () => {
        stop();
        resolve();
      });
    });
  }

  /** Waits for what another operation is to bring, but no longer than this one lasts. */
  wait<Value>(shared: Promise<Value>, awaited: Operation): Promise<Value> {
    this.#awaited = awaited;
    return new Promise((resolve, reject) => {
      const stop = this.onEnd(reject);
      shared.then(
        (value) => {
          stop();
          resolve(value);
        },
        (error: unknown) => {
          stop();
          reject(error);
        },
      );
    });
  }

  /** Calls `run` once when the deadline passes or the caller aborts; returns how to stop that. */
  onEnd(run: (error: KvClientError) => void): () => void {
    const { signal } = this;
    const end = (error: KvClientError) => {
      stop();
      run(error);
    };
    const abort = () => end(this.abortedError());
    const cancel = this.#clock.after(this.remainingMs(), () => end(this.timeoutError()));
    const stop = () => {
      cancel();
      signal?.removeEventListener("abort", abort);
    };
    signal?.addEventListener("abort", abort, { once: true });
    return stop;
  }
}
