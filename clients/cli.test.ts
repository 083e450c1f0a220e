import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClientIo, EXIT, isClientCommand, runClientCommand } from "./cli.ts";
import { oneLine, statusTable } from "./cli-format.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { FakeCluster, failure } from "./testing/fake-cluster.ts";

interface Shell {
  readonly cluster: FakeCluster;
  /** Runs a command line split at spaces; gives exit code, output and complaints. */
  run(line: string, stdin?: string): Promise<readonly [number, string, string]>;
}

function shell(env: Record<string, string> = {}): Shell {
  const clock = new FakeClock();
  const cluster = new FakeCluster("127.0.0.1:8001");
  const run: Shell["run"] = async (line, stdin = "") => {
    let output = "";
    let complaints = "";
    const io: ClientIo = {
      env,
      stdin: (async function* () {
        yield new TextEncoder().encode(stdin);
      })(),
      stdout: { write: (data) => (output += Buffer.from(data).toString("utf8")) },
      stderr: { write: (data) => (complaints += data) },
      ports: { fetch: cluster.fetch, clock, random: () => 0.5 },
    };
    const code = await clock.settle(runClientCommand(line.split(" "), io));
    return [code, output, complaints];
  };
  return { cluster, run };
}

test("put, get and del work together", async () => {
  const { run, cluster } = shell();
  assert.deepEqual(await run("put greeting hello"), [EXIT.ok, "revision 1\n", ""]);
  assert.deepEqual(await run("del greeting"), [EXIT.ok, "deleted, revision 2\n", ""]);
  assert.deepEqual(await run("del greeting"), [EXIT.absent, "", "no such key: greeting\n"]);
  assert.deepEqual(await run("get greeting"), [EXIT.absent, "", "no such key: greeting\n"]);
  assert.equal(cluster.sessions.size, 0, "each command closes its session");
});

test("a value from standard input is written as it is", async () => {
  const { run, cluster } = shell();
  await run("put a -", "two\nlines\n");
  await run("put b -- -5");
  assert.deepEqual(
    [cluster.records.get("a")?.value, cluster.records.get("b")?.value],
    ["two\nlines\n", "-5"],
  );
});

test("get prints text with a newline, and bytes exactly when asked", async () => {
  const { run, cluster } = shell();
  cluster.fault = () => ({ status: 200, body: "hello" });
  assert.deepEqual(await run("get a"), [EXIT.ok, "hello\n", ""]);
  assert.deepEqual(await run("get a --raw"), [EXIT.ok, "hello", ""]);
});

test("-o json prints what a script can read", async () => {
  const { run } = shell({ RAFT_KV_OUTPUT: "json" });
  const numbers = { revision: 1, createRevision: 1, version: 1 };
  const [, written] = await run("put a one");
  assert.deepEqual(JSON.parse(written), { key: "a", ...numbers });
  const [, record] = await run("get a");
  assert.deepEqual(JSON.parse(record), { key: "a", value: "one", type: "text", ...numbers });
  const [code, failed] = await run("put a two --if-absent");
  assert.equal(code, EXIT.absent);
  assert.equal(JSON.parse(failed).current.value, "one");
});

test("a condition that does not hold says what is there", async () => {
  const { run } = shell();
  await run("put a one");
  assert.deepEqual(await run("put a two --if-absent"), [
    EXIT.absent,
    "",
    "condition failed: the key is at revision 1\n",
  ]);
  assert.deepEqual(await run("del b --if-exists"), [
    EXIT.absent,
    "",
    "condition failed: the key is absent\n",
  ]);
});

test("list prints one pair per line and stops at the limit", async () => {
  const { run, cluster } = shell();
  const numbers = { revision: 1, createRevision: 1, version: 1 };
  const items = [
    { key: "a\tb", value: "x\ny\\", type: "text", ...numbers },
    { key: "j", value: { n: 1 }, type: "json", ...numbers },
    { key: "/w==", keyEncoding: "base64", value: "AP8=", type: "binary", ...numbers },
  ];
  cluster.fault = () => ({ status: 200, body: { items, revision: 1 } });
  const lines = ["a\\tb\tx\\ny\\\\\n", 'j\t{"n":1}\n', "\\xFF\t\\x00\\xFF\n"];
  assert.deepEqual(await run("list"), [EXIT.ok, lines.join(""), ""]);
  assert.deepEqual(await run("list a --limit 2 --keys"), [EXIT.ok, "a\\tb\nj\n", ""]);
  assert.match(cluster.seen.at(-1)?.path ?? "", /^\/v1\/kv\?keys=true&prefix=a&limit=2/);
  const [, json] = await run("list -o json");
  assert.deepEqual(
    json
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
    items,
  );
});

