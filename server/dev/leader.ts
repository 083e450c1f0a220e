/** Asks nodes over their public API who they are, as anybody could. */
import * as z from "zod";

const statusSchema = z.looseObject({ nodeId: z.number(), role: z.string(), term: z.number() });

export type NodeStatus = z.infer<typeof statusSchema>;

const ASK_TIMEOUT_MS = 500;
const ASK_EVERY_MS = 40;

/** What the node at `address` says of itself; undefined while it does not answer. */
export async function askStatus(address: string): Promise<NodeStatus | undefined> {
  try {
    const response = await fetch(`http://${address}/v1/status`, {
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    return statusSchema.parse(await response.json());
  } catch {
    return undefined;
  }
}

/** Asks again and again until `accept` likes an answer; undefined when time or `signal` ends it. */
export async function waitForStatus(
  addresses: readonly string[],
  accept: (status: NodeStatus) => boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<NodeStatus | undefined> {
  const deadline = performance.now() + timeoutMs;
  while (!signal.aborted && performance.now() < deadline) {
    const answers = await Promise.all(addresses.map(askStatus));
    const accepted = answers.find((status) => status !== undefined && accept(status));
    if (accepted !== undefined) return accepted;
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
  return undefined;
}
