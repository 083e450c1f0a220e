/**
 * Damaged disks under real nodes: whatever rots while a node is down comes back from its peers by
 * itself, within ten seconds and with nothing lost. Alone, a node refuses to start.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { KvClient } from "../clients/index.ts";
import {
  ask,
  type Cluster,
  clientOf,
  PATIENCE_MS,
  readAll,
  readOwnRecord,
  startCluster,
  until,
  withCluster,
} from "./cluster-process.ts";
import {
  damageSnapshots,
  deleteMiddleSegment,
  destroyEnd,
  flipBitIn,
  snapshotsOf,
} from "./repair/damage.ts";

const REPAIR_LIMIT_MS = 10_000;
const SMALL_SEGMENTS = ["--segment-bytes", "64KiB"];

/** Values that can be told from all others in a log file, wherever its sectors cut them. */
function textOf(key: string): string {
  return `<${key}>`.repeat(100);
}

function rot(directory: string, key: string): string {
  return flipBitIn(directory, `<${key}>`);
}

/** Says the revision of the last one. */
async function fill(kv: KvClient, prefix: string, count: number): Promise<number> {
  let revision = 0;
  for (let n = 0; n < count; n++) {
    const key = `${prefix}/${String(n).padStart(4, "0")}`;
    ({ revision } = await kv.put(key, textOf(key)));
  }
  return revision;
}

/** Waits until all nodes serve again, and says how long the slowest took since `startedMs`. */
async function expectRepaired(cluster: Cluster, startedMs: number): Promise<void> {
  for (const { id } of cluster.nodes) {
    const what = `node ${id} is whole and ready`;
    await until({ what, limitMs: PATIENCE_MS }, async () => {
      cluster.assertAlive();
      const status = await cluster.status(id);
      if (status?.state !== "running") return undefined;
      const { status: code } = await ask(cluster, id, "/readyz");
      return code === 200 ? true : undefined;
    });
  }
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < REPAIR_LIMIT_MS, `the repair took ${tookMs.toFixed(0)} ms`);
}

/** Every node holds all that was written, and the same. */
async function expectEqual(cluster: Cluster, revision: number, keys: number): Promise<void> {
  const [first, ...others] = await Promise.all(
    cluster.nodes.map(({ id }) => readAll(cluster, id, revision)),
  );
  assert.ok(first !== undefined);
  assert.equal(first.records.size, keys);
  for (const [key, { value }] of first.records) assert.equal(value, textOf(key));
  for (const other of others) assert.equal(other.text, first.text);
}

describe("three nodes, whose log has several segments", () => {
  let cluster: Cluster;
  let kv: KvClient;
  let revision = 0;
  let keys = 0;

  before(async () => {
    cluster = await startCluster({ nodes: 3, flags: SMALL_SEGMENTS });
    await cluster.settled(PATIENCE_MS);
    kv = clientOf(cluster);
  });
  after(async () => {
    await kv.close();
    cluster.dispose();
  });

  async function write(prefix: string, count: number): Promise<void> {
    revision = await fill(kv, prefix, count);
    keys += count;
    for (const { id } of cluster.nodes) await readAll(cluster, id, revision);
  }

  async function damageWhileDown(
    ids: readonly number[],
    damage: (directory: string, id: number) => void,
  ): Promise<void> {
    for (const id of ids) {
      await cluster.end(id, "SIGKILL");
      damage(cluster.node(id).directory, id);
    }
    const startedMs = performance.now();
    for (const id of ids) cluster.start(id);
    await expectRepaired(cluster, startedMs);
    await expectEqual(cluster, revision, keys);
  }

  function saidBy(id: number): string {
    return cluster.process(id).lines.join("\n");
  }

  test("a flipped bit in the middle of one log", async () => {
    await write("a", 120);
    await damageWhileDown([2], (directory) => rot(directory, "a/0040"));
    assert.match(saidBy(2), /what was durable is damaged/u);
    assert.match(saidBy(2), /the log is what it was/u);
  });

  test("a deleted segment in the middle of the leader's log", async () => {
    const { nodeId } = await cluster.leader();
    await damageWhileDown([nodeId], deleteMiddleSegment);
    assert.match(saidBy(nodeId), /the log is what it was/u);
  });

  test("a flipped bit in the value that was written last", async () => {
    await write("b", 5);
    await damageWhileDown([1], (directory) => rot(directory, "b/0004"));
  });

  test("a destroyed end: the node counts in no majority until it has caught up", async () => {
    await damageWhileDown([3], (directory) => destroyEnd(directory, 8));
    assert.match(saidBy(3), /lost the end of the log/u);
    assert.match(saidBy(3), /whole again/u);
  });

  test("damage on all three, each place whole somewhere", async () => {
    await damageWhileDown([1, 2, 3], (directory, id) => {
      rot(directory, `a/00${id}0`);
      rot(directory, `a/00${id + 4}5`);
    });
    for (const id of [1, 2, 3]) assert.match(saidBy(id), /the log is what it was/u);
  });

  test("destroyed ends of two of three: with all voters there, the best copy wins", async () => {
    await write("c", 10);
    await damageWhileDown([1, 2, 3], (directory, id) => {
      if (id !== 3) destroyEnd(directory, 12);
    });
  });

  test("what is repaired stays repaired, and the cluster goes on", async () => {
    await damageWhileDown([1, 2, 3], () => {});
    for (const id of [1, 2, 3]) assert.doesNotMatch(saidBy(id), /damaged|recovering/u);
    await write("d", 5);
    await expectEqual(cluster, revision, keys);
  });
});

