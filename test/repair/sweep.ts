/**
 * Repair under random damage: rounds of writing, damaging the disks of nodes that are down, and
 * starting them. After each round every node must hold every acknowledged write, the same as all
 * others, within the limit.
 *
 * The damage keeps to what the design promises to repair: one node may lose anything but its
 * identity and both copies of its hard state; all nodes may be damaged as long as each place of the
 * log is whole on one of them.
 */
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KvClient } from "../../clients/index.ts";
import { SeededRandom } from "../../raft/index.ts";
import {
  ask,
  type Cluster,
  clientOf,
  PATIENCE_MS,
  readAll,
  until,
  withCluster,
} from "../cluster-process.ts";
import { damageSnapshots, destroyEnd, endOf, flipBit, segmentsOf } from "./damage.ts";

export const REPAIR_LIMIT_MS = 10_000;

const FLAGS = [
  ...["--segment-bytes", "64KiB"],
  ...["--snapshot-every-entries", "150", "--snapshot-every-bytes", "256KiB"],
  ...["--log-tail-entries", "40"],
];
const KEYS = 60;

export interface SweepOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly nodes: number;
  readonly say: (line: string) => void;
}

export interface SweepReport {
  readonly rounds: number;
  readonly repairs: number;
  readonly slowestMs: number;
}

/** Throws at the first round after which anything is lost, different or late. */
export async function sweep(options: SweepOptions): Promise<SweepReport> {
  let repairs = 0;
  let slowestMs = 0;
  await withCluster({ nodes: options.nodes, flags: FLAGS }, async (cluster) => {
    const world = new World(cluster, new SeededRandom(options.seed));
    for (let round = 1; round <= options.rounds; round++) {
      await world.write();
      const plan = world.draw();
      const tookMs = await world.carryOut(plan);
      repairs += plan.victims.length;
      slowestMs = Math.max(slowestMs, tookMs);
      options.say(`round ${round}: ${plan.text}: repaired in ${tookMs.toFixed(0)} ms`);
      if (tookMs > REPAIR_LIMIT_MS) throw new Error(`round ${round} took too long`);
    }
    await world.end();
  });
  return { rounds: options.rounds, repairs, slowestMs };
}

interface Plan {
  readonly text: string;
  readonly victims: readonly number[];
  readonly damage: (directory: string, id: number) => void;
}

type Wound = (directory: string, random: SeededRandom) => void;

/** What one disk may suffer while the others are well. */
const WOUNDS: ReadonlyMap<string, Wound> = new Map<string, Wound>([
  ["a flipped bit", flipAnywhere],
  ["junk in the log", writeJunk],
  ["a destroyed end", (directory, random) => void destroyEnd(directory, 1 + random.below(16))],
  ["a cut segment", cutSegment],
  ["a deleted segment", (directory, random) => rmSync(pick(random, segmentsOf(directory)))],
  ["damaged snapshots", (directory) => void damageSnapshots(directory)],
  ["a flipped bit in the hard state", flipHardState],
]);

class World {
  readonly #cluster: Cluster;
  readonly #random: SeededRandom;
  readonly #kv: KvClient;
  /** What was acknowledged last, by key. */
  readonly #written = new Map<string, string>();
  #revision = 0;
  #writes = 0;

  constructor(cluster: Cluster, random: SeededRandom) {
    this.#cluster = cluster;
    this.#random = random;
    this.#kv = clientOf(cluster);
  }

