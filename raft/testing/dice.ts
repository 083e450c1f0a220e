/** Chance, in the two forms a run needs it. */
import type { SeededRandom } from "../random.ts";
import { ViolationError } from "./history.ts";

export function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  for (const item of items.slice(random.below(items.length))) return item;
  throw new ViolationError("there is something to pick from");
}

export function chance(random: SeededRandom, probability: number): boolean {
  return random.next() < probability;
}
