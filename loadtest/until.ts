/**
 * Waiting for something to become true in other processes: by asking again, up to a deadline,
 * never by sleeping and hoping.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** What was waited for did not happen in time. */
export class NeverHappenedError extends Error {
  override readonly name = "NeverHappenedError";
  readonly code = "never-happened";
}

export interface Patience {
  /** What is waited for, to be read after "this never happened: ". */
  readonly what: string;
  readonly limitMs: number;
  readonly everyMs?: number;
}

const EVERY_MS = 20;

/** The first answer of `probe` that is not undefined. Errors of `probe` are not swallowed. */
export async function until<Found>(
  { what, limitMs, everyMs = EVERY_MS }: Patience,
  probe: () => Promise<Found | undefined> | Found | undefined,
): Promise<Found> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > deadline) {
      throw new NeverHappenedError(`this never happened in ${limitMs} ms: ${what}`);
    }
    await sleep(everyMs);
  }
}
