/**
 * What one node is told at its start: the schema is the table of options (flags, variables, file
 * keys, help text), and `ServerConfig` is what the rest of the process sees. Nothing else in the
 * process reads flags or variables.
 *
 * - Every default that depends on another option is settled here; a `ServerConfig` is complete.
 * - There is no authentication and no TLS, so an address beyond this machine needs `--insecure`.
 */
import * as z from "zod";
import { isRefusedByFetch } from "../clients/contract.ts";
import type { Member } from "../raft/index.ts";
import {
  formatHostPort,
  type HostPort,
  isLoopback,
  type MemberAddresses,
  parseHostPort,
} from "./address.ts";
import { devSchema } from "./dev/dev-options.ts";
import { ConfigError, type OptionSources, parseOptions } from "./options.ts";
import {
  byteCount,
  choice,
  cluster,
  fraction,
  hostPort,
  integer,
  list,
  text,
  truth,
} from "./setting-types.ts";

export interface ServerConfig {
  readonly id: number;
  readonly dataDirectory: string;
  readonly listen: HostPort;
  readonly peerListen: HostPort;
  /** The first members, sorted by id, this node among them; incarnations are not learned yet. */
  readonly members: readonly Member[];
  /** The cluster id comes from it and the first members, so that clusters do not mix. */
  readonly token: string;
  readonly timing: {
    readonly tickMs: number;
    readonly heartbeatMs: number;
    readonly electionTimeoutMs: number;
    readonly requestTimeoutMs: number;
    /** Undefined: no leader lease. */
    readonly leaseDriftBound: number | undefined;
  };
  readonly snapshots: {
    readonly everyEntries: number;
    readonly everyBytes: number;
    readonly smallSegmentsMax: number;
    readonly retainedEntries: number;
  };
  readonly segmentBytes: number;
  readonly valueBytesMax: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Host names this node answers to besides its own addresses and loopback names. */
  readonly allowedHosts: readonly string[];
  readonly logFormat: "auto" | "json" | "text";
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
/** More of them than a log has that is written to: left by one start after another. */
const SMALL_SEGMENTS_MAX = 32;
const CLIENT_PORT_BASE = 8000;
const PEER_PORT_BASE = 9000;
/** Above this there is no default port. */
const DEFAULT_PORT_IDS = 999;

export const serverSchema = z.strictObject({
  id: integer(1).meta({ title: "N", description: "This node's id in the cluster." }),
  config: text()
    .optional()
    .meta({ title: "FILE", description: "A JSON file with any of these options as keys." }),
  cluster: cluster().optional().meta({
    title: "MEMBERS",
    description:
      'The first members: ID=PEER/CLIENT,… with host:port addresses; "members" in a file. Default: this node alone.',
  }),
  token: text().default("raft-kv").meta({
    title: "TEXT",
    description: "Names the cluster; nodes with another token are refused.",
  }),
  data: text()
    .optional()
    .meta({ title: "DIR", description: "The data directory. Default: data/nodeN." }),
  listen: hostPort().optional().meta({
    title: "HOST:PORT",
    description: "Where clients are served. Default: as in --cluster, else 127.0.0.1:800N.",
  }),
  peerListen: hostPort().optional().meta({
    title: "HOST:PORT",
    description: "Where peers are served. Default: as in --cluster, else 127.0.0.1:900N.",
  }),
  insecure: truth().default(false).meta({
    description: "Allow addresses beyond this machine: there is no authentication or TLS yet.",
  }),
  allowedHosts: list()
    .default([])
    .meta({ title: "NAMES", description: "Further Host names to answer to, by commas." }),
  tickMs: integer(1, 1000)
    .default(10)
    .meta({ title: "MS", description: "How often the replica looks at the clock." }),
  heartbeatMs: integer(1, 60_000)
    .default(50)
    .meta({ title: "MS", description: "How often a leader is heard from at least." }),
  electionTimeoutMs: integer(2, 600_000)
    .default(250)
    .meta({ title: "MS", description: "Silence before an election: from this to twice this." }),
  leaseDriftBound: fraction().optional().meta({
    title: "FRACTION",
    description:
      "Reads by leader lease, trusting that no two clocks drift apart by more than this. Default: off.",
  }),
  requestTimeoutMs: integer(1, 600_000)
    .default(5000)
    .meta({ title: "MS", description: "How long a request may wait for the cluster." }),
  snapshotEveryEntries: integer(1)
    .default(5000)
    .meta({
      title: "COUNT",
      description:
        "Take a snapshot after this many entries, if they come to twice the last one; or if what was " +
        "written to the log comes to four times it, and to 2 MiB and 400 bytes for each of them.",
    }),
  snapshotEveryBytes: byteCount(KIB, 64 * GIB)
    .default(64 * MIB)
    .meta({
      title: "BYTES",
      description: "Or after this many bytes of entries, if they come to half of the last one.",
    }),
  logTailEntries: integer(0).default(5000).meta({
    title: "COUNT",
    description: "Log kept behind a snapshot for slow followers, if as much led to it.",
  }),
  segmentBytes: byteCount(64 * KIB, GIB)
    .default(8 * MIB)
    .meta({ title: "BYTES", description: "Size of a log file." }),
  valueBytesMax: byteCount(1, 16 * MIB)
    .default(MIB)
    .meta({ title: "BYTES", description: "The largest value; all nodes should agree." }),
  maxConnections: integer(1, 65_536)
    .default(1024)
    .meta({ title: "COUNT", description: "Client connections at a time." }),
  maxConnectionsPerAddress: integer(1, 65_536)
    .default(256)
    .meta({ title: "COUNT", description: "Of these, from one address beyond this machine." }),
  logFormat: choice(["auto", "json", "text"])
    .default("auto")
    .meta({ title: "FORMAT", description: "json, text, or auto: text on a terminal." }),
  logLevel: choice(["debug", "info", "warn", "error"])
    .default("info")
    .meta({ title: "LEVEL", description: "debug, info, warn or error." }),
});

type ServerOptions = z.output<typeof serverSchema>;

/** Throws a `ConfigError` that names everything wrong at once. */
export function loadServerConfig(sources: OptionSources): ServerConfig {
  const options = parseOptions(serverSchema, sources, {
    command: "server",
    fileAliases: new Map([["members", "cluster"]]),
    foreign: devSchema,
  });
  const problems = [...timingProblems(options)];
  const own = options.cluster?.find(({ id }) => id === options.id);
  if (options.cluster !== undefined && own === undefined) {
    const ids = options.cluster.map(({ id }) => id).join(", ");
    problems.push(`--id ${options.id} is not in the cluster, whose ids are ${ids}`);
  }
  const listen = options.listen ?? defaultAddress(own?.client, CLIENT_PORT_BASE, options.id);
  const peerListen = options.peerListen ?? defaultAddress(own?.peer, PEER_PORT_BASE, options.id);
  if (listen === undefined || peerListen === undefined) {
    problems.push(`node ${options.id} has no default ports: --listen and --peer-listen are needed`);
    throw new ConfigError("server", problems);
  }
  if (listen.port !== 0 && formatHostPort(listen) === formatHostPort(peerListen)) {
    problems.push(`--listen and --peer-listen are both ${formatHostPort(listen)}`);
  }
  if (isRefusedByFetch(listen.port)) {
    problems.push(
      `--listen ${formatHostPort(listen)}: fetch and browsers refuse to call that port`,
    );
  }
  if (!options.insecure) problems.push(...exposureProblems({ listen, peerListen }));
  if (problems.length > 0) throw new ConfigError("server", problems);
  const alone = {
    id: options.id,
    peer: formatHostPort(peerListen),
    client: formatHostPort(listen),
  };
  return settle(options, listen, peerListen, options.cluster ?? [alone]);
}

function settle(
  options: ServerOptions,
  listen: HostPort,
  peerListen: HostPort,
  members: readonly MemberAddresses[],
): ServerConfig {
  return {
    id: options.id,
    dataDirectory: options.data ?? `data/node${options.id}`,
    listen,
    peerListen,
    members: members.map(toMember).toSorted((a, b) => a.id - b.id),
    token: options.token,
    timing: {
      tickMs: options.tickMs,
      heartbeatMs: options.heartbeatMs,
      electionTimeoutMs: options.electionTimeoutMs,
      requestTimeoutMs: options.requestTimeoutMs,
      leaseDriftBound: options.leaseDriftBound,
    },
    snapshots: {
      everyEntries: options.snapshotEveryEntries,
      everyBytes: options.snapshotEveryBytes,
      smallSegmentsMax: SMALL_SEGMENTS_MAX,
      retainedEntries: options.logTailEntries,
    },
    segmentBytes: options.segmentBytes,
    valueBytesMax: options.valueBytesMax,
    maxConnections: options.maxConnections,
    maxConnectionsPerAddress: options.maxConnectionsPerAddress,
    allowedHosts: options.allowedHosts,
    logFormat: options.logFormat,
    logLevel: options.logLevel,
  };
}

function toMember({ id, peer, client }: MemberAddresses): Member {
  return { id, incarnation: 0, role: "voter", peerAddress: peer, clientAddress: client };
}

/** The addresses of node N where nobody said otherwise: 127.0.0.1, ports 800N and 900N. */
export function defaultAddresses(id: number): MemberAddresses {
  return {
    id,
    peer: `127.0.0.1:${PEER_PORT_BASE + id}`,
    client: `127.0.0.1:${CLIENT_PORT_BASE + id}`,
  };
}

function defaultAddress(
  inCluster: string | undefined,
  portBase: number,
  id: number,
): HostPort | undefined {
  if (inCluster !== undefined) return parseHostPort(inCluster);
  return id > DEFAULT_PORT_IDS ? undefined : { host: "127.0.0.1", port: portBase + id };
}

/** Heartbeats must fit into an election timeout more than once (section 5.6). */
function timingProblems(options: ServerOptions): readonly string[] {
  const { tickMs, heartbeatMs, electionTimeoutMs } = options;
  const problems: string[] = [];
  if (heartbeatMs < tickMs) {
    problems.push(`--heartbeat-ms (${heartbeatMs}) must be at least --tick-ms (${tickMs})`);
  }
  if (electionTimeoutMs < 2 * heartbeatMs) {
    problems.push(
      `--election-timeout-ms (${electionTimeoutMs}) must be at least twice --heartbeat-ms (${heartbeatMs})`,
    );
  }
  return problems;
}

function exposureProblems(addresses: {
  readonly listen: HostPort;
  readonly peerListen: HostPort;
}): readonly string[] {
  const problems: string[] = [];
  for (const [flag, address] of [
    ["--listen", addresses.listen],
    ["--peer-listen", addresses.peerListen],
  ] as const) {
    if (isLoopback(address.host)) continue;
    problems.push(
      `${flag} ${formatHostPort(address)} can be reached from other machines, and there is no authentication or TLS yet: whoever reaches it can read and change everything. --insecure accepts that.`,
    );
  }
  return problems;
}
