/**
 * What happens to disks: full for a while, or damaged while their node is down. Full disks need a
 * small one that may be filled (ram-disk.ts); damage is done to no more nodes than the others can
 * do without, and a damaged node has to come back by itself.
 */
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { SeededRandom } from "../../raft/index.ts";
import { type Cluster, PATIENCE_MS, until } from "../cluster-process.ts";
import { type DrawFault, drawMs, type Fault, type FaultContext, pick, shuffled } from "./fault.ts";
import { revive } from "./node-faults.ts";

const FULL_MS = { min: 500, max: 6000 };
const NO_ROOM = "no room for the log";

/** Sometimes the node is killed and started while there is no space at all. */
export const fillDisk: DrawFault = ({ world, random, violation }) => {
  const { cluster } = world;
  const [id, disk] = pick(random, [...world.smallDisks]);
  const restarts = random.below(3) === 0;
  const lastsMs = drawMs(random, FULL_MS.min, FULL_MS.max);
  let before = 0;
  return {
    text: `fill the disk of node ${id}${restarts ? ", and kill it then" : ""}`,
    lastsMs,
    begin: async () => {
      before = world.linesWith(NO_ROOM);
      disk.fill();
      if (!restarts) return;
      await sleep(lastsMs / 2);
      await cluster.end(id, "SIGKILL");
      const refusal = await startWhileFull(cluster, id);
      if (refusal !== undefined && !refusal.includes("ENOSPC")) violation(refusal);
    },
    end: async () => {
      disk.free();
      revive(cluster, [id]);
    },
    fired: () => world.linesWith(NO_ROOM) - before,
  };
};

/**
 * A start needs a new log file. Where even the space kept for that is used up, a node says so and
 * ends, and starts when there is space: then what it said is returned.
 */
export async function startWhileFull(cluster: Cluster, id: number): Promise<string | undefined> {
  const service = cluster.start(id);
  const what = `node ${id} serves or refuses to start`;
  const hasEnded = await until({ what, limitMs: PATIENCE_MS }, async () => {
    if (!service.isRunning) return true;
    return (await cluster.status(id)) === undefined ? undefined : false;
  });
  if (!hasEnded) return undefined;
  await cluster.ends(id);
  return service.lastWords();
}

const SEGMENT = /^wal-\d+\.log$/u;
const SNAPSHOT = /^snapshot-.*$/u;

/**
 * What was durable goes bad while its node is down. The peers of those nodes are well, so whatever
 * else happens, what was acknowledged is intact on somebody who takes part in every majority.
 */
export const damage: DrawFault = (context) => {
  const { world, random } = context;
  const ids = world.cluster.nodes.map(({ id }) => id);
  const count = 1 + random.below(Math.floor((ids.length - 1) / 2));
  return spoil(context, shuffled(random, ids).slice(0, count), pick(random, DEEDS));
};

/**
 * A log file without its end may look like a write that a crash interrupted, which is cut. So this
 * happens alone: what was lost comes back before anything else happens.
 */
export const shorten: DrawFault = (context) => {
  const { id } = pick(context.random, context.world.cluster.nodes);
  return spoil(context, [id], SHORTENING);
};

function spoil({ world, random }: FaultContext, ids: readonly number[], deed: Deed): Fault {
  const { cluster } = world;
  let done = 0;
  return {
    text: `${deed.text} of node ${ids.join(", ")}`,
    lastsMs: 0,
    begin: async () => {
      await Promise.all(ids.map((id) => cluster.end(id, "SIGKILL")));
      done = ids.filter((id) => deed.run(cluster.node(id).directory, random)).length;
    },
    end: async () => revive(cluster, ids),
    fired: () => done,
  };
}

interface Deed {
  readonly text: string;
  /** False when there was nothing to do it to. */
  run(directory: string, random: SeededRandom): boolean;
}

const DEEDS: readonly Deed[] = [
  { text: "flip a bit in the log", run: toOne(SEGMENT, flipBit) },
  { text: "delete a log file", run: toOne(SEGMENT, remove) },
  { text: "flip a bit in a snapshot", run: toOne(SNAPSHOT, flipBit) },
  { text: "delete a snapshot", run: toOne(SNAPSHOT, remove) },
];

const SHORTENING: Deed = { text: "cut the end off a log file", run: toOne(SEGMENT, shortenFile) };

/** Does it to a file whose name is like that. */
function toOne(name: RegExp, run: (path: string, random: SeededRandom) => boolean): Deed["run"] {
  return (directory, random) => {
    const names = readdirSync(directory).filter((each) => name.test(each));
    return names.length > 0 && run(join(directory, pick(random, names)), random);
  };
}

function remove(path: string): boolean {
  rmSync(path);
  return true;
}

function shortenFile(path: string, random: SeededRandom): boolean {
  truncateSync(path, random.below(statSync(path).size));
  return true;
}

/** In what was written: a flip among the zeros that wait to be overwritten would hurt nobody. */
function flipBit(path: string, random: SeededRandom): boolean {
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  if (end === 0) return false;
  const at = random.below(end);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at);
  writeFileSync(path, bytes);
  return true;
}
