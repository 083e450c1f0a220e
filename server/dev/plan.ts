/**
 * Turns the options of `raft-kv dev` into one command line per node. Each is checked by the
 * server's own parser here, so that what a node would refuse is refused before any is started.
 */
import { join } from "node:path";
import { formatCluster, formatHostPort, type HostPort, type MemberAddresses } from "../address.ts";
import { defaultAddresses, loadServerConfig, serverSchema } from "../config.ts";
import { ConfigError, type OptionSources, parseOptions } from "../options.ts";
import { type DevOptions, devSchema } from "./dev-options.ts";

export interface DevPlan {
  /** Holds a directory for each node and the supervisor's control file. */
  readonly dataDirectory: string;
  readonly nodes: readonly PlannedNode[];
}

export interface PlannedNode {
  readonly name: string;
  readonly client: HostPort;
  readonly peer: HostPort;
  /** What follows the script on the command line. */
  readonly args: readonly string[];
}

const NODES_DEFAULT = 3;

export function parseDevOptions(sources: OptionSources): DevOptions {
  return parseOptions(devSchema, sources, {
    command: "dev",
    short: new Map([["-n", "--nodes"]]),
    fileAliases: new Map([["members", "cluster"]]),
    foreign: serverSchema,
  });
}

/** `args` are those of `dev`; what follows `--` goes to every node. Throws a `ConfigError`. */
export function planDevCluster(sources: OptionSources): DevPlan {
  const split = sources.args.indexOf("--");
  const own = split < 0 ? sources.args : sources.args.slice(0, split);
  const forServer = split < 0 ? [] : sources.args.slice(split + 1);
  const options = parseDevOptions({ ...sources, args: own });
  const count = options.nodes ?? options.cluster?.length ?? NODES_DEFAULT;
  const members =
    options.cluster ?? Array.from({ length: count }, (_, index) => defaultAddresses(index + 1));
  if (members.length !== count) {
    throw new ConfigError("dev", [`${count} nodes are asked for, ${members.length} are described`]);
  }
  const shared = options.config === undefined ? [] : ["--config", options.config];
  const nodes = members.map((member) =>
    planNode(member, members, options.data, [...shared, ...forServer], sources),
  );
  return { dataDirectory: options.data, nodes };
}

function planNode(
  member: MemberAddresses,
  members: readonly MemberAddresses[],
  dataDirectory: string,
  extra: readonly string[],
  sources: OptionSources,
): PlannedNode {
  const name = `node${member.id}`;
  const flags = [
    ...["--id", String(member.id)],
    ...["--cluster", formatCluster(members)],
    ...["--data", join(dataDirectory, name)],
    ...["--listen", member.client],
    ...["--peer-listen", member.peer],
    ...extra,
  ];
  const config = loadServerConfig({ ...sources, args: flags });
  // A node writes into a pipe here, and people read it.
  const format = config.logFormat === "auto" ? ["--log-format", "text"] : [];
  const hasOwnFormat = flags.some((flag) => flag.split("=")[0] === "--log-format");
  return {
    name,
    client: config.listen,
    peer: config.peerListen,
    args: ["server", ...flags, ...(hasOwnFormat ? [] : format)],
  };
}

/** Where a client on this machine reaches what listens on `address`. */
export function dialAddress(address: HostPort): string {
  if (address.host === "0.0.0.0") return formatHostPort({ ...address, host: "127.0.0.1" });
  if (address.host === "::") return formatHostPort({ ...address, host: "::1" });
  return formatHostPort(address);
}