  async write(): Promise<void> {
    for (let count = 10 + this.#random.below(60); count > 0; count--) {
      this.#writes++;
      const key = `key/${this.#random.below(KEYS)}`;
      const value = `<${this.#writes}>`.repeat(1 + this.#random.below(300));
      const { revision } = await this.#kv.put(key, value);
      this.#written.set(key, value);
      this.#revision = revision;
    }
    for (const { id } of this.#cluster.nodes) await readAll(this.#cluster, id, this.#revision);
  }

  draw(): Plan {
    const ids = this.#cluster.nodes.map(({ id }) => id);
    const kind = this.#random.below(4);
    if (kind === 0) return this.#spread(ids);
    const victim = pick(this.#random, ids);
    if (kind === 1) return this.#minority(ids.filter((id) => id !== victim));
    return this.#one(victim);
  }

  /** Each node loses other entries: every write is whole on all but one. */
  #spread(ids: readonly number[]): Plan {
    const damage = (directory: string, id: number): void => {
      for (let tries = 0; tries < 8; tries++) {
        const recent = Math.max(1, this.#writes - this.#random.below(60));
        if (recent % ids.length === id - 1) tryToRot(directory, `<${recent}>`);
      }
    };
    return { text: "flipped bits on all nodes", victims: ids, damage };
  }

  /** The ends of all but one are gone, so that nobody can be elected by a majority. */
  #minority(victims: readonly number[]): Plan {
    const pages = 1 + this.#random.below(16);
    const damage = (directory: string): void => void destroyEnd(directory, pages);
    return { text: `destroyed ends of nodes ${victims.join(", ")}`, victims, damage };
  }

  #one(victim: number): Plan {
    const names = [...WOUNDS.keys()];
    const name = pick(this.#random, names);
    const wound = WOUNDS.get(name);
    const damage = (directory: string): void => wound?.(directory, this.#random);
    return { text: `${name} of node ${victim}`, victims: [victim], damage };
  }

  /** Says how long it took from the start of the victims until all nodes served. */
  async carryOut({ victims, damage, text }: Plan): Promise<number> {
    const cluster = this.#cluster;
    for (const id of victims) {
      await cluster.end(id, "SIGKILL");
      damage(cluster.node(id).directory, id);
    }
    const startedMs = performance.now();
    for (const id of victims) cluster.start(id);
    for (const { id } of cluster.nodes) await whole(cluster, id);
    const tookMs = performance.now() - startedMs;
    for (const { id } of cluster.nodes) {
      const { records } = await readAll(cluster, id, this.#revision);
      for (const [key, value] of this.#written) {
        const held = records.get(key)?.value;
        if (held !== value) throw new Error(`node ${id} lost ${key} after ${text}`);
      }
      if (records.size !== this.#written.size) throw new Error(`node ${id} holds more than that`);
    }
    return tookMs;
  }

  async end(): Promise<void> {
    await this.#kv.close();
  }
}

/** Waits until a node serves again as a full member. */
async function whole(cluster: Cluster, id: number): Promise<void> {
  await until({ what: `node ${id} is whole`, limitMs: 2 * PATIENCE_MS }, async () => {
    cluster.assertAlive();
    const status = await cluster.status(id);
    if (status?.state !== "running") return undefined;
    return (await ask(cluster, id, "/readyz")).status === 200 ? true : undefined;
  });
}

function flipAnywhere(directory: string, random: SeededRandom): void {
  const path = pick(random, segmentsOf(directory));
  flipBit(path, random.below(endOf(readFileSync(path))), random.below(8));
}

function writeJunk(directory: string, random: SeededRandom): void {
  const path = pick(random, segmentsOf(directory));
  const bytes = readFileSync(path);
  const from = random.below(endOf(bytes));
  const junk = bytes.subarray(from, from + random.below(20_000));
  for (let at = 0; at < junk.length; at++) junk[at] = random.below(256);
  writeFileSync(path, bytes);
}

function cutSegment(directory: string, random: SeededRandom): void {
  const path = pick(random, segmentsOf(directory));
  truncateSync(path, random.below(endOf(readFileSync(path))));
}

function flipHardState(directory: string, random: SeededRandom): void {
  const path = join(directory, "hard-state");
  flipBit(path, random.below(readFileSync(path).length), random.below(8));
}

function tryToRot(directory: string, text: string): void {
  for (const path of segmentsOf(directory)) {
    const at = readFileSync(path).indexOf(text);
    if (at < 0) continue;
    flipBit(path, at + 1);
    return;
  }
}

function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("there is nothing to pick from");
  return item;
}
