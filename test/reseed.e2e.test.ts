/**
 * Three real servers on sockets and disks, one of which computes something else: the whole way from
 * the wrong state over the fence and the evidence to a member that is equal again. All three live
 * in this process, so that the mistake can be made by replacing a method for one of them.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { errorBodySchema, statusResponseSchema } from "../clients/contract.ts";
import { KvClient } from "../clients/index.ts";
import { freePorts } from "../loadtest/free-ports.ts";
import { until } from "../loadtest/until.ts";
import { loadServerConfig } from "../server/config.ts";
import { encodePut, KvStateMachine } from "../server/kv/index.ts";
import { createLoggerOn } from "../server/logger.ts";
import { startServer } from "../server/server.ts";

const PATIENCE_MS = 20_000;
const MISTAKE = encodePut({ key: "mistake", value: Buffer.from("made here only"), type: "text" });

const directory = mkdtempSync(join(tmpdir(), "raft-kv-reseed-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const apply = KvStateMachine.prototype.apply;

/** Where `marker` is applied, `isWrong` machines do something else instead. */
function makeMistakes(marker: string, isWrong: (machine: KvStateMachine) => boolean): void {
  KvStateMachine.prototype.apply = function (entries, answer) {
    for (const entry of entries) {
      const isMarked = entry.type === "command" && Buffer.from(entry.data).includes(marker);
      const isMistake = isMarked && isWrong(this);
      apply.call(this, [isMistake ? { ...entry, data: MISTAKE } : entry], answer);
    }
  };
}

async function eventually(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  await until({ what, limitMs: PATIENCE_MS }, async () => ((await isSo()) ? true : undefined));
}

async function statusOf(endpoint: string) {
  const response = await fetch(`http://${endpoint}/v1/status`);
  return statusResponseSchema.parse(await response.json());
}

async function areEqual(endpoints: readonly string[]): Promise<boolean> {
  const all = await Promise.all(endpoints.map(statusOf));
  const [first] = all;
  return all.every(
    ({ state, hash }) =>
      state === "running" && hash.index === first?.hash.index && hash.value === first.hash.value,
  );
}

test("a server with another state comes back from the leader once, and then stays fenced", async () => {
  const ports = await freePorts(6);
  const endpoints = [1, 2, 3].map((id) => `127.0.0.1:${ports[id - 1]}`);
  const list = [1, 2, 3].map((id) => `${id}=127.0.0.1:${ports[id + 2]}/${endpoints[id - 1]}`);
  const lines: string[] = [];
  const log = createLoggerOn(
    { write: (line) => lines.push(line) },
    { level: "info", format: "json", nodeId: undefined },
    { isTerminal: false, hasColour: false },
  );
  const failures: Error[] = [];
  const servers = await Promise.all(
    [1, 2, 3].map((id) => {
      const data = join(directory, String(id));
      const args = ["--id", String(id), "--data", data, "--cluster", list.join(",")];
      const config = loadServerConfig({ args, environment: {}, readFile: () => "" });
      const fail = (error: Error) => failures.push(error);
      return startServer(config, { log, version: "test", fail });
    }),
  );
  const client = new KvClient({ endpoints });
  try {
    for (let n = 0; n < 50; n += 1) await client.put(`key-${n}`, `value-${n}`);
    const firstMachines = new Set<KvStateMachine>();
    // The third to get there: a follower. What it replays later it does right.
    makeMistakes("the marked value", (machine) => {
      if (firstMachines.size === 3 || firstMachines.has(machine)) return false;
      firstMachines.add(machine);
      return firstMachines.size === 3;
    });
    await client.put("marked", "the marked value");
    await eventually("a server fences itself", () =>
      lines.some((line) => line.includes("set the state aside")),
    );
    for (let n = 0; n < 20; n += 1) await client.put(`key-${n}`, `later-${n}`);
    await eventually("all are equal", () => areEqual(endpoints));
    for (const endpoint of endpoints) {
      const raw = (key: string) => fetch(`http://${endpoint}/v1/kv/${key}?raw`);
      assert.equal((await raw("mistake")).status, 404, endpoint);
      assert.equal(await (await raw("marked")).text(), "the marked value", endpoint);
    }
    const evidence = [1, 2, 3].map((id) =>
      readdirSync(join(directory, String(id))).filter((name) => name.startsWith("diverged-")),
    );
    assert.equal(evidence.filter((names) => names.length > 0).length, 1, JSON.stringify(evidence));

    // The same node, with a machine of its second life, goes wrong again.
    makeMistakes("the second mark", (machine) => !firstMachines.has(machine));
    await client.put("marked again", "the second mark");
    await eventually("it stays fenced", () =>
      lines.some((line) => line.includes("staying fenced")),
    );
    const states = await Promise.all(endpoints.map(async (at) => (await statusOf(at)).state));
    const fenced = endpoints[states.indexOf("fenced")];
    assert(fenced !== undefined, states.join());
    for (const path of ["/readyz", "/v1/kv/marked", "/v1/kv/marked?consistency=stale"]) {
      const refused = await fetch(`http://${fenced}${path}`);
      assert.equal(refused.status, 503, path);
      assert.equal(errorBodySchema.parse(await refused.json()).error.code, "FENCED", path);
    }
    await client.put("still", "here");
    assert.deepEqual(failures, []);
  } finally {
    await client.close();
    await Promise.all(servers.map((server) => new Promise<void>((done) => server.stop(done))));
  }
});