test("status asks every endpoint and fails when no leader is known", async () => {
  const { run, cluster } = shell({ RAFT_KV_ENDPOINTS: "n1:8001,n2:8002" });
  cluster.fault = ({ endpoint }) =>
    endpoint.endsWith("n1:8001") ? { status: 200, body: STATUS } : "refused";
  const [code, output, complaints] = await run("status");
  assert.equal(code, EXIT.ok);
  assert.match(output, /http:\/\/n1:8001 +1 +leader +7 +127\.0\.0\.1:8001 +42 +50 +61s\n/);
  assert.match(output, /http:\/\/n2:8002 +- +unreachable\n/);
  assert.match(complaints, /n2:8002: no answer within 1000 ms/);
  cluster.fault = () => "refused";
  assert.equal((await run("status"))[0], EXIT.notApplied);
});

test("exit codes tell not done from unknown", async () => {
  const { run, cluster } = shell();
  cluster.fault = () => "refused";
  assert.equal((await run("put a 1"))[0], EXIT.notApplied);
  cluster.fault = ({ method }) => (method === "PUT" ? failure("INTERNAL") : undefined);
  const [code, , complaints] = await run("put a 1");
  assert.equal(code, EXIT.unknown);
  assert.equal(complaints, "raft-kv: refused with INTERNAL\n");
  cluster.fault = () => failure("BAD_KEY");
  assert.equal((await run("get a"))[0], EXIT.notApplied);
});

test("a wrong command line is refused before anything is sent", async () => {
  const { run, cluster } = shell();
  const wrong = [
    "nonsense",
    "get",
    "get a b",
    "get a --limit 3",
    "get a --unknown",
    "put a",
    "put a b --if-absent --if-exists",
    "put a b --if-revision x",
    "put a {broken --json",
    "list --limit -1",
    "get a -o yaml",
    "get a --timeout soon",
    "get a -e ftp://x",
  ];
  for (const line of wrong) {
    const [code, output, complaints] = await run(line);
    assert.deepEqual([code, output], [EXIT.usage, ""], line);
    assert.match(complaints, /^raft-kv: /, line);
  }
  assert.equal(cluster.seen.length, 0);
});

test("every command explains itself", async () => {
  const { run } = shell();
  for (const name of ["get", "put", "del", "list", "status"]) {
    assert.ok(isClientCommand(name));
    const [code, output] = await run(`${name} --help`);
    assert.equal(code, EXIT.ok);
    assert.match(output, new RegExp(`^Usage: raft-kv ${name}`));
    assert.match(output, /Exit codes:/);
    for (const line of output.split("\n")) assert.ok(line.length <= 100, line);
  }
  assert.equal(isClientCommand("server"), false);
});

test("a terminal is safe from what is in a value", () => {
  assert.equal(oneLine("\u001b[31mred\u0007\u0085 é ✓"), "\\x1B[31mred\\x07\\u0085 é ✓");
  assert.equal(oneLine(Uint8Array.of(0x61, 0x0a)), "a\\n");
  assert.equal(oneLine(Uint8Array.of(0x61, 0x0a, 0xff)), "a\\x0A\\xFF");
});

test("the status table lines up", () => {
  const [head = "", row = ""] = statusTable([{ endpoint: "http://n1:8001", error: "x" }]).split(
    "\n",
  );
  assert.equal(head.indexOf("ROLE"), row.indexOf("unreachable"));
});

const STATUS = {
  nodeId: 1,
  clusterId: "c",
  version: "0.1.0",
  state: "running",
  role: "leader",
  term: 7,
  leaderId: 1,
  leader: "127.0.0.1:8001",
  revision: 42,
  commitIndex: 50,
  lastApplied: 50,
  lastLogIndex: 51,
  snapshotIndex: 0,
  hash: { index: 50, version: 1, value: "0123456789abcdef" },
  clusterTime: 0,
  members: [],
  progress: [],
  storage: { fsyncs: 0, batches: 0, bytesWritten: 0, segments: 1, logBytes: 0, snapshotBytes: 0 },
  uptimeMs: 61_500,
} as const;
