/** Seeded chance, one stream for each purpose, so that a new fault shifts no old one. */
import { SeededRandom } from "../../raft/index.ts";

export function fork(seed: number, purpose: string): SeededRandom {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  for (let at = 0; at < purpose.length; at += 1) {
    mixed = Math.imul(mixed ^ purpose.charCodeAt(at), 0x01000193) >>> 0;
  }
  return new SeededRandom(mixed ^ (mixed >>> 15));
}

export function chance(random: SeededRandom, probability: number): boolean {
  return probability > 0 && random.next() < probability;
}

export function pick<Item>(random: SeededRandom, items: readonly [Item, ...Item[]]): Item {
  return items[random.below(items.length)] ?? items[0];
}

/** Undefined when there is nothing to pick from. */
export function pickAny<Item>(random: SeededRandom, items: readonly Item[]): Item | undefined {
  return items[random.below(items.length)];
}

export function between(random: SeededRandom, min: number, max: number): number {
  return min + random.next() * (max - min);
}

/** Waiting times of events that know nothing of each other. */
export function exponential(random: SeededRandom, mean: number): number {
  return -mean * Math.log(1 - random.next());
}
