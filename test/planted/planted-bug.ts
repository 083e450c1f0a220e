/**
 * What a planted bug is: known mistakes of other implementations (research list of 53), each as
 * the smallest edit of our sources that makes the same mistake, and who is expected to notice it.
 *
 * The edits live here, among the tests: production code has no switches for them. An edit names a
 * text that stands exactly once in its file, so one that no longer fits fails loudly and is to be
 * written anew, not dropped.
 */
import type { FaultKind } from "../simulation/faults.ts";

export interface Edit {
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** Whole replicas, from one seed each (test/simulation). */
export interface SimulationFinder {
  readonly kind: "simulation";
  /** In place of those each seed draws, where they are too rare together. */
  readonly faults?: readonly FaultKind[];
}

/** The core alone, with membership changes and transfers (raft/testing/swarm.ts). */
export interface SwarmFinder {
  readonly kind: "swarm";
}

/** A deterministic test file of the normal suite. */
export interface TestFinder {
  readonly kind: "test";
  readonly file: string;
}

export type Finder = SimulationFinder | SwarmFinder | TestFinder;

export interface FindableBug {
  /** In the list; a line of it that names several mistakes has several plants. */
  readonly number: number;
  readonly title: string;
  readonly edits: readonly [Edit, ...Edit[]];
  /** Asked in this order until one finds it. */
  readonly finders: readonly [Finder, ...Finder[]];
}

/** A bug that this design leaves no place for. */
export interface ImpossibleBug {
  readonly number: number;
  readonly title: string;
  readonly reason: string;
}

export type PlantedBug = FindableBug | ImpossibleBug;

export const SWARM: SwarmFinder = { kind: "swarm" };

export function simulation(...faults: readonly FaultKind[]): SimulationFinder {
  return faults.length === 0 ? { kind: "simulation" } : { kind: "simulation", faults };
}

export function testFile(file: string): TestFinder {
  return { kind: "test", file };
}
