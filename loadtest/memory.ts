/**
 * What a key weighs and how long a restart takes: fills a node with small keys, writes until
 * a snapshot holds nearly all of them, weighs the process, and starts it anew.
 *
 * Live bytes are taken after a full collection: what the store holds, not what the collector has
 * not got round to. Resident memory is printed beside it: what the operating system sees.
 */
import { parseArgs } from "node:util";
import { type Cluster, createCluster } from "./cluster.ts";
import { residentBytesOf } from "./cpu-time.ts";
import { keyName } from "./key-space.ts";
import { positive, UsageError } from "./plan.ts";
import { assertNoneFailed, clusterTarget, Driver, measure, type Sample, SERVER } from "./target.ts";
import { until } from "./until.ts";

const BYTES_OVER_KEY_MAX = 300;
const RESTART_MS_MAX = 5000;
const VALUE_BYTES = 8;
const CONNECTIONS = 100;
/** Each writes a tenth of the keys again. */
const ROUNDS_MAX = 30;
const ANSWER_LIMIT_MS = 60_000;
/** The store's setting; and so many of the keys may be missing from the newest snapshot. */
const SNAPSHOT_EVERY_ENTRIES = 100_000;
/** Loaded into the server ahead of it: on a signal it collects and writes what is left. */
const PROBE = `
  import { writeSync } from "node:fs";
  process.on("SIGUSR2", () => {
    globalThis.gc(); globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    writeSync(1, JSON.stringify({ probe: "memory", liveBytes: heapUsed + external }) + "\\n");
  });`;

interface Weight {
  readonly liveBytes: number;
  readonly residentBytes: number;
}

export async function runMemory(args: readonly string[]): Promise<number> {
  const { keyCount, nodes } = parseOptions(args);
  const probe = `data:text/javascript,${encodeURIComponent(PROBE)}`;
  const cluster = await createCluster({
    script: SERVER,
    nodes,
    nodeFlags: ["--expose-gc", "--import", probe],
    flags: ["--snapshot-every-entries", String(SNAPSHOT_EVERY_ENTRIES)],
  });
  const driver = new Driver();
  try {
    cluster.startAll();
    const { nodeId } = await cluster.settled();
    const empty = await weigh(cluster, nodeId);
    await fill(cluster, driver, keyCount);
    const full = await weigh(cluster, nodeId);
    await cluster.endAll("SIGTERM");
    const restartMs = await restart(cluster, nodeId);
    const restarted = await weigh(cluster, nodeId);
    cluster.assertAlive();
    return report(keyCount, { empty, full, restarted, restartMs });
  } finally {
    driver.end();
    cluster.dispose();
  }
}

function parseOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "key-count": { type: "string", default: "1000000" },
        nodes: { type: "string", default: "1" },
      },
    });
    return {
      keyCount: positive("--key-count", values["key-count"]),
      nodes: positive("--nodes", values.nodes),
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A snapshot is due by what the log weighs beside it, so keys are written again until then. */
async function fill(cluster: Cluster, driver: Driver, keyCount: number): Promise<void> {
  const { requests, seconds } = await write(cluster, driver, keyCount);
  const perSecond = Math.round(requests / seconds);
  console.log(`${keyCount} keys written in ${seconds.toFixed(1)} s, ${perSecond} per second`);
  for (let round = 0; !(await areAllInSnapshots(cluster, keyCount)); round += 1) {
    if (round === ROUNDS_MAX) throw new Error("no snapshot holds nearly all keys");
    await write(cluster, driver, Math.ceil(keyCount / 10));
  }
}

async function write(cluster: Cluster, driver: Driver, keyCount: number): Promise<Sample> {
  const work = { kind: "fill", connections: CONNECTIONS, valueBytes: VALUE_BYTES } as const;
  const written = await measure(driver, clusterTarget(cluster), { ...work, keyCount });
  assertNoneFailed(written);
  cluster.assertAlive();
  return written;
}

async function areAllInSnapshots(cluster: Cluster, keyCount: number): Promise<boolean> {
  const statuses = await Promise.all(cluster.nodes.map(({ id }) => cluster.status(id)));
  return statuses.every(
    (status) =>
      status !== undefined &&
      status.lastApplied >= keyCount &&
      status.snapshotIndex >= keyCount - SNAPSHOT_EVERY_ENTRIES,
  );
}

async function weigh(cluster: Cluster, id: number): Promise<Weight> {
  const service = cluster.process(id);
  service.signal("SIGUSR2");
  const patience = { what: `node ${id} says its live bytes`, limitMs: ANSWER_LIMIT_MS };
  const liveBytes = await until(patience, () => {
    const index = service.lines.findLastIndex((line) => line.includes('"probe":"memory"'));
    const line = index < 0 ? undefined : service.takeLine(index);
    return line === undefined ? undefined : Number(/"liveBytes":(\d+)/u.exec(line)?.[1]);
  });
  return { liveBytes, residentBytes: residentBytesOf(service.pid) ?? 0 };
}

/** From the start of all processes until this node answers a read of the last key. */
async function restart(cluster: Cluster, id: number): Promise<number> {
  const startedAtMs = performance.now();
  cluster.startAll();
  const url = `http://${cluster.node(id).client}/v1/kv/${keyName(0)}?consistency=stale`;
  const patience = { what: `node ${id} serves again`, limitMs: ANSWER_LIMIT_MS, everyMs: 10 };
  await until(patience, async () => {
    cluster.assertAlive();
    const answer = await fetch(url).catch(() => undefined);
    return answer?.ok === true ? true : undefined;
  });
  return performance.now() - startedAtMs;
}

interface Weights {
  readonly empty: Weight;
  readonly full: Weight;
  readonly restarted: Weight;
  readonly restartMs: number;
}

function report(keyCount: number, { empty, full, restarted, restartMs }: Weights): number {
  const payload = keyName(0).length + VALUE_BYTES;
  const over = (bytes: number, base: number): number => (bytes - base) / keyCount - payload;
  const loaded = over(full.liveBytes, empty.liveBytes);
  const settled = over(restarted.liveBytes, empty.liveBytes);
  const line = (what: string, live: number, resident: number): string =>
    `${what.padEnd(18)} ${live.toFixed(0)} live bytes, ${resident.toFixed(0)} resident`;
  console.log(`bytes for each of ${keyCount} keys, over key and value (${payload} bytes):`);
  console.log(line("after the writes", loaded, over(full.residentBytes, empty.residentBytes)));
  console.log(line("after a restart", settled, over(restarted.residentBytes, empty.residentBytes)));
  console.log(`restart from the snapshot: ${restartMs.toFixed(0)} ms`);
  const problems: string[] = [];
  if (Math.max(loaded, settled) > BYTES_OVER_KEY_MAX) {
    problems.push(`a key takes more than ${BYTES_OVER_KEY_MAX} bytes`);
  }
  if (restartMs > RESTART_MS_MAX) problems.push(`a restart takes more than ${RESTART_MS_MAX} ms`);
  for (const problem of problems) console.error(`MISSED: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}
