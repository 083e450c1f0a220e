/** Finds out which addresses are taken, before anything is started on them. */
import { createServer } from "node:net";
import { formatHostPort, type HostPort } from "../address.ts";

/** Nodes of a supervisor that was killed a moment ago may still be stopping. */
const ATTEMPTS = 4;
const PAUSE_MS = 400;

/** One sentence for every address that can not be listened on; none when all are free. */
export async function portProblems(addresses: readonly HostPort[]): Promise<readonly string[]> {
  let problems: readonly string[] = [];
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const found = await Promise.all(addresses.map(problemOf));
    problems = found.filter((problem) => problem !== undefined);
    if (problems.length === 0) return problems;
    if (attempt < ATTEMPTS) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return problems;
}

function problemOf(address: HostPort): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const where = formatHostPort(address);
      resolve(
        error.code === "EADDRINUSE"
          ? `port ${address.port} is busy: another process listens on ${where}`
          : `cannot listen on ${where}: ${error.message}`,
      );
    });
    server.listen({ host: address.host, port: address.port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}
