/**
 * The lab on real processes in real time: compiled servers on this machine, between them the
 * lab's network, before them the TypeScript client. A crash is SIGKILL, a shutdown SIGTERM.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { listResponseSchema, putResponseSchema, recordSchema } from "../../../clients/contract.ts";
import { SeededRandom } from "../../../raft/index.ts";
import { SystemClock } from "../../../server/clock.ts";
import { NodeFileSystem, openStorage } from "../../../storage/index.ts";
import { type Cluster, startCluster, until } from "../../cluster-process.ts";
import type { ObservedRecord } from "../../linearizability/index.ts";
import { entryBytesOf } from "../entry-bytes.ts";
import { LabFailure } from "../lab.ts";
import { type LabTest, type SnapshotRule, TIMING } from "../lab-test.ts";
import type { LabClient, ProposalOutcome, ServerView, Traffic, Weather, World } from "../world.ts";
import { MessageNetwork } from "./message-proxy.ts";
import { ProcessClient } from "./process-client.ts";

const START_MS_MAX = 20_000;
const PROPOSE_MS_MAX = 30_000;
const LOOK_MS_MAX = 2_000;
const KIB = 1024;
const COMMON_FLAGS: readonly string[] = [
  ...["--log-tail-entries", "0", "--heartbeat-ms", `${TIMING.heartbeatMs}`],
  ...["--election-timeout-ms", `${TIMING.electionTimeoutMs}`, "--tick-ms", `${TIMING.tickMs}`],
];
const NEVER_ENTRIES = 1_000_000_000;
const NEVER_BYTES = 64 * KIB ** 3;

export class ProcessWorld implements World {
  readonly ids: readonly number[];
  readonly random: SeededRandom;
  readonly paceMs = 0;
  entryBytesMax = 0;
  readonly #cluster: Cluster;
  readonly #network: MessageNetwork;
  readonly #clients: ProcessClient[] = [];

  private constructor(cluster: Cluster, network: MessageNetwork, random: SeededRandom) {
    this.#cluster = cluster;
    this.#network = network;
    this.random = random;
    this.ids = cluster.nodes.map(({ id }) => id);
  }

  /** Every server answers; a leader there need not be. */
  static async start(test: LabTest, seed: number): Promise<ProcessWorld> {
    const random = new SeededRandom(seed);
    const network = new MessageNetwork(new SeededRandom(seed + 1));
    const cluster = await startCluster({
      nodes: test.servers,
      flags: [...flagsOf(test.snapshots), ...COMMON_FLAGS],
      standBefore: (id, peerListen, port) => network.standBefore(id, peerListen, port),
    });
    const world = new ProcessWorld(cluster, network, random);
    await Promise.all(world.ids.map((id) => world.#serves(id)));
    world.setWeather({ isUnreliable: test.isUnreliable ?? false, hasLongReordering: false });
    return world;
  }

  async end(): Promise<void> {
    this.#network.close();
    for (const client of this.#clients) client.close();
    this.#cluster.dispose();
  }

  /** All that any two servers hold of one revision is one record. */
  async assertAgreement(): Promise<void> {
    this.#cluster.assertAlive();
    const known = new Map<number, string>();
    for (const { id } of this.#cluster.running) {
      const answer = await this.#ask(id, "/v1/kv?consistency=stale&limit=10000", LOOK_MS_MAX);
      if (answer?.status !== 200) continue;
      for (const record of listResponseSchema.parse(answer.body).items) {
        const text = JSON.stringify(record);
        const other = known.get(record.revision);
        if (other !== undefined && other !== text) {
          throw new LabFailure(`server ${id} holds ${text}, another one ${other}`);
        }
        known.set(record.revision, text);
      }
    }
  }

  get weather(): Weather {
    return this.#network.weather;
  }

  nowMs(): number {
    return performance.now();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  }

  setWeather(weather: Weather): void {
    this.#network.weather = weather;
  }

  setLinks(isOpen: (one: number, other: number) => boolean): void {
    this.#network.setLinks(isOpen);
  }

  async crash(id: number): Promise<void> {
    await this.#cluster.end(id, "SIGKILL");
  }

  async shutdown(id: number): Promise<void> {
    await this.#cluster.end(id, "SIGTERM");
  }

  async start(id: number): Promise<void> {
    this.#cluster.start(id);
  }

  async view(id: number): Promise<ServerView | undefined> {
    const status = this.#isRunning(id) ? await this.#cluster.status(id) : undefined;
    if (status === undefined) return undefined;
    return {
      isLeader: status.role === "leader",
      term: status.term,
      applied: status.revision,
      // No entries are kept behind a snapshot (the flags of `start`).
      logEntries: status.lastLogIndex - status.snapshotIndex,
      snapshotIndex: status.snapshotIndex,
    };
  }

  /** From a copy of the data directory, by the server's own reader. */
  async snapshotBytes(id: number): Promise<number> {
    const status = await this.#cluster.status(id);
    if (status === undefined || status.snapshotIndex === 0) return 0;
    const copy = mkdtempSync(join(tmpdir(), "raft-kv-lab-"));
    try {
      const directory = join(copy, "data");
      cpSync(this.#cluster.node(id).directory, directory, { recursive: true });
      const storage = openStorage({
        directory,
        fileSystem: new NodeFileSystem(),
        clock: new SystemClock(),
        clusterId: status.clusterId,
        nodeId: id,
        mintIncarnation: () => 1,
        onFailure: (error) => {
          throw error;
        },
      });
      let bytes = 0;
      storage.readSnapshot((chunk) => {
        bytes += chunk.length;
      });
      await new Promise<void>((resolve) => storage.close(resolve));
      return bytes;
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  }

  async recordOf(id: number, key: string): Promise<ObservedRecord | undefined> {
    if (!this.#isRunning(id)) return undefined;
    const answer = await this.#ask(id, `${pathOf(key)}?consistency=stale`, LOOK_MS_MAX);
    if (answer?.status !== 200) return undefined;
    const { value, revision, createRevision, version } = recordSchema.parse(answer.body);
    return { value: String(value), revision, createRevision, version };
  }

  async propose(id: number, key: string, value: string): Promise<ProposalOutcome> {
    this.noteEntry(key, value, false);
    const init = { method: "PUT", body: value, headers: { "content-type": "text/plain" } };
    const answer = await this.#ask(id, `${pathOf(key)}?forward=false`, PROPOSE_MS_MAX, init);
    if (answer === undefined || answer.status === 504) return { kind: "unknown" };
    if (answer.status !== 200) return { kind: "refused" };
    const { revision, version } = putResponseSchema.parse(answer.body);
    return { kind: "applied", index: revision, version };
  }

  client(reach: readonly number[] = this.ids): LabClient {
    const endpoints = reach.map((id) => this.#cluster.node(id).client);
    const client = new ProcessClient(this, endpoints);
    this.#clients.push(client);
    return client;
  }

  noteEntry(key: string, value: string, hasSession: boolean): void {
    const bytes = entryBytesOf(key, value, hasSession);
    this.entryBytesMax = Math.max(this.entryBytesMax, bytes);
  }

  async traffic(): Promise<Traffic> {
    return this.#network.traffic;
  }

  #isRunning(id: number): boolean {
    return this.#cluster.running.some((node) => node.id === id);
  }

  async #serves(id: number): Promise<void> {
    const patience = { what: `server ${id} answers`, limitMs: START_MS_MAX };
    await until(patience, () => {
      this.#cluster.assertAlive();
      return this.#cluster.status(id);
    });
  }

  /** Undefined when there is no answer. */
  async #ask(
    id: number,
    path: string,
    limitMs: number,
    init: RequestInit = {},
  ): Promise<{ readonly status: number; readonly body: unknown } | undefined> {
    const signal = AbortSignal.timeout(limitMs);
    try {
      const url = `http://${this.#cluster.node(id).client}${path}`;
      const response = await fetch(url, { ...init, signal });
      return { status: response.status, body: await response.json() };
    } catch {
      return undefined;
    }
  }
}

function pathOf(key: string): string {
  return `/v1/kv/${encodeURIComponent(key)}`;
}

function flagsOf(rule: SnapshotRule | undefined): readonly string[] {
  const [entries, bytes] =
    rule === undefined
      ? [NEVER_ENTRIES, NEVER_BYTES]
      : "everyEntries" in rule
        ? [rule.everyEntries, NEVER_BYTES]
        : // The least a server takes; the lab's 1,000 is less by a hair.
          [NEVER_ENTRIES, Math.max(KIB, rule.everyBytes)];
  return ["--snapshot-every-entries", `${entries}`, "--snapshot-every-bytes", `${bytes}`];
}
