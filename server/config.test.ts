import assert from "node:assert/strict";
import { test } from "node:test";
import { loadServerConfig, serverSchema } from "./config.ts";
import { ConfigError, optionsOf } from "./options.ts";

interface Given {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly files?: ReadonlyMap<string, string>;
}

function load({ args = [], environment = {}, files = new Map() }: Given) {
  const readFile = (path: string): string => {
    const content = files.get(path);
    if (content === undefined) throw new Error(`ENOENT: no such file, open '${path}'`);
    return content;
  };
  return loadServerConfig({ args, environment, readFile });
}

function problemsOf(given: Given): readonly string[] {
  try {
    load(given);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new assert.AssertionError({ message: "the settings were accepted" });
}

const THREE =
  "3=127.0.0.1:9003/127.0.0.1:8003,1=127.0.0.1:9001/127.0.0.1:8001,2=127.0.0.1:9002/127.0.0.1:8002";

test("a node that is told only its id is a cluster of its own with the default addresses", () => {
  const config = load({ args: ["--id", "2"] });
  assert.deepEqual(config.listen, { host: "127.0.0.1", port: 8002 });
  assert.deepEqual(config.peerListen, { host: "127.0.0.1", port: 9002 });
  assert.equal(config.dataDirectory, "data/node2");
  assert.equal(config.token, "raft-kv");
  assert.equal(config.timing.leaseDriftBound, undefined);
  assert.deepEqual(config.members, [
    {
      id: 2,
      incarnation: 0,
      role: "voter",
      peerAddress: "127.0.0.1:9002",
      clientAddress: "127.0.0.1:8002",
    },
  ]);
});

test("members are sorted by id, and a node listens where the cluster says it is", () => {
  const moved = THREE.replace("127.0.0.1:9002/127.0.0.1:8002", "127.0.0.1:19002/[::1]:18002");
  const config = load({ args: ["--id=2", `--cluster=${moved}`] });
  assert.deepEqual(
    config.members.map(({ id }) => id),
    [1, 2, 3],
  );
  assert.deepEqual(config.peerListen, { host: "127.0.0.1", port: 19002 });
  assert.deepEqual(config.listen, { host: "::1", port: 18002 });
});

test("a flag beats the environment, which beats the file", () => {
  const files = new Map([
    ["c.json", JSON.stringify({ id: 1, heartbeatMs: 30, tickMs: 30, token: "file" })],
  ]);
  const config = load({
    args: ["--tick-ms", "10", "--config", "c.json"],
    environment: { RAFT_KV_TICK_MS: "20", RAFT_KV_TOKEN: "environment" },
    files,
  });
  assert.equal(config.timing.tickMs, 10);
  assert.equal(config.token, "environment");
  assert.equal(config.timing.heartbeatMs, 30);
});

test("every option can be given as a flag, a variable and a key of a file", () => {
  for (const option of optionsOf(serverSchema)) {
    const nonsense = { args: [`${option.flag}=`, "--id=1"] };
    const accepted = ["--insecure", "--allowed-hosts", "--id"].includes(option.flag);
    if (!accepted) assert.doesNotMatch(problemsOf(nonsense).join(), /unknown/u, option.flag);
  }
  const spelled = optionsOf(serverSchema).find(({ key }) => key === "electionTimeoutMs");
  assert.equal(spelled?.flag, "--election-timeout-ms");
  assert.equal(spelled?.variable, "RAFT_KV_ELECTION_TIMEOUT_MS");
});

test("a cluster file names the members", () => {
  const members = [
    { id: 1, peer: "127.0.0.1:9001", client: "127.0.0.1:8001" },
    { id: 2, peer: "127.0.0.1:9002", client: "127.0.0.1:8002" },
  ];
  const files = new Map([["cluster.json", JSON.stringify({ token: "t", members })]]);
  const config = load({ args: ["--id", "2", "--config", "cluster.json"], files });
  assert.equal(config.token, "t");
  assert.deepEqual(
    config.members.map(({ peerAddress }) => peerAddress),
    ["127.0.0.1:9001", "127.0.0.1:9002"],
  );
});

test("unknown names are refused with the nearest known one, wherever they stand", () => {
  const files = new Map([["c.json", JSON.stringify({ heartbeatMS: 1 })]]);
  assert.deepEqual(
    problemsOf({
      args: ["--id", "1", "--elecion-timeout-ms", "9", "--config", "c.json", "--zzzzzzzzz"],
      environment: { RAFT_KV_TOCKEN: "x" },
      files,
    }),
    [
      "unknown flag --elecion-timeout-ms; did you mean --election-timeout-ms?",
      "unknown flag --zzzzzzzzz",
      "unknown environment variable RAFT_KV_TOCKEN; did you mean RAFT_KV_TOKEN?",
      'unknown key "heartbeatMS" in c.json; did you mean heartbeatMs?',
    ],
  );
});

test("settings of the other commands are passed over, as all share one environment", () => {
  const files = new Map([["c.json", JSON.stringify({ id: 1, nodes: 3 })]]);
  const environment = { RAFT_KV_NODES: "3", RAFT_KV_CONFIG: "c.json", RAFT_KV_TOKEN: "" };
  const forClients = { RAFT_KV_ENDPOINTS: "127.0.0.1:8001", RAFT_KV_OUTPUT: "json" };
  assert.equal(load({ environment: { ...environment, ...forClients }, files }).id, 1);
});

const BAD_VALUES: readonly (readonly [readonly string[], RegExp])[] = [
  [[], /^--id N is missing \(or RAFT_KV_ID\)$/u],
  [["--id", "1", "--token"], /^--token needs a value$/u],
  [["--id", "0"], /^--id \(given "0"\): must be a whole number of at least 1$/u],
  [["--id", "1.5"], /must be a whole number/u],
  [["--id", "9007199254740993"], /must be a whole number/u],
  [["--id", "1", "--id", "2"], /^--id is given twice$/u],
  [["--id", "1", "surprise"], /^unexpected argument "surprise"$/u],
  [["--id", "4", "--cluster", THREE], /^--id 4 is not in the cluster, whose ids are 3, 1, 2$/u],
  [["--id", "1", "--cluster", "1=a"], /^--cluster \(given "1=a"\): must be ID=PEER\/CLIENT/u],
  [["--id", "1", "--cluster", "1=a:1/a:2,1=b:1/b:2"], /id 1 stands for two things/u],
  [["--id", "1", "--cluster", "1=a:1/a:1"], /a:1 stands for two things/u],
  [["--id", "1", "--cluster", "1=a:1/a:0"], /"a:0" is not a host:port that others can dial/u],
  [["--id", "1", "--listen", "8001"], /must be host:port, such as 127\.0\.0\.1:8001/u],
  [["--id", "1", "--listen", "127.0.0.1:99999"], /must be host:port/u],
  [["--id", "1", "--listen", "127.0.0.1:9001"], /are both 127\.0\.0\.1:9001/u],
  [["--id", "1", "--listen", "127.0.0.1:6000"], /6000: fetch and browsers refuse to call that/u],
  [["--id", "1000"], /has no default ports/u],
  [["--id", "1", "--heartbeat-ms", "5"], /--heartbeat-ms \(5\) must be at least --tick-ms \(10\)/u],
  [["--id", "1", "--election-timeout-ms", "99"], /must be at least twice --heartbeat-ms \(50\)/u],
  [["--id", "1", "--lease-drift-bound", "1"], /must be a fraction from 0 to below 1/u],
  [["--id", "1", "--segment-bytes", "16MB"], /must be a number of bytes such as/u],
  [["--id", "1", "--log-format", "xml"], /must be one of auto, json, text/u],
  [["--id", "1", "--insecure=maybe"], /must be true or false/u],
  [["--id", "1", "--config", "none.json"], /^cannot read none\.json: ENOENT/u],
];

test("every bad value is refused by name", () => {
  for (const [args, expected] of BAD_VALUES) {
    const problems = problemsOf({ args });
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", expected);
  }
});

test("a file that is no JSON object is refused", () => {
  for (const content of ["[]", "null", "{", "3"]) {
    const files = new Map([["c.json", content]]);
    const problems = problemsOf({ args: ["--id", "1", "--config", "c.json"], files });
    assert.equal(problems.length, 1, content);
    assert.match(problems[0] ?? "", /c\.json/u);
  }
});

test("an address beyond this machine needs --insecure, and the refusal says why", () => {
  for (const host of ["0.0.0.0", "[::]", "10.0.0.7", "example.org"]) {
    const args = ["--id", "1", "--listen", `${host}:8001`, "--peer-listen", `${host}:9001`];
    const problems = problemsOf({ args });
    assert.equal(problems.length, 2);
    assert.match(problems[0] ?? "", /^--listen .* no authentication or TLS yet/u);
    assert.match(problems[1] ?? "", /^--peer-listen /u);
    assert.equal(load({ args: [...args, "--insecure"] }).listen.port, 8001);
  }
});

test("sizes can be written with a unit, and lists with commas", () => {
  const config = load({
    args: ["--id", "1", "--segment-bytes", "4MiB", "--allowed-hosts", "a.example, b.example"],
  });
  assert.equal(config.segmentBytes, 4 * 1024 * 1024);
  assert.deepEqual(config.allowedHosts, ["a.example", "b.example"]);
});

test("one message tells everything, where to read on, and asks for exit code 2", () => {
  try {
    load({ args: ["--id", "x", "--nope"] });
    assert.fail("the settings were accepted");
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.exitCode, 2);
    assert.equal(
      error.message,
      [
        "raft-kv server: cannot start with these settings:",
        "  unknown flag --nope",
        '  --id (given "x"): must be a whole number of at least 1',
        "`raft-kv server --help` lists all options.",
      ].join("\n"),
    );
  }
});
