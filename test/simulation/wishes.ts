/** What a client asks for, whichever way it asks. */
import type { SeededRandom } from "../../raft/index.ts";
import type { Condition } from "../../server/kv/index.ts";
import { pick } from "./chance.ts";

export const NO_CONDITION: Condition = { kind: "none" };

/** A revision is one that may just be, or just have been, right. */
export function drawCondition(random: SeededRandom, seenRevision: number): Condition {
  const revision = Math.max(1, seenRevision - random.below(3));
  return pick<Condition>(random, [
    NO_CONDITION,
    NO_CONDITION,
    NO_CONDITION,
    { kind: "exists" },
    { kind: "absent" },
    { kind: "revision", revision },
  ]);
}

/** The `count`th value of a client: no two are equal. */
export function drawValue(
  random: SeededRandom,
  client: number,
  count: number,
  bytesMax: number,
): string {
  return `${client}/${count} `.padEnd(random.below(bytesMax + 1), ".");
}
