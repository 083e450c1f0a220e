/**
 * Ports for servers that will be killed and started again. The system's own choice (port 0) would
 * not do: it comes from the range of outgoing connections, where a stopped server's port may be
 * taken by one, and where a peer that dials a stopped neighbour on this machine can connect to
 * itself, and so keep the port from its owner.
 *
 * A process takes its ports out of blocks that it claims by listening on their first port for as
 * long as it lives: a port that is free between two lives of a server is not given to the servers
 * of another run on this machine.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";

const HOST = "127.0.0.1";
/** Above all ports that `fetch` refuses to ask ("bad port"): a node at 10080 never answers it. */
export const PORT_MIN = 10_081;
/** Used where the system does not say which ports it gives to outgoing connections. */
const OUTGOING_PORT_MIN = 32_768;
const BLOCK_PORTS = 64;
const ATTEMPTS_MAX = 1000;

/** What is left of the blocks claimed so far. */
const claimed: number[] = [];

export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = claimed.shift() ?? (await claimBlock());
    const server = await listen(port);
    if (server === undefined) continue;
    await new Promise((resolve) => server.close(resolve));
    ports.push(port);
  }
  return ports;
}

/** The first of the ports of a new block; the others are `claimed`. */
async function claimBlock(): Promise<number> {
  const limit = Math.max(outgoingPortMin(), PORT_MIN + 10 * BLOCK_PORTS);
  const blocks = Math.floor((limit - PORT_MIN) / BLOCK_PORTS);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const start = PORT_MIN + BLOCK_PORTS * randomInt(blocks);
    const claim = await listen(start);
    if (claim === undefined) continue;
    claim.unref();
    for (let offset = 2; offset < BLOCK_PORTS; offset += 1) claimed.push(start + offset);
    return start + 1;
  }
  throw new Error(`no free ports below ${limit}`);
}

function outgoingPortMin(): number {
  try {
    const [first = ""] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split("\t");
    return Number.parseInt(first, 10) || OUTGOING_PORT_MIN;
  } catch {
    return OUTGOING_PORT_MIN;
  }
}

/** Undefined when somebody else has the port. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(undefined));
    server.listen({ host: HOST, port, exclusive: true }, () => resolve(server));
  });
}
