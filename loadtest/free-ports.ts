/**
 * Ports for servers that will be killed and started again. The system's own choice (port 0) would
 * not do: it comes from the range of outgoing connections, where a stopped server's port may be
 * taken by one, and where a peer that dials a stopped neighbour on this machine can connect to
 * itself, and so keep the port from its owner.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const HOST = "127.0.0.1";
/** Above all ports that `fetch` refuses to ask ("bad port"): a node at 10080 never answers it. */
export const PORT_MIN = 10_081;
/** Used where the system does not say which ports it gives to outgoing connections. */
const OUTGOING_PORT_MIN = 32_768;
const ATTEMPTS_MAX = 1000;

export async function freePorts(count: number): Promise<readonly number[]> {
  const limit = Math.max(outgoingPortMin(), PORT_MIN + 1000);
  const ports = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS_MAX && ports.size < count; attempt += 1) {
    const port = randomInt(PORT_MIN, limit);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  if (ports.size < count) throw new Error(`no ${count} free ports below ${limit}`);
  return [...ports];
}

function outgoingPortMin(): number {
  try {
    const [first = ""] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split("\t");
    return Number.parseInt(first, 10) || OUTGOING_PORT_MIN;
  } catch {
    return OUTGOING_PORT_MIN;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
