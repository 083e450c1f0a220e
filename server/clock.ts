/**
 * The real clock: the only timers and the only readings of time on the paths of `server/`. It
 * knows nothing of what it wakes; a simulator puts a clock of its own in its place.
 *
 * - `now` is monotonic and unrelated to the wall clock, which enters the process in one place only
 *   (`wallTimeMs`, the first stamp of an empty log).
 * - A turn that ran late makes `every` fire once, not once per missed interval: Node re-arms an
 *   interval after it has run.
 */
import type { Clock, Timer } from "../raft/index.ts";

export class SystemClock implements Clock {
  now(): number {
    return performance.now();
  }

  every(intervalMs: number, run: () => void): Timer {
    const handle = setInterval(run, intervalMs);
    return { cancel: () => clearInterval(handle) };
  }

  after(delayMs: number, run: () => void): Timer {
    const handle = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(handle) };
  }

  /** The check phase comes after all sockets that are readable now were read. */
  soon(run: () => void): void {
    setImmediate(run);
  }
}

/** Milliseconds since 1970 by the operator's clock; it may jump, so nothing is timed by it. */
export function wallTimeMs(): number {
  return Date.now();
}
