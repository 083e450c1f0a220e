/** A client on virtual time against a fake cluster of three nodes, `n1` to `n3`. */
import { KvClient } from "../kv-client.ts";
import type { KvClientOptions } from "../options.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeCluster } from "./fake-cluster.ts";

export const NODES = ["n1:8001", "n2:8002", "n3:8003"] as const;

export interface Harness {
  readonly clock: FakeClock;
  readonly cluster: FakeCluster;
  readonly client: KvClient;
}

/** The leader is n1 and every delay is half its bound, unless told. */
export function harness(options: Partial<KvClientOptions> = {}): Harness {
  const clock = new FakeClock();
  const cluster = new FakeCluster(NODES[0]);
  const { fetch } = cluster;
  const client = new KvClient({ endpoints: NODES, clock, fetch, random: () => 0.5, ...options });
  return { clock, cluster, client };
}

/** What a promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the promise was not rejected");
}
