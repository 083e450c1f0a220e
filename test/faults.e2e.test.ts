import assert from "node:assert/strict";
import { test } from "node:test";
import { recordSchema } from "../clients/contract.ts";
import { ask, clientOf, PATIENCE_MS, until, withCluster } from "./cluster-process.ts";
import { runKill } from "./kill/run.ts";

test("six rounds of kill -9 under load lose nothing and apply nothing twice", async () => {
  const seed = 20;
  const report = await runKill({ cycles: 6, seed, nodes: 3, writers: 4 });
  assert.deepEqual(report.violations, [], `seed ${seed}`);
  assert.ok(report.acknowledged >= 100, `only ${report.acknowledged} writes, seed ${seed}`);
});

test("a client does not notice that the leader is killed under its writes", async () => {
  await withCluster({ nodes: 3 }, async (cluster) => {
    const kv = clientOf(cluster);
    const versions: number[] = [];
    let isKilled = false;
    const killed = (async () => {
      await until({ what: "ten writes", limitMs: PATIENCE_MS }, () => versions[9]);
      const { nodeId } = await cluster.leader();
      await cluster.end(nodeId, "SIGKILL");
      isKilled = true;
    })();
    for (let after = 0; after < 10; after += isKilled ? 1 : 0) {
      versions.push((await kv.put("counter", String(versions.length))).version);
    }
    await killed;
    assert.deepEqual(
      versions,
      versions.map((_, index) => index + 1),
    );
    assert.equal((await kv.get("counter"))?.version, versions.length);
    await kv.close();
  });
});

test("a plain request that comes while there is no leader waits for the next one", async () => {
  await withCluster({ nodes: 3 }, async (cluster) => {
    const { nodeId } = await cluster.settled();
    const [first, second] = cluster.nodes.filter(({ id }) => id !== nodeId);
    assert.ok(first !== undefined && second !== undefined);
    await cluster.end(nodeId, "SIGKILL");
    const [write, read] = await Promise.all([
      ask(cluster, first.id, "/v1/kv/a", { method: "PUT", body: "patient" }),
      ask(cluster, second.id, "/v1/kv?limit=1"),
    ]);
    assert.equal(write.status, 200, write.body);
    assert.equal(read.status, 200, read.body);
  });
});

test("a leader that was frozen gives no stale read when it wakes up", async () => {
  await withCluster({ nodes: 3 }, async (cluster) => {
    const kv = clientOf(cluster);
    await kv.put("seen", "old");
    const { nodeId, term } = await cluster.leader();
    cluster.process(nodeId).signal("SIGSTOP");
    const others = cluster.nodes.filter(({ id }) => id !== nodeId);
    await until({ what: "the others elect a leader", limitMs: PATIENCE_MS }, async () => {
      const statuses = await Promise.all(others.map(({ id }) => cluster.status(id)));
      return statuses.find((status) => status?.role === "leader" && status.term > term);
    });
    await kv.put("seen", "new");
    // These wait in its socket: it reads them the moment it wakes, still believing it leads.
    const reads = Array.from({ length: 20 }, () => ask(cluster, nodeId, "/v1/kv/seen"));
    cluster.process(nodeId).signal("SIGCONT");
    for (const { status, body } of await Promise.all(reads)) {
      if (status === 200) assert.equal(recordSchema.parse(JSON.parse(body)).value, "new");
      else assert.ok(status === 503 || status === 504, `${status} ${body}`);
    }
    const record = await until({ what: "it reads again", limitMs: PATIENCE_MS }, async () => {
      const { status, body } = await ask(cluster, nodeId, "/v1/kv/seen");
      return status === 200 ? recordSchema.parse(JSON.parse(body)) : undefined;
    });
    assert.equal(record.value, "new");
    await kv.close();
  });
});

test("without a majority nothing is acknowledged, and what was asked is not lost", async () => {
  await withCluster({ nodes: 3, flags: ["--request-timeout-ms", "500"] }, async (cluster) => {
    const kv = clientOf(cluster);
    await kv.put("a", "before");
    const { nodeId } = await cluster.leader();
    const others = cluster.nodes.filter(({ id }) => id !== nodeId);
    await Promise.all(others.map(({ id }) => cluster.end(id, "SIGKILL")));
    const write = await ask(cluster, nodeId, "/v1/kv/a", { method: "PUT", body: "alone" });
    assert.ok(write.status === 503 || write.status === 504, `${write.status} ${write.body}`);
    const read = await ask(cluster, nodeId, "/v1/kv/a");
    assert.ok(read.status === 503 || read.status === 504, `${read.status} ${read.body}`);
    const stale = await ask(cluster, nodeId, "/v1/kv/a?consistency=stale");
    assert.equal(recordSchema.parse(JSON.parse(stale.body)).value, "before");
    for (const { id } of others) cluster.start(id);
    const { version } = await kv.put("a", "together");
    const mayBeApplied = write.status === 504;
    assert.ok(version === 2 || (mayBeApplied && version === 3), `version ${version}`);
    await kv.close();
  });
});
