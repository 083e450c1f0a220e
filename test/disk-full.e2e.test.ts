import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { errorBodySchema, recordSchema } from "../clients/contract.ts";
import { startWhileFull } from "./chaos/disk-faults.ts";
import { RamDisk } from "./chaos/ram-disk.ts";
import {
  ask,
  type Cluster,
  clientOf,
  type HttpAnswer,
  PATIENCE_MS,
  readAll,
  startCluster,
  until,
} from "./cluster-process.ts";

const NODES = [1, 2, 3];
const DISK_MEBIBYTES = 16;
const READ_PATIENCE_MS = 5_000;
/** A segment holds some hundred batches, so a node soon needs space for the next one. */
const FLAGS = ["--segment-bytes", String(512 * 1024)];
const PADDING = "x".repeat(20_000);

type Disks = ReadonlyMap<number, RamDisk>;

/** A cluster whose nodes each have a disk that can be filled; skipped where that is forbidden. */
async function withSmallDisks(
  context: TestContext,
  use: (cluster: Cluster, disks: Disks) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-disk-full-"));
  const disks = new Map<number, RamDisk>();
  try {
    for (const id of NODES) {
      const disk = RamDisk.mount(join(directory, `node${id}`), DISK_MEBIBYTES);
      if (disk === undefined) {
        context.skip("this machine does not permit mounting a tmpfs");
        return;
      }
      disks.set(id, disk);
    }
    const cluster = await startCluster({ nodes: NODES.length, flags: FLAGS, directory });
    try {
      await cluster.settled(PATIENCE_MS);
      await use(cluster, disks);
      cluster.assertAlive();
    } finally {
      await cluster.endAll("SIGKILL");
    }
  } finally {
    for (const disk of disks.values()) disk.unmount();
    rmSync(directory, { recursive: true, force: true });
  }
}

function put(cluster: Cluster, id: number, value: string): Promise<HttpAnswer> {
  return ask(cluster, id, "/v1/kv/a", { method: "PUT", body: value });
}

/** Writes until one is refused; returns that answer and the last value acknowledged. */
async function writeUntilRefused(cluster: Cluster) {
  const writes = { acknowledged: "", next: 0 };
  const patience = { what: "a write is refused", limitMs: PATIENCE_MS, everyMs: 0 };
  const answer = await until(patience, async () => {
    writes.next += 1;
    const value = `value ${writes.next} ${PADDING}`;
    const written = await put(cluster, NODES[writes.next % NODES.length] ?? 1, value);
    if (written.status !== 200) return written;
    writes.acknowledged = value;
    return undefined;
  });
  return { answer, acknowledged: writes.acknowledged };
}

/** A leader whose disk is full hands over, so that a read may find none for a moment. */
async function assertReads(cluster: Cluster, value: string): Promise<void> {
  for (const { id } of cluster.running) {
    const patience = { what: `node ${id} reads`, limitMs: READ_PATIENCE_MS };
    const body = await until(patience, async () => {
      const answer = await ask(cluster, id, "/v1/kv/a");
      if (answer.status === 503) return undefined;
      assert.equal(answer.status, 200, answer.body);
      return answer.body;
    });
    assert.equal(recordSchema.parse(JSON.parse(body)).value, value);
  }
}

async function assertAllEqual(cluster: Cluster, minRevision: number): Promise<void> {
  const states = await Promise.all(NODES.map((id) => readAll(cluster, id, minRevision)));
  for (const { text } of states) assert.equal(text, states[0]?.text);
}

test("full disks refuse writes with 507, serve reads, survive a restart and heal alone", async (context) => {
  await withSmallDisks(context, async (cluster, disks) => {
    assert.equal((await put(cluster, 1, "before")).status, 200);
    for (const disk of disks.values()) disk.fill();
    const { answer, acknowledged } = await writeUntilRefused(cluster);
    assert.equal(answer.status, 507, answer.body);
    const { error } = errorBodySchema.parse(JSON.parse(answer.body));
    assert.deepEqual([error.code, error.outcome], ["DISK_FULL", "not_applied"]);
    await assertReads(cluster, acknowledged);

    const { nodeId } = await cluster.leader();
    const follower = NODES.find((id) => id !== nodeId) ?? 1;
    await cluster.end(follower, "SIGKILL");
    const refusal = await startWhileFull(cluster, follower);
    if (refusal !== undefined) assert.match(refusal, /ENOSPC/u);
    await assertReads(cluster, acknowledged);

    for (const disk of disks.values()) disk.free();
    if (refusal !== undefined) cluster.start(follower);
    await cluster.settled(PATIENCE_MS);
    const what = "a write is taken again";
    await until({ what, limitMs: PATIENCE_MS }, async () => {
      const { status, body } = await put(cluster, 1, "after");
      assert.ok([200, 503, 507].includes(status), `${status} ${body}`);
      return status === 200 ? true : undefined;
    });
    await assertReads(cluster, "after");
    await assertAllEqual(cluster, (await cluster.status(1))?.revision ?? 0);
  });
});

test("while a minority's disks are full, the leader's among them, writes go on", async (context) => {
  await withSmallDisks(context, async (cluster, disks) => {
    const kv = clientOf(cluster);
    await kv.put("a", "before");
    const { nodeId } = await cluster.leader();
    const disk = disks.get(nodeId);
    assert.ok(disk !== undefined);
    disk.fill();
    // Far more than fits into the space it has kept.
    let revision = 0;
    for (let number = 1; number <= 100; number += 1) {
      ({ revision } = await kv.put("a", `value ${number} ${PADDING}`));
    }
    assert.equal((await kv.get("a"))?.value, `value 100 ${PADDING}`);
    disk.free();
    await assertAllEqual(cluster, revision);
    await kv.close();
  });
});
