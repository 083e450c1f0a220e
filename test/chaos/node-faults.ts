/**
 * What happens to processes: killed, frozen, stopped, started again and again. All of it is taken
 * back in the end: whoever was frozen goes on, and whoever is dead is started.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SeededRandom } from "../../raft/index.ts";
import type { Cluster } from "../cluster-process.ts";
import { type DrawFault, drawMs, type Fault, type FaultContext, pick } from "./fault.ts";

const DEAD_MS = { min: 20, max: 2000 };
const FROZEN_MS = { min: 100, max: 10_000 };
const STORM_MS = { min: 1000, max: 5000 };
const STORM_PAUSE_MS = { min: 20, max: 1000 };

const idsOf = (cluster: Cluster): readonly number[] => cluster.nodes.map(({ id }) => id);

const anyone = ({ world, random }: FaultContext): readonly number[] => [
  pick(random, idsOf(world.cluster)),
];

/** Whoever leads, or anyone while nobody does. */
const leader = (context: FaultContext): readonly number[] => {
  const chosen = anyone(context);
  const { leaderId } = context.watch;
  return leaderId === undefined ? chosen : [leaderId];
};

const everyone = ({ world }: FaultContext): readonly number[] => idsOf(world.cluster);

export const killOne: DrawFault = (context) => kill(context, anyone(context));
export const killLeader: DrawFault = (context) => kill(context, leader(context));
export const killAll: DrawFault = (context) => kill(context, everyone(context));
export const freezeOne: DrawFault = (context) => freeze(context, anyone(context));
export const freezeLeader: DrawFault = (context) => freeze(context, leader(context));

function kill({ world: { cluster }, random }: FaultContext, ids: readonly number[]): Fault {
  let killed = 0;
  return {
    text: `kill -9 node ${ids.join(", ")}`,
    lastsMs: drawMs(random, DEAD_MS.min, DEAD_MS.max),
    begin: async () => {
      const running = ids.filter((id) => cluster.process(id).isRunning);
      killed = running.length;
      await Promise.all(running.map((id) => cluster.end(id, "SIGKILL")));
    },
    end: async () => revive(cluster, ids),
    fired: () => killed,
  };
}

function freeze({ world: { cluster }, random }: FaultContext, ids: readonly number[]): Fault {
  return {
    text: `freeze node ${ids.join(", ")}`,
    lastsMs: drawMs(random, FROZEN_MS.min, FROZEN_MS.max),
    begin: async () => {
      for (const id of ids) cluster.process(id).signal("SIGSTOP");
    },
    end: async () => {
      for (const id of ids) cluster.process(id).signal("SIGCONT");
    },
    fired: () => ids.length,
  };
}

/** Asked to stop, a node answers what is under way, hands leadership over and exits with 0. */
export const stopOne: DrawFault = (context) => {
  const { world, random, violation } = context;
  const { cluster } = world;
  const ids = random.below(2) === 0 ? anyone(context) : leader(context);
  return {
    text: `stop node ${ids.join(", ")}`,
    lastsMs: drawMs(random, DEAD_MS.min, DEAD_MS.max),
    begin: async () => {
      for (const id of ids) {
        const { code, signal } = await cluster.end(id, "SIGTERM");
        if (code !== 0) violation(`node ${id} was asked to stop: code ${code}, signal ${signal}`);
      }
    },
    end: async () => revive(cluster, ids),
    fired: () => ids.length,
  };
};

/** Every moment another one is killed and at once started again. */
export const restartStorm: DrawFault = ({ world: { cluster }, random, watch }) => {
  const storm = new AbortController();
  let killed = 0;
  let rage: Promise<void> = Promise.resolve();
  const run = async (dice: SeededRandom): Promise<void> => {
    while (!storm.signal.aborted) {
      const chosen = pick(dice, idsOf(cluster));
      const id = dice.below(3) === 0 ? (watch.leaderId ?? chosen) : chosen;
      await cluster.end(id, "SIGKILL");
      killed += 1;
      revive(cluster, [id]);
      await sleep(drawMs(dice, STORM_PAUSE_MS.min, STORM_PAUSE_MS.max));
    }
  };
  return {
    text: "a storm of restarts",
    lastsMs: drawMs(random, STORM_MS.min, STORM_MS.max),
    begin: async () => {
      rage = run(random);
    },
    end: async () => {
      storm.abort();
      await rage;
    },
    fired: () => killed,
  };
};

export function revive(cluster: Cluster, ids: readonly number[]): void {
  for (const id of ids) if (!cluster.process(id).isRunning) cluster.start(id);
}