test("a damaged snapshot that the log does not make up for comes from a peer", async () => {
  const flags = [...SMALL_SEGMENTS, "--snapshot-every-entries", "50", "--log-tail-entries", "5"];
  await withCluster({ nodes: 3, flags }, async (cluster) => {
    const kv = clientOf(cluster);
    const revision = await fill(kv, "s", 220);
    for (const { id } of cluster.nodes) await readAll(cluster, id, revision);
    await cluster.end(2, "SIGTERM");
    assert.ok(damageSnapshots(cluster.node(2).directory).length > 0);
    const startedMs = performance.now();
    cluster.start(2);
    await expectRepaired(cluster, startedMs);
    await expectEqual(cluster, revision, 220);
    assert.ok(snapshotsOf(cluster.node(2).directory).length > 0);
    await kv.close();
  });
});

test("while its peers are away a damaged node waits, says so, and can be stopped", async () => {
  await withCluster({ nodes: 3 }, async (cluster) => {
    const kv = clientOf(cluster);
    await kv.put("a", textOf("a"));
    const { revision } = await kv.put("b", textOf("b"));
    for (const { id } of cluster.nodes) await readOwnRecord(cluster, id, "b", revision);
    await cluster.endAll("SIGTERM");
    const path = rot(cluster.node(2).directory, "a");
    cluster.start(2);
    const status = await until({ what: "it repairs", limitMs: PATIENCE_MS }, () =>
      cluster.status(2),
    );
    assert.equal(status.state, "repairing");
    assert.ok(path.endsWith(status.repair?.damage[0]?.file ?? "nothing"));
    assert.equal((await ask(cluster, 2, "/livez")).status, 200);
    for (const route of ["/readyz", "/v1/kv/a"]) {
      const { status: code, body } = await ask(cluster, 2, route);
      assert.equal(code, 503);
      assert.match(body, /repairing/u);
    }
    assert.equal((await cluster.end(2, "SIGTERM")).code, 0);
    const startedMs = performance.now();
    cluster.startAll();
    await expectRepaired(cluster, startedMs);
    await expectEqual(cluster, revision, 2);
    await kv.close();
  });
});

test("alone, a node whose log was damaged refuses to start and says where", async () => {
  await withCluster({ nodes: 1 }, async (cluster) => {
    const kv = clientOf(cluster);
    await kv.put("a", textOf("a"));
    await kv.put("b", textOf("b"));
    await cluster.end(1, "SIGTERM");
    const { directory } = cluster.node(1);
    const path = rot(directory, "a");
    const dataFiles = () => readdirSync(directory).filter((name) => !name.startsWith("lock"));
    const files = dataFiles();
    for (let tries = 0; tries < 2; tries++) {
      const service = cluster.start(1);
      const { code } = await cluster.ends(1);
      const said = service.lines.join("\n");
      assert.equal(code, 1, said);
      assert.ok(said.includes(path), said);
      assert.match(said, /damaged at byte \d+/u);
    }
    assert.deepEqual(dataFiles(), files, "the evidence is left as it is");
    await kv.close();
  });
});
