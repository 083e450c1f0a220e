/** The figures of the lab's network (labrpc.go). */
import type { SeededRandom } from "../../raft/index.ts";

export const REQUEST_WAIT_MS_MAX = 26;
/** Of requests, and of answers. */
export const LOSS = 0.1;

const LONG_SHARE = 2 / 3;
const LONG_MS_MIN = 200;
const LONG_MS_MAX = 2_200;

/** With long reordering two answers of three wait this long, drawn as the lab draws it. */
export function longDelayMs(random: SeededRandom): number {
  if (random.next() >= LONG_SHARE) return 0;
  return LONG_MS_MIN + random.next() * random.next() * (LONG_MS_MAX - LONG_MS_MIN);
}
