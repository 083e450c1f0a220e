/**
 * A run of chaos: clients work, episodes of faults follow each other, and in the end everything is
 * healed and judged. The seed decides what happens to whom and for how long; what the operating
 * system and the network make of it, it does not.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../../raft/index.ts";
import { type OwnState, PATIENCE_MS, readAll, until } from "../cluster-process.ts";
import { checkHistory, describeVerdict, formatHistory } from "../linearizability/index.ts";
import { differences, onceProblems, revisionProblems, shortened } from "./audit.ts";
import { drawKinds, type Kind } from "./catalog.ts";
import { type Episode, runEpisode } from "./episode.ts";
import type { Silence } from "./pulse.ts";
import { Watch } from "./watch.ts";
import { Workload } from "./workload.ts";
import { createWorld, type World } from "./world.ts";

export interface ChaosOptions {
  readonly lastsMs: number;
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  readonly kinds: readonly Kind[];
  /** Where history, logs and data are kept; a new one unless told, removed when all is well. */
  readonly directory?: string | undefined;
  readonly say?: (line: string) => void;
  readonly onEpisode?: (episode: Episode) => void;
}

export interface ChaosReport {
  readonly directory: string;
  readonly episodes: readonly Episode[];
  readonly acknowledged: number;
  readonly operations: number;
  readonly unknown: number;
  readonly failed: number;
  readonly keysOnce: number;
  readonly keys: number;
  readonly revision: number;
  readonly elections: number;
  readonly samples: number;
  readonly hashesCompared: number;
  readonly verdict: string;
  readonly longestSilence: Silence;
  /** Empty when all is well. */
  readonly violations: readonly string[];
}

const CALM_MS_MIN = 50;
const CALM_MS_SPREAD = 500;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "raft-kv-chaos-"));
  const wantsSmallDisks = options.kinds.some(({ name }) => name === "disk-full");
  const world = await createWorld({
    nodes: options.nodes,
    random: new SeededRandom(options.seed),
    directory,
    wantsSmallDisks,
  });
  options.say?.(`every node has ${world.flags.join(" ")}`);
  try {
    const report = await new Chaos(options, world, directory).run();
    if (report.violations.length === 0 && options.directory === undefined) {
      await world.close();
      rmSync(directory, { recursive: true, force: true });
    }
    return report;
  } finally {
    await world.close();
  }
}

class Chaos {
  readonly #options: ChaosOptions;
  readonly #world: World;
  readonly #directory: string;
  readonly #watch: Watch;
  readonly #workload: Workload;
  readonly #kinds: readonly Kind[];
  readonly #episodes: Episode[] = [];
  readonly #violations: string[] = [];

  constructor(options: ChaosOptions, world: World, directory: string) {
    this.#options = options;
    this.#world = world;
    this.#directory = directory;
    const { endpoints, nodes } = world.cluster;
    this.#watch = new Watch(nodes, (id) => world.cluster.process(id));
    this.#workload = new Workload({ endpoints, clients: options.clients, seed: options.seed });
    this.#kinds = options.kinds.filter((kind) => this.#isPossible(kind));
  }

  async run(): Promise<ChaosReport> {
    const { cluster } = this.#world;
    await cluster.settled(PATIENCE_MS);
    this.#watch.start();
    this.#workload.start();
    try {
      await this.#rage();
      await this.#workload.stop();
      await this.#workload.readEverything();
    } catch (error) {
      // What went wrong is a finding like any other: the history so far is judged, too.
      this.#violations.push(error instanceof Error ? error.message : String(error));
      await this.#workload.stop();
    }
    await this.#watch.stop();
    return await this.#judge();
  }

  async #rage(): Promise<void> {
    const { lastsMs, seed } = this.#options;
    const endsAtMs = performance.now() + lastsMs;
    for (let number = 1; performance.now() < endsAtMs; number += 1) {
      // Each episode has dice of its own: how long the one before took changes nothing.
      const random = new SeededRandom(seed * 100_003 + number);
      await sleep(CALM_MS_MIN + random.below(CALM_MS_SPREAD));
      const context = {
        world: this.#world,
        watch: this.#watch,
        random,
        violation: (text: string) => void this.#violations.push(text),
      };
      const faults = drawKinds(random, this.#kinds).map(({ name, draw }) => ({
        kind: name,
        fault: draw(context),
      }));
      const episode = await runEpisode(this.#world, this.#workload.pulse, number, faults);
      this.#episodes.push(episode);
      this.#options.onEpisode?.(episode);
    }
  }

  async #judge(): Promise<ChaosReport> {
    const { recorder, once, pulse } = this.#workload;
    const history = recorder.history();
    writeFileSync(join(this.#directory, "history.jsonl"), formatHistory(history));
    const violations = [...this.#violations, ...shortened(this.#watch.violations)];
    const states = await this.#settledStates().catch((error: unknown) => {
      violations.push(error instanceof Error ? error.message : String(error));
      return new Map<number, OwnState>();
    });
    violations.push(...differences(states));
    const [state] = states.values();
    if (state !== undefined) {
      violations.push(...onceProblems(once, state), ...revisionProblems(history, state.revision));
    }
    const verdict = checkHistory(history);
    if (verdict.kind !== "linearizable") violations.push(describeVerdict(verdict));
    return {
      directory: this.#directory,
      episodes: this.#episodes,
      acknowledged: pulse.count,
      operations: history.length,
      unknown: history.filter(({ outcome }) => outcome === "unknown").length,
      failed: history.filter(({ outcome }) => outcome === "fail").length,
      keysOnce: once.size,
      keys: state?.records.size ?? 0,
      revision: state?.revision ?? 0,
      elections: this.#watch.elections,
      samples: this.#watch.samples,
      hashesCompared: this.#watch.hashesCompared,
      verdict: describeVerdict(verdict),
      longestSilence: pulse.longest,
      violations,
    };
  }

  /** What each node holds once all have applied the same. */
  async #settledStates(): Promise<ReadonlyMap<number, OwnState>> {
    const { cluster } = this.#world;
    const ids = cluster.nodes.map(({ id }) => id);
    const what = "all nodes have applied the same entries";
    const revision = await until({ what, limitMs: PATIENCE_MS }, async () => {
      cluster.assertAlive();
      const statuses = await Promise.all(ids.map((id) => cluster.status(id)));
      const applied = new Set(statuses.map((status) => status?.lastApplied));
      return applied.size === 1 && !applied.has(undefined) ? statuses[0]?.revision : undefined;
    });
    const states = await Promise.all(ids.map((id) => readAll(cluster, id, revision)));
    return new Map(ids.map((id, index) => [id, states[index] ?? fail(id)]));
  }

  #isPossible({ name }: Kind): boolean {
    if (name !== "disk-full" || this.#world.smallDisks.size > 0) return true;
    this.#options.say?.("skipped: disk-full, since this machine does not permit mounting a tmpfs");
    return false;
  }
}

function fail(id: number): never {
  throw new Error(`node ${id} has no state`);
}
