/**
 * What a fault is: something that begins, lasts, and ends. The kinds are in node-faults.ts and
 * link-faults.ts.
 */
import type { SeededRandom } from "../../raft/index.ts";
import type { Watch } from "./watch.ts";
import type { World } from "./world.ts";

export interface Fault {
  /** What it does, for people. */
  readonly text: string;
  readonly lastsMs: number;
  begin(): Promise<void>;
  /** Takes everything back. */
  end(): Promise<void>;
  /** How often it really did something; a fault that hit nothing has proven nothing. */
  fired(): number;
}

export interface FaultContext {
  readonly world: World;
  readonly watch: Watch;
  readonly random: SeededRandom;
  /** What must not have happened. */
  violation(text: string): void;
}

export type DrawFault = (context: FaultContext) => Fault;

/** From `min` to `max`, the short ones as often as the long ones at every scale. */
export function drawMs(random: SeededRandom, min: number, max: number): number {
  return Math.round(min * (max / min) ** random.next());
}

export function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("there is nothing to pick from");
  return item;
}

export function shuffled<Item>(random: SeededRandom, items: readonly Item[]): readonly Item[] {
  const rest = [...items];
  const drawn: Item[] = [];
  while (rest.length > 0) drawn.push(...rest.splice(random.below(rest.length), 1));
  return drawn;
}
