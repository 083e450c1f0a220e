/**
 * A real cluster on this machine: one server process per node, free ports, a directory of its own.
 * It starts, signals and asks; what a node may do to another, or to its disk, is for the tests.
 *
 * - Nothing outlives it: `dispose`, or the end of this process, kills what still runs and removes
 *   the directory.
 * - A node that dies without being asked to is an error for whoever looks next.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type StatusResponse, statusResponseSchema } from "../clients/contract.ts";
import { freePorts } from "./free-ports.ts";
import { describeExit, type Exit, NODE_FLAGS, ServiceProcess } from "./service-process.ts";
import { until } from "./until.ts";

export interface ClusterOptions {
  /** The compiled server. */
  readonly script: string;
  readonly nodes: number;
  /** Further flags for every node. */
  readonly flags?: readonly string[];
  /** For Node itself. */
  readonly nodeFlags?: readonly string[];
  /** For the nodes' data; it stays. A new temporary one, removed in the end, unless told. */
  readonly directory?: string;
  /** Puts something between the nodes; resolves with the address at which peers find a node. */
  readonly standBefore?: (id: number, peerListen: string, freePort: number) => Promise<string>;
  /** Takes every line that a node writes. */
  readonly onLine?: (id: number, line: string) => void;
}

export interface ClusterNode {
  readonly id: number;
  /** `host:port` for clients, and for peers. */
  readonly client: string;
  readonly peer: string;
  /** Where it listens for peers: the same, unless something stands between. */
  readonly peerListen: string;
  readonly directory: string;
}

const STATUS_TIMEOUT_MS = 500;
const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 15_000;
/** Of each node's log, when a cluster does not settle. */
const LINES_SHOWN = 20;
const ASK_EVERY_MS = 10;

export async function createCluster(options: ClusterOptions): Promise<Cluster> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "raft-kv-cluster-"));
  const ports = await freePorts(3 * options.nodes);
  const nodes: ClusterNode[] = [];
  for (let id = 1; id <= options.nodes; id += 1) {
    const [client, peerPort, spare = 0] = ports.slice(3 * (id - 1));
    const peerListen = `127.0.0.1:${peerPort}`;
    nodes.push({
      id,
      client: `127.0.0.1:${client}`,
      peer: (await options.standBefore?.(id, peerListen, spare)) ?? peerListen,
      peerListen,
      directory: join(directory, `node${id}`),
    });
  }
  return new Cluster(options, nodes, options.directory === undefined ? directory : undefined);
}

export class Cluster {
  readonly nodes: readonly ClusterNode[];
  readonly #options: ClusterOptions;
  readonly #temporary: string | undefined;
  readonly #processes = new Map<number, ServiceProcess>();
  /** Why the newest question to a node about its status got no answer. */
  readonly #silences = new Map<number, string>();
  /** Whose death is no surprise. */
  readonly #wasAsked = new WeakSet<ServiceProcess>();
  readonly #dispose = (): void => this.dispose();

