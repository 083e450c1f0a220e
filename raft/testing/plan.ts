/** What may go wrong in one run, and what is asked meanwhile. */
import type { SeededRandom } from "../random.ts";
import { chance, pick } from "./dice.ts";
import type { NetworkFaults } from "./network.ts";

export type Fault =
  | "split"
  | "isolate"
  | "one-way"
  | "link"
  | "crash"
  | "crash all"
  | "stall"
  | "slow disk"
  | "lost tail";

const FAULTS: readonly Fault[] = [
  "split",
  "isolate",
  "one-way",
  "link",
  "crash",
  "crash all",
  "stall",
  "slow disk",
  "lost tail",
];

export interface Plan {
  readonly network: NetworkFaults;
  readonly faults: readonly Fault[];
  readonly faultEveryMs: number;
  readonly requestEveryMs: number;
  readonly bigCommands: boolean;
  readonly membership: boolean;
  readonly transfers: boolean;
}

export function drawPlan(random: SeededRandom): Plan {
  const network: NetworkFaults = {
    drop: pick(random, [0, 0, 0.02, 0.1, 0.3]),
    duplicate: pick(random, [0, 0, 0.05, 0.3]),
    delay: pick(random, [0, 0, 0.05, 0.3]),
    delayMsMax: pick(random, [30, 200, 1000]),
    reorder: chance(random, 0.4),
  };
  return {
    network,
    faults: FAULTS.filter(() => chance(random, 0.35)),
    faultEveryMs: pick(random, [100, 250, 600]),
    requestEveryMs: pick(random, [10, 25, 80]),
    bigCommands: chance(random, 0.3),
    membership: chance(random, 0.4),
    transfers: chance(random, 0.3),
  };
}
