/**
 * Kills nodes of a cluster under load, again and again, and starts them anew; in the end every
 * node's own state has to agree with what the writers were told.
 *
 * The seed decides who dies and when; what the operating system makes of it, it does not.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../../raft/index.ts";
import {
  ask,
  type Cluster,
  type OwnState,
  PATIENCE_MS,
  readAll,
  startCluster,
  until,
} from "../cluster-process.ts";
import { Load } from "./load.ts";

export interface KillOptions {
  readonly cycles: number;
  readonly seed: number;
  readonly nodes: number;
  readonly writers: number;
  readonly onCycle?: (cycle: Cycle) => void;
}

export type Victims = "leader" | "any" | "all";

export interface Cycle {
  readonly number: number;
  readonly victims: Victims;
  readonly ids: readonly number[];
  readonly leaderDied: boolean;
  /** From the kill to the acknowledgement of a write that began after it. */
  readonly gapMs: number;
  /** For each killed node, from its start to the first answer from its own state. */
  readonly restartMs: readonly number[];
}

export interface KillReport {
  readonly cycles: readonly Cycle[];
  readonly acknowledged: number;
  readonly unknown: number;
  readonly reads: number;
  readonly failedReads: number;
  readonly keys: number;
  readonly revision: number;
  /** Empty when all is well. */
  readonly violations: readonly string[];
}

const READERS = 2;
/** How long the load runs undisturbed between a recovery and the next kill. */
const CALM_MS_MIN = 50;
const CALM_MS_SPREAD = 400;
/** How long nodes stay dead, so that the others have written something without them. */
const DEAD_MS_SPREAD = 400;
const VIOLATIONS_SHOWN = 20;

export async function runKill(options: KillOptions): Promise<KillReport> {
  const { nodes, writers, seed } = options;
  const cluster = await startCluster({ nodes });
  try {
    await cluster.settled(PATIENCE_MS);
    const load = new Load({ endpoints: cluster.endpoints, writers, readers: READERS, seed });
    load.start();
    const random = new SeededRandom(seed);
    const cycles: Cycle[] = [];
    try {
      for (let number = 1; number <= options.cycles; number += 1) {
        await sleep(CALM_MS_MIN + random.below(CALM_MS_SPREAD));
        const cycle = await runCycle(cluster, load, random, number);
        cycles.push(cycle);
        options.onCycle?.(cycle);
      }
    } finally {
      await load.stop();
    }
    return await audit(cluster, load, cycles);
  } finally {
    await cluster.endAll("SIGKILL");
    cluster.dispose();
  }
}

async function runCycle(
  cluster: Cluster,
  load: Load,
  random: SeededRandom,
  number: number,
): Promise<Cycle> {
  const leader = await cluster.leader(PATIENCE_MS);
  const victims = (["leader", "leader", "any", "all"] as const)[random.below(4)] ?? "any";
  const ids = chooseIds(victims, leader.nodeId, cluster, random);
  const deadMs = random.below(DEAD_MS_SPREAD);
  const killedAtMs = performance.now();
  await Promise.all(ids.map((id) => cluster.end(id, "SIGKILL")));
  const acknowledged = load.nextAcknowledgement(performance.now());
  // Nobody can write while all are dead: then they are started first.
  const isSurvivable = ids.length < cluster.nodes.length / 2;
  const gapBefore = isSurvivable ? (await acknowledged) - killedAtMs : undefined;
  await sleep(deadMs);
  const startedAtMs = performance.now();
  const restartMs = await Promise.all(ids.map((id) => timeRestart(cluster, id)));
  const gapMs = gapBefore ?? (await acknowledged) - startedAtMs;
  return { number, victims, ids, leaderDied: ids.includes(leader.nodeId), gapMs, restartMs };
}

function chooseIds(
  victims: Victims,
  leader: number,
  cluster: Cluster,
  random: SeededRandom,
): readonly number[] {
  const ids = cluster.nodes.map(({ id }) => id);
  if (victims === "all") return ids;
  if (victims === "leader") return [leader];
  // As many as the others can do without.
  const count = 1 + random.below(Math.max(1, Math.floor((ids.length - 1) / 2)));
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(ids[random.below(ids.length)] ?? leader);
  return [...chosen];
}

/** The node serves when it answers from its own state; before it has caught up, it refuses. */
async function timeRestart(cluster: Cluster, id: number): Promise<number> {
  const startedAtMs = performance.now();
  cluster.start(id);
  const patience = { what: `node ${id} serves again`, limitMs: PATIENCE_MS, everyMs: 5 };
  return await until(patience, async () => {
    cluster.assertAlive();
    const answer = await ask(cluster, id, "/v1/kv?limit=1&consistency=stale").catch(
      () => undefined,
    );
    return answer?.status === 200 ? performance.now() - startedAtMs : undefined;
  });
}

/** Compares every node's own state with the ledgers and with the first node's. */
async function audit(cluster: Cluster, load: Load, cycles: readonly Cycle[]): Promise<KillReport> {
  cluster.assertAlive();
  const violations = [...load.violations, ...load.ledgers.flatMap((ledger) => ledger.violations)];
  const states = await settledStates(cluster, load.revision);
  const [first] = states;
  for (const [index, state] of states.entries()) {
    const problems: string[] = [];
    if (state.revision !== first?.revision) {
      problems.push(`is at revision ${state.revision}, node 1 at ${first?.revision}`);
    }
    if (state.text !== first?.text) problems.push("lists other records than node 1");
    for (const ledger of load.ledgers) ledger.audit(state.records, (text) => problems.push(text));
    for (const key of state.records.keys()) {
      if (load.ledgers.some((ledger) => ledger.isUnexpected(key))) {
        problems.push(`${key} is there, though its write was refused`);
      }
    }
    problems.push(...revisionProblems(state));
    violations.push(...problems.map((text) => `node ${index + 1}: ${text}`));
  }
  return {
    cycles,
    acknowledged: load.acknowledged,
    unknown: load.unknown,
    reads: load.reads,
    failedReads: load.failedReads,
    keys: first?.records.size ?? 0,
    revision: first?.revision ?? 0,
    violations: violations.slice(0, VIOLATIONS_SHOWN),
  };
}

/** Nothing is deleted, so each revision made one version: a write applied twice would show here. */
function revisionProblems({ records, revision }: OwnState): readonly string[] {
  let versions = 0;
  for (const { version } of records.values()) versions += version;
  if (versions === revision) return [];
  return [`its records have ${versions} versions in all, its revision is ${revision}`];
}

/** All nodes' states once all have applied the same; writes of unknown outcome may still arrive. */
async function settledStates(cluster: Cluster, minRevision: number): Promise<OwnState[]> {
  const { nodes } = cluster;
  const what = "all nodes have applied the same entries";
  const revision = await until({ what, limitMs: PATIENCE_MS }, async () => {
    cluster.assertAlive();
    const statuses = await Promise.all(nodes.map(({ id }) => cluster.status(id)));
    const applied = new Set(statuses.map((status) => status?.lastApplied));
    const last = statuses[0]?.revision ?? 0;
    return applied.size === 1 && !applied.has(undefined) && last >= minRevision ? last : undefined;
  });
  return await Promise.all(nodes.map(({ id }) => readAll(cluster, id, revision)));
}