  /** `temporary` is removed in the end. */
  constructor(options: ClusterOptions, nodes: readonly ClusterNode[], temporary?: string) {
    this.#options = options;
    this.#temporary = temporary;
    this.nodes = nodes;
    process.once("exit", this.#dispose);
  }

  get endpoints(): readonly string[] {
    return this.nodes.map(({ client }) => client);
  }

  get running(): readonly ClusterNode[] {
    return this.nodes.filter(({ id }) => this.#processes.get(id)?.isRunning === true);
  }

  node(id: number): ClusterNode {
    const node = this.nodes.find((each) => each.id === id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  /** The newest life of a node. */
  process(id: number): ServiceProcess {
    const process = this.#processes.get(id);
    if (process === undefined) throw new Error(`node ${id} was never started`);
    return process;
  }

  start(id: number): ServiceProcess {
    const { client, peerListen, directory } = this.node(id);
    if (this.#processes.get(id)?.isRunning) throw new Error(`node ${id} runs already`);
    const members = this.nodes.map((node) => `${node.id}=${node.peer}/${node.client}`).join(",");
    const service = new ServiceProcess({
      name: `node${id}`,
      nodeFlags: this.#options.nodeFlags ?? NODE_FLAGS,
      script: this.#options.script,
      args: [
        ...["server", "--id", String(id), "--cluster", members, "--data", directory],
        ...["--listen", client, "--peer-listen", peerListen, "--log-format", "json"],
        ...(this.#options.flags ?? []),
      ],
      onLine: (line) => this.#options.onLine?.(id, line),
    });
    this.#processes.set(id, service);
    return service;
  }

  startAll(): void {
    for (const { id } of this.nodes) this.start(id);
  }

  /** Sends a signal that ends the node, and waits until it is gone. */
  async end(id: number, signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<Exit> {
    const service = this.process(id);
    this.#wasAsked.add(service);
    service.signal(signal);
    return await until({ what: `node ${id} ends on ${signal}`, limitMs: STOP_LIMIT_MS }, () =>
      withExit(service),
    );
  }

  /** Waits for a node that ends by itself. */
  async ends(id: number): Promise<Exit> {
    const service = this.process(id);
    this.#wasAsked.add(service);
    const patience = { what: `node ${id} ends by itself`, limitMs: STOP_LIMIT_MS };
    return await until(patience, () => withExit(service));
  }

  async endAll(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<readonly Exit[]> {
    return await Promise.all(this.running.map(({ id }) => this.end(id, signal)));
  }

  /** Throws when a node died that nobody asked to, with its last words. */
  assertAlive(): void {
    for (const service of this.#processes.values()) {
      if (service.exit === undefined || this.#wasAsked.has(service)) continue;
      const how = describeExit(service.exit);
      throw new Error(`${service.name} ${how} unasked:\n${service.lastWords()}`);
    }
  }

  /** What a node says of itself; undefined while it does not answer. */
  async status(id: number): Promise<StatusResponse | undefined> {
    let answer: unknown;
    try {
      const response = await fetch(`http://${this.node(id).client}/v1/status`, {
        signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
      });
      answer = await response.json();
    } catch (error) {
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      this.#silences.set(id, String(cause));
      return undefined;
    }
    return statusResponseSchema.parse(answer);
  }

  /** The leader that a majority of all nodes follows, itself included. */
  async leader(limitMs = START_LIMIT_MS): Promise<StatusResponse> {
    const patience = { what: "a majority follows a leader", limitMs, everyMs: ASK_EVERY_MS };
    return await until(patience, async () => {
      this.assertAlive();
      const answers = await Promise.all(this.running.map(({ id }) => this.status(id)));
      const statuses = answers.filter((answer) => answer !== undefined);
      const leader = statuses
        .filter(({ role }) => role === "leader")
        .reduce<StatusResponse | undefined>(newer, undefined);
      if (leader === undefined) return undefined;
      const followers = statuses.filter(
        ({ term, leaderId }) => term === leader.term && leaderId === leader.nodeId,
      );
      return followers.length > this.nodes.length / 2 ? leader : undefined;
    });
  }

  /** The leader, once every running node follows it: all of them serve. */
  async settled(limitMs = START_LIMIT_MS): Promise<StatusResponse> {
    const patience = { what: "every node follows the leader", limitMs, everyMs: ASK_EVERY_MS };
    let statuses: readonly (StatusResponse | undefined)[] = [];
    try {
      return await until(patience, async () => {
        const leader = await this.leader(limitMs);
        statuses = await Promise.all(this.running.map(({ id }) => this.status(id)));
        const follow = (status: StatusResponse | undefined): boolean =>
          status?.term === leader.term && status.leaderId === leader.nodeId;
        return statuses.every(follow) ? leader : undefined;
      });
    } catch (error) {
      const seen = this.running.map(({ id }, at) => this.#describe(id, statuses[at]));
      throw new Error([String(error), ...seen].join("\n"), { cause: error });
    }
  }

  #describe(id: number, status: StatusResponse | undefined): string {
    const standing =
      status === undefined
        ? `does not answer (${this.#silences.get(id)})`
        : `${status.role} in term ${status.term}, leader ${status.leaderId}`;
    return [`node ${id}: ${standing}`, ...this.process(id).lines.slice(-LINES_SHOWN)].join("\n  ");
  }

  /** Kills what still runs and removes what is temporary. */
  dispose(): void {
    process.removeListener("exit", this.#dispose);
    for (const service of this.#processes.values()) {
      this.#wasAsked.add(service);
      // Also ends a process that is stopped.
      if (service.isRunning) service.signal("SIGKILL");
    }
    if (this.#temporary === undefined) return;
    rmSync(this.#temporary, { recursive: true, force: true, maxRetries: 5 });
  }
}

function newer(a: StatusResponse | undefined, b: StatusResponse): StatusResponse {
  return a !== undefined && a.term > b.term ? a : b;
}

async function withExit(service: ServiceProcess): Promise<Exit | undefined> {
  if (service.exit === undefined) return undefined;
  return await service.ended;
}
