/**
 * Runs seeds in the tree this file stands in, until one reports a violation:
 *
 *   node --import tsx test/planted/seeds.ts '{"finder":{"kind":"swarm"},"from":1,"count":1000}'
 *
 * Prints one line of JSON: the seed and the first line of what it reported, or that all went well.
 */
import type { FaultKind } from "../simulation/faults.ts";

export type SeedFinder =
  | { readonly kind: "simulation"; readonly faults?: readonly FaultKind[] }
  | { readonly kind: "swarm" };

export interface SeedRange {
  readonly finder: SeedFinder;
  readonly from: number;
  readonly count: number;
}

export type SeedVerdict =
  | { readonly kind: "clean"; readonly seeds: number }
  | { readonly kind: "violation"; readonly seed: number; readonly message: string };

type Judge = (seed: number) => Promise<string | undefined>;

async function judgeOf(finder: SeedFinder): Promise<Judge> {
  if (finder.kind === "simulation") {
    const { simulate } = await import("../simulation/simulation.ts");
    return async (seed) => (await simulate({ seed, faults: finder.faults })).violation?.message;
  }
  const { runSeed } = await import("../../raft/testing/swarm.ts");
  return async (seed) => {
    try {
      runSeed(seed, false);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
}

async function search({ finder, from, count }: SeedRange): Promise<SeedVerdict> {
  const violationOf = await judgeOf(finder);
  for (let seed = from; seed < from + count; seed += 1) {
    const message = await violationOf(seed);
    if (message === undefined) continue;
    return { kind: "violation", seed, message: message.split("\n")[0] ?? "" };
  }
  return { kind: "clean", seeds: count };
}

const range: SeedRange = JSON.parse(process.argv[2] ?? "");
process.stdout.write(`${JSON.stringify(await search(range))}\n`);
