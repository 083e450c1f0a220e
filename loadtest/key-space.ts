/**
 * Which key a request asks for. Seeded, so that a run can be repeated; the seed changes from round
 * to round, so that rounds do not repeat each other.
 */
import type { Scenario } from "./scenario.ts";

/** Mulberry32, a fraction from 0 up to, not including, 1. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** All keys have the same length, so that answers have, too. */
export function keyName(index: number): string {
  return `k${String(index).padStart(7, "0")}`;
}

/** The exponent of YCSB: of 100,000 keys the first hundred get over a third of the requests. */
const SKEW = 0.99;

/** Draws key indexes below `count`. */
export function keyChooser(
  keys: Scenario["keys"],
  count: number,
  random: () => number,
): () => number {
  if (keys === "uniform") return () => Math.floor(random() * count);
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let index = 0; index < count; index += 1) {
    sum += 1 / (index + 1) ** SKEW;
    cumulative[index] = sum;
  }
  return () => firstAbove(cumulative, random() * sum);
}

function firstAbove(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
