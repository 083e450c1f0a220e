import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { freePorts } from "../loadtest/free-ports.ts";
import { askSupervisor } from "../server/dev/control.ts";
import { askStatus } from "../server/dev/leader.ts";

const RUN_DEV = fileURLToPath(new URL("../server/dev/testing/run-dev.ts", import.meta.url));
const PATIENCE_MS = 20_000;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0).toReversed()) clean();
});

interface Cluster {
  readonly directory: string;
  readonly members: readonly { readonly client: string; readonly clientPort: number }[];
  readonly args: readonly string[];
}

async function cluster(count: number): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-dev-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const ports = await freePorts(2 * count);
  const members = Array.from({ length: count }, (_, index) => {
    const clientPort = ports[index] ?? 0;
    const client = `127.0.0.1:${clientPort}`;
    return { id: index + 1, peer: `127.0.0.1:${ports[count + index]}`, client, clientPort };
  });
  const line = members.map(({ id, peer, client }) => `${id}=${peer}/${client}`).join(",");
  return { directory, members, args: ["--cluster", line, "--data", directory] };
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

class Dev {
  output = "";
  readonly process: ChildProcess;
  readonly exit: Promise<number | null>;

  constructor(args: readonly string[]) {
    this.process = spawn(process.execPath, ["--import", "tsx", RUN_DEV, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    cleanups.push(() => this.process.kill("SIGKILL"));
    const collect = (chunk: Buffer): void => {
      this.output += chunk.toString();
    };
    this.process.stdout?.on("data", collect);
    this.process.stderr?.on("data", collect);
    this.exit = once(this.process, "close").then(([code]) => z.number().nullable().parse(code));
  }

  async says(pattern: RegExp): Promise<void> {
    await eventually(
      () => pattern.test(this.output),
      () => `${pattern} in:\n${this.output}`,
    );
  }
}

async function eventually(
  holds: () => boolean | Promise<boolean>,
  describe: () => string,
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) assert.fail(`never came true: ${describe()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function allSilent({ members }: Cluster): Promise<void> {
  await eventually(
    async () => {
      const answers = await Promise.all(members.map(({ client }) => askStatus(client)));
      return answers.every((answer) => answer === undefined);
    },
    () => "every node is gone",
  );
}

test("a cluster comes up, says who leads and what to try, and stops on SIGINT", async () => {
  const three = await cluster(3);
  const dev = new Dev(three.args);
  await dev.says(/raft-kv is up after [\d.]+ s: node1 leads term 7\./u);
  await dev.says(/curl -X PUT http:\/\/127\.0\.0\.1:\d+\/v1\/kv\/greeting -d hello/u);
  for (const id of [1, 2, 3]) await dev.says(new RegExp(`^node${id} \\| stub ${id} serves `, "mu"));
  assert.equal(statSync(join(three.directory, "dev.json")).mode & 0o777, 0o600);
  dev.process.kill("SIGINT");
  assert.equal(await dev.exit, 0);
  for (const name of ["node1", "node2", "node3"]) {
    assert.match(dev.output, new RegExp(`^${name} stopped \\(exited with code 0\\)$`, "mu"));
  }
  await allSilent(three);
  const answer = await askSupervisor(three.directory, { action: "list", node: undefined });
  assert.equal(answer, undefined);
});

test("a second terminal lists, stops, starts and kills one node", async () => {
  const three = await cluster(3);
  const dev = new Dev(three.args);
  await dev.says(/raft-kv is up/u);
  const ask = async (...words: readonly string[]): Promise<string> => {
    const other = new Dev([...words, "--data", three.directory]);
    const code = await other.exit;
    return `${code}: ${other.output.trim()}`;
  };
  assert.equal(await ask("stop", "node2"), "0: node2 stopped");
  assert.equal(await ask("stop", "node2"), "1: node2 is not running");
  const listed = await ask("list");
  assert.match(listed, /^0: node1 {2}running .* leader of term 7\nnode2 {2}stopped/u);
  assert.match(await ask("start", "node2"), /^0: node2 serves after [\d.]+ s \(pid \d+\)$/u);
  assert.equal(await ask("kill", "node2"), "0: node2 killed");
  await dev.says(/node2 stopped \(killed by SIGKILL\)/u);
  assert.equal(await ask("stop", "node7"), "1: which node? There are node1, node2, node3.");
  assert.match(await ask("stop"), /^1: which node\?/u);
  const flagsFirst = new Dev(["--data", three.directory, "list"]);
  assert.equal(await flagsFirst.exit, 0);
});

test("a node that dies is named and not restarted", async () => {
  const three = await cluster(3);
  const dev = new Dev(three.args);
  // A leader and a majority are enough to be up: the third may still be loading.
  await dev.says(/^node3 \| stub 3 serves /mu);
  const status = await askStatus(three.members[2]?.client ?? "");
  process.kill(z.object({ pid: z.number() }).parse(status).pid, "SIGKILL");
  await dev.says(/^node3 died: killed by SIGKILL; start it again with: .* start node3 --data /mu);
});

test("when the supervisor is killed, the nodes stop too", async () => {
  const three = await cluster(3);
  const dev = new Dev(three.args);
  await dev.says(/raft-kv is up/u);
  for (const id of [1, 2, 3]) await dev.says(new RegExp(`^node${id} \\| stub ${id} serves `, "mu"));
  dev.process.kill("SIGKILL");
  await allSilent(three);
});

test("a busy port is named before any node starts", async () => {
  const three = await cluster(3);
  const busy = three.members[1]?.clientPort ?? 0;
  const server = await listen(busy);
  cleanups.push(() => server.close());
  const dev = new Dev(three.args);
  assert.equal(await dev.exit, 2);
  assert.match(dev.output, new RegExp(`port ${busy} is busy`, "u"));
  assert.doesNotMatch(dev.output, /stub/u);
});

test("a second cluster on the same data directory is refused", async () => {
  const three = await cluster(3);
  const dev = new Dev(three.args);
  await dev.says(/raft-kv is up/u);
  const second = new Dev(three.args);
  assert.equal(await second.exit, 2);
  assert.match(second.output, /is running on .* already/u);
});

test("a second Ctrl-C kills the nodes that would not stop", async () => {
  const one = await cluster(1);
  mkdirSync(join(one.directory, "node1"));
  writeFileSync(join(one.directory, "node1", "mode"), "stubborn");
  const dev = new Dev(one.args);
  await dev.says(/raft-kv is up/u);
  dev.process.kill("SIGINT");
  await dev.says(/node1 \| asked to stop/u);
  dev.process.kill("SIGINT");
  assert.equal(await dev.exit, 0);
  assert.match(dev.output, /node1 stopped \(killed by SIGKILL\)/u);
});

test("a cluster whose nodes all die at the start gives up with their last words", async () => {
  const one = await cluster(1);
  mkdirSync(join(one.directory, "node1"));
  writeFileSync(join(one.directory, "node1", "mode"), "die");
  const dev = new Dev(one.args);
  assert.equal(await dev.exit, 1);
  assert.match(dev.output, /^node1 \| could not start$/mu);
  assert.match(dev.output, /node1 died: exited with code 3/u);
});
