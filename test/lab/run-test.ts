/** One test in one world, and what the lab's table says of it. */
import { Lab } from "./lab.ts";
import type { LabTest } from "./lab-test.ts";
import { ProcessWorld } from "./processes/process-world.ts";
import { VirtualWorld } from "./virtual/virtual-world.ts";

export interface LabResult {
  readonly test: LabTest;
  readonly seed: number;
  readonly failure: Error | undefined;
  /** In the world's own time. */
  readonly seconds: number;
  readonly requests: number;
  readonly operations: number;
}

export interface VirtualResult extends LabResult {
  readonly hash: string;
  readonly lines: readonly string[];
}

/** The lab's own limit for every test. */
export const REAL_MS_MAX = 120_000;

export class TooLongError extends Error {
  override readonly name = "TooLongError";
}

/** The seed decides everything: two runs are the same, event for event. */
export async function runVirtual(
  test: LabTest,
  seed: number,
  keepsLines = false,
): Promise<VirtualResult> {
  const world = new VirtualWorld(test, seed, keepsLines);
  const lab = new Lab(world, test.keys);
  const failure = await failureOf(world.drive(() => test.run(lab)));
  const { requests } = await world.traffic();
  const { hash, lines } = world.cluster.trace;
  const seconds = world.nowMs() / 1_000;
  return { test, seed, failure, seconds, requests, operations: lab.operations, hash, lines };
}

/** The seed decides what the script and the network do; the rest is the machine's business. */
export async function runOnProcesses(test: LabTest, seed: number): Promise<LabResult> {
  const world = await ProcessWorld.start(test, seed);
  const lab = new Lab(world, test.keys);
  const begunMs = world.nowMs();
  const limit = new AbortController();
  const tooLong = world.sleep(REAL_MS_MAX, limit.signal).then(() => {
    throw new TooLongError(`the test took longer than ${REAL_MS_MAX / 1_000} s`);
  });
  tooLong.catch(() => undefined);
  const failure = await failureOf(
    Promise.race([test.run(lab), tooLong]).then(() => world.assertAgreement()),
  );
  limit.abort();
  const seconds = (world.nowMs() - begunMs) / 1_000;
  const { requests } = await world.traffic();
  await world.end();
  return { test, seed, failure, seconds, requests, operations: lab.operations };
}

async function failureOf(run: Promise<void>): Promise<Error | undefined> {
  try {
    await run;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** The command that shows a run again. */
export function replayCommand({ test, seed }: LabResult, world: "virtual" | "processes"): string {
  const flags = world === "virtual" ? "--trace" : "--processes";
  return `npm run lab -- --only ${test.name} --seed ${seed} ${flags}`;
}
