/**
 * Real clusters for tests: the compiled servers, on free ports, in a directory of their own. Adds
 * to the launcher what a test does to nodes and asks of them. Whatever is started here is gone when
 * the test file ends, however it ends.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listResponseSchema, recordSchema } from "../clients/contract.ts";
import { KvClient } from "../clients/index.ts";
import { type Cluster, type ClusterOptions, createCluster } from "../loadtest/cluster.ts";
import { until } from "../loadtest/until.ts";

export type { Cluster, ClusterNode } from "../loadtest/cluster.ts";
export { NeverHappenedError, until } from "../loadtest/until.ts";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SERVER = join(ROOT, "dist", "bin", "raft-kv.cjs");
const COMPILED = ["raft", "storage", "server", "clients"];

/** How long a test waits for something that takes well under a second on an idle machine. */
export const PATIENCE_MS = 20_000;

export type TestClusterOptions = Omit<ClusterOptions, "script">;

/** All nodes are starting; none need be ready. */
export async function startCluster(options: TestClusterOptions): Promise<Cluster> {
  buildWhenStale();
  const cluster = await createCluster({ ...options, script: SERVER });
  cluster.startAll();
  return cluster;
}

/** Runs `use` on a cluster whose nodes all serve and takes it away in the end. */
export async function withCluster(
  options: TestClusterOptions,
  use: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const cluster = await startCluster(options);
  try {
    await cluster.settled(PATIENCE_MS);
    await use(cluster);
    cluster.assertAlive();
  } finally {
    await cluster.endAll("SIGKILL");
    cluster.dispose();
  }
}

/** Servers run compiled: old JavaScript would test the code of yesterday. */
function buildWhenStale(): void {
  const sources = COMPILED.map((folder) => newestMs(join(ROOT, folder)));
  if (existsSync(SERVER) && newestMs(join(ROOT, "dist")) > Math.max(...sources)) return;
  execFileSync(process.execPath, [join(ROOT, "build.mjs")], { stdio: "inherit" });
}

function newestMs(directory: string): number {
  const times = readdirSync(directory, { withFileTypes: true }).map((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return newestMs(path);
    return /\.(?:ts|js)$/u.test(entry.name) ? statSync(path).mtimeMs : 0;
  });
  return Math.max(0, ...times);
}

export function clientOf(cluster: Cluster): KvClient {
  return new KvClient({ endpoints: cluster.endpoints });
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** One request to one node, no retries. Rejects when there is no answer. */
export async function ask(
  cluster: Cluster,
  id: number,
  path: string,
  init: RequestInit = {},
): Promise<HttpAnswer> {
  const response = await fetch(`http://${cluster.node(id).client}${path}`, {
    signal: AbortSignal.timeout(PATIENCE_MS),
    ...init,
  });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

/** A node's answer to a read of its own state: "behind" is no answer yet. */
export async function readOwnState(
  cluster: Cluster,
  id: number,
  path: string,
  minRevision = 0,
): Promise<string> {
  const joint = path.includes("?") ? "&" : "?";
  const query = `${joint}consistency=stale&minRevision=${minRevision}`;
  const what = `node ${id} has revision ${minRevision} in its own state`;
  return await until({ what, limitMs: PATIENCE_MS }, async () => {
    cluster.assertAlive();
    const answer = await ask(cluster, id, path + query).catch(() => undefined);
    if (answer === undefined || answer.status === 503) return undefined;
    if (answer.status !== 200) throw new Error(`${path}${query}: ${answer.status} ${answer.body}`);
    return answer.body;
  });
}

export async function readOwnRecord(
  cluster: Cluster,
  id: number,
  key: string,
  minRevision: number,
) {
  const path = `/v1/kv/${encodeURIComponent(key)}`;
  return recordSchema.parse(JSON.parse(await readOwnState(cluster, id, path, minRevision)));
}

export interface OwnState {
  readonly revision: number;
  /** The items exactly as the node wrote them, page after page. */
  readonly text: string;
  readonly records: ReadonlyMap<string, OwnRecord>;
}

export interface OwnRecord {
  readonly value: unknown;
  readonly version: number;
}

/** Everything a node holds, from its own state, once that has `minRevision`. */
export async function readAll(
  cluster: Cluster,
  id: number,
  minRevision: number,
): Promise<OwnState> {
  const records = new Map<string, OwnRecord>();
  const pages: string[] = [];
  let query = "limit=10000";
  for (;;) {
    const body = await readOwnState(cluster, id, `/v1/kv?${query}`, minRevision);
    const { items, revision, cursor } = listResponseSchema.parse(JSON.parse(body));
    for (const { key, value, version } of items) records.set(key, { value, version });
    pages.push(JSON.stringify(items));
    if (cursor === undefined) return { revision, text: pages.join("\n"), records };
    query = `limit=10000&cursor=${encodeURIComponent(cursor)}`;
  }
}
