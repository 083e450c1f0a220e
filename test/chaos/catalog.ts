/**
 * The kinds of faults by name, and which of them may happen together: one at a time to the nodes
 * or their disks, and one at a time to the network.
 */
import type { SeededRandom } from "../../raft/index.ts";
import { damage, fillDisk, shorten } from "./disk-faults.ts";
import { type DrawFault, pick } from "./fault.ts";
import { cut, flap, halfOpen, oneWay, slow, trickle, truncate } from "./link-faults.ts";
import {
  freezeLeader,
  freezeOne,
  killAll,
  killLeader,
  killOne,
  restartStorm,
  stopOne,
} from "./node-faults.ts";

export interface Kind {
  readonly name: string;
  readonly draw: DrawFault;
  /** What it happens to; "alone": nothing else may happen at the same time. */
  readonly lane: "node" | "link" | "alone";
}

export const CATALOG: readonly Kind[] = [
  { name: "kill", draw: killOne, lane: "node" },
  { name: "kill-leader", draw: killLeader, lane: "node" },
  { name: "kill-all", draw: killAll, lane: "node" },
  { name: "stop", draw: stopOne, lane: "node" },
  { name: "freeze", draw: freezeOne, lane: "node" },
  { name: "freeze-leader", draw: freezeLeader, lane: "node" },
  { name: "restart-storm", draw: restartStorm, lane: "node" },
  { name: "disk-full", draw: fillDisk, lane: "node" },
  { name: "damage", draw: damage, lane: "node" },
  { name: "shorten", draw: shorten, lane: "alone" },
  { name: "cut", draw: cut, lane: "link" },
  { name: "half-open", draw: halfOpen, lane: "link" },
  { name: "one-way", draw: oneWay, lane: "link" },
  { name: "slow", draw: slow, lane: "link" },
  { name: "trickle", draw: trickle, lane: "link" },
  { name: "truncate", draw: truncate, lane: "link" },
  { name: "flap", draw: flap, lane: "link" },
];

/** Undefined when a name is nobody's. */
export function kindsNamed(names: readonly string[]): readonly Kind[] | undefined {
  const kinds = CATALOG.filter(({ name }) => names.includes(name));
  return kinds.length === new Set(names).size ? kinds : undefined;
}

/** What happens next: one fault, or one to the nodes and one to the network together. */
export function drawKinds(random: SeededRandom, kinds: readonly Kind[]): readonly Kind[] {
  const first = pick(random, kinds);
  const wantsTwo = random.below(3) === 0;
  const second = pick(random, kinds);
  const lanes = new Set([first.lane, second.lane]);
  const mayMeet = lanes.size === 2 && !lanes.has("alone");
  return wantsTwo && mayMeet ? [first, second] : [first];
}
