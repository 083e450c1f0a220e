import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { errorBodySchema, putResponseSchema, recordSchema } from "../clients/contract.ts";
import {
  ask,
  type Cluster,
  clientOf,
  PATIENCE_MS,
  ROOT,
  readOwnRecord,
  startCluster,
  until,
  withCluster,
} from "./cluster-process.ts";

const skip = spawnSync("curl", ["--version"]).status === 0 ? false : "needs curl";

/** The curl lines of the README's first example, in their order, moved to this cluster's ports. */
function readmeLines(cluster: Cluster): readonly string[] {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const start = readme.slice(readme.indexOf("## Start"));
  const lines = start.slice(0, start.indexOf("Every node takes")).match(/^curl .*$/gmu) ?? [];
  return lines.map((line) =>
    line.replace(/127\.0\.0\.1:800(\d)/gu, (_, id: string) => cluster.node(Number(id)).client),
  );
}

function shell(line: string): string {
  const { status, stdout, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
  assert.equal(status, 0, `${line}\n${stderr}`);
  return stdout;
}

async function put(cluster: Cluster, id: number, key: string, value: string) {
  return await until({ what: `node ${id} takes a write`, limitMs: PATIENCE_MS }, async () => {
    const { status, body } = await ask(cluster, id, `/v1/kv/${key}`, {
      method: "PUT",
      body: value,
    });
    if (status === 503) return undefined;
    assert.equal(status, 200, body);
    return putResponseSchema.parse(JSON.parse(body));
  });
}

describe("three nodes", () => {
  let shared: Cluster;
  before(async () => {
    shared = await startCluster({ nodes: 3 });
    await shared.settled(PATIENCE_MS);
  });
  after(() => shared.dispose());

  test("the README's curl lines work as pasted", { skip }, async () => {
    const answers = readmeLines(shared).map(shell);
    assert.equal(answers.length, 5);
    const [written = "", read = "", raw, listed = "", deleted = ""] = answers;
    assert.equal(JSON.parse(written).version, 1);
    assert.equal(recordSchema.parse(JSON.parse(read)).value, "hello");
    assert.equal(raw, "hello");
    assert.equal(JSON.parse(listed).items[0].key, "greeting");
    assert.equal(JSON.parse(deleted).deleted, 1);
  });

  test("each of the three takes writes and reads, and sees what the others took", async () => {
    for (const writer of [1, 2, 3]) {
      await put(shared, writer, "greeting", `from ${writer}`);
      for (const reader of [1, 2, 3]) {
        const { status, body } = await ask(shared, reader, "/v1/kv/greeting");
        assert.equal(status, 200, body);
        assert.equal(recordSchema.parse(JSON.parse(body)).value, `from ${writer}`);
      }
    }
  });

  test("a node that does not lead names the leader when it may not forward", async () => {
    const leader = await shared.leader();
    const leaderAddress = shared.node(leader.nodeId).client;
    for (const { id } of shared.nodes) {
      for (const init of [{ method: "PUT", body: "x" }, { method: "GET" }]) {
        const answer = await ask(shared, id, "/v1/kv/a?forward=false", init);
        if (id === leader.nodeId) {
          assert.equal(answer.status, 200, answer.body);
          continue;
        }
        assert.equal(answer.status, 421, answer.body);
        const { error } = errorBodySchema.parse(JSON.parse(answer.body));
        assert.equal(error.code, "NOT_LEADER");
        assert.equal(error.outcome, "not_applied");
        assert.equal(error.leader, leaderAddress);
      }
    }
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal} stops all of them cleanly, and a second start finds the data`, async () => {
      await withCluster({ nodes: 3 }, async (cluster) => {
        const { revision } = await put(cluster, 1, "kept", signal);
        const exits = await cluster.endAll(signal);
        assert.deepEqual(
          exits,
          cluster.nodes.map(() => ({ code: 0, signal: null })),
        );
        cluster.startAll();
        for (const { id } of cluster.nodes) {
          const record = await readOwnRecord(cluster, id, "kept", revision);
          assert.equal(record.value, signal);
          assert.equal(record.revision, revision);
        }
        assert.equal((await put(cluster, 2, "kept", "and goes on")).version, 2);
      });
    });
  }

  test("a leader that is asked to stop hands over, so that writes hardly wait", async () => {
    await withCluster({ nodes: 3 }, async (cluster) => {
      const leader = await cluster.leader();
      assert.deepEqual(await cluster.end(leader.nodeId, "SIGTERM"), { code: 0, signal: null });
      const next = await cluster.leader();
      assert.notEqual(next.nodeId, leader.nodeId);
      assert.ok(next.term > leader.term);
      const kv = clientOf(cluster);
      assert.equal((await kv.put("after", "the stop")).version, 1);
      await kv.close();
    });
  });
});

for (const nodes of [3, 5]) {
  test(`${nodes} nodes: node 2 misses an overwrite and has it after its return`, async () => {
    await withCluster({ nodes }, async (cluster) => {
      await put(cluster, 1, "greeting", "hello");
      assert.equal((await cluster.end(2, "SIGTERM")).code, 0);
      const { revision } = await put(cluster, 1, "greeting", "hello again");
      cluster.start(2);
      const record = await readOwnRecord(cluster, 2, "greeting", revision);
      assert.equal(record.value, "hello again");
      assert.equal(record.version, 2);
    });
  });
}
