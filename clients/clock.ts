/**
 * Time as a port. Everything in this folder that waits or measures does it through a
 * `ClientClock`, so that a test can run a minute of retries in no time and always the same way.
 */
export interface ClientClock {
  /** Milliseconds that only ever grow; their origin means nothing. */
  now(): number;
  /** Calls `run` once after the delay, unless the returned function is called before. */
  after(delayMs: number, run: () => void): () => void;
}

export const systemClock: ClientClock = {
  now: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
