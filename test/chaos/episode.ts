/**
 * One episode: faults begin, last, and end; then the cluster must come back by itself. Owns what
 * "back" means and how long it may take; judges no answers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NeverHappenedError, until } from "../cluster-process.ts";
import type { Fault } from "./fault.ts";
import type { Pulse } from "./pulse.ts";
import type { World } from "./world.ts";

/** After that long without faults something is wrong, on the slowest machine. */
const RECOVERY_LIMIT_MS = 30_000;
const ASK_TIMEOUT_MS = 1_000;

export interface Episode {
  readonly number: number;
  readonly kinds: readonly string[];
  readonly texts: readonly string[];
  readonly lastedMs: number;
  /** The longest time without an acknowledged write since the episode before. */
  readonly silenceMs: number;
  /** From the end of the faults to the acknowledgement of a write that began after it. */
  readonly writeAfterMs: number;
  /** From the end of the faults until every node says it is ready. */
  readonly readyAfterMs: number;
  /** For each fault, how often it really did something. */
  readonly fired: readonly number[];
}

export interface NamedFault {
  readonly kind: string;
  readonly fault: Fault;
}

/** Rejects with a `NeverHappenedError` when the cluster does not come back. */
export async function runEpisode(
  world: World,
  pulse: Pulse,
  number: number,
  faults: readonly NamedFault[],
): Promise<Episode> {
  const { cluster } = world;
  const begunAtMs = performance.now();
  await Promise.all(faults.map(({ fault }) => suffer(fault)));
  world.network.heal();
  const endedAtMs = performance.now();
  const writeAtMs = await nextWrite(pulse, endedAtMs);
  const patience = { what: "every node is ready", limitMs: RECOVERY_LIMIT_MS };
  await until(patience, async () => {
    cluster.assertAlive();
    const ready = await Promise.all(cluster.endpoints.map(isReady));
    return ready.every(Boolean) ? true : undefined;
  });
  return {
    number,
    kinds: faults.map(({ kind }) => kind),
    texts: faults.map(({ fault }) => fault.text),
    lastedMs: endedAtMs - begunAtMs,
    silenceMs: pulse.takeLap().lastedMs,
    writeAfterMs: writeAtMs - endedAtMs,
    readyAfterMs: performance.now() - endedAtMs,
    fired: faults.map(({ fault }) => fault.fired()),
  };
}

async function suffer(fault: Fault): Promise<void> {
  const begunAtMs = performance.now();
  await fault.begin();
  await sleep(Math.max(0, begunAtMs + fault.lastsMs - performance.now()));
  await fault.end();
}

async function nextWrite(pulse: Pulse, afterMs: number): Promise<number> {
  const tooLong = new AbortController();
  const limit = sleep(RECOVERY_LIMIT_MS, undefined, { signal: tooLong.signal }).then(() => {
    const what = `a write was acknowledged within ${RECOVERY_LIMIT_MS} ms after the faults`;
    throw new NeverHappenedError(`this never happened: ${what}`);
  });
  try {
    return await Promise.race([pulse.next(afterMs), limit]);
  } finally {
    limit.catch(() => undefined);
    tooLong.abort();
  }
}

async function isReady(client: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    const response = await fetch(`http://${client}/readyz`, { signal });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
