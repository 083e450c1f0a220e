import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "../options.ts";
import { dialAddress, planDevCluster } from "./plan.ts";

function plan(args: readonly string[], file = "{}", environment = {}) {
  return planDevCluster({ args, environment, readFile: () => file });
}

function refusal(args: readonly string[], file = "{}"): string {
  try {
    plan(args, file);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new assert.AssertionError({ message: "the settings were accepted" });
}

test("three nodes on the default ports, each with a directory of its own", () => {
  const { nodes, dataDirectory } = plan([]);
  assert.equal(dataDirectory, "data");
  assert.deepEqual(
    nodes.map(({ name, client, peer }) => [name, client.port, peer.port]),
    [
      ["node1", 8001, 9001],
      ["node2", 8002, 9002],
      ["node3", 8003, 9003],
    ],
  );
  assert.deepEqual(nodes[1]?.args, [
    ...["server", "--id", "2", "--cluster"],
    "1=127.0.0.1:9001/127.0.0.1:8001,2=127.0.0.1:9002/127.0.0.1:8002,3=127.0.0.1:9003/127.0.0.1:8003",
    ...["--data", "data/node2", "--listen", "127.0.0.1:8002", "--peer-listen", "127.0.0.1:9002"],
    ...["--log-format", "text"],
  ]);
});

test("-n gives the number of nodes", () => {
  assert.equal(plan(["-n", "5"]).nodes.length, 5);
  assert.equal(plan(["--nodes=1"]).nodes.length, 1);
  assert.match(refusal(["-n", "0"]), /--nodes \(given "0"\): must be from 1 to 9/u);
});

test("a cluster file describes the members, and -n must agree with it", () => {
  const file = JSON.stringify({
    token: "t",
    members: [
      { id: 4, peer: "127.0.0.1:9104", client: "127.0.0.1:8104" },
      { id: 9, peer: "127.0.0.1:9109", client: "127.0.0.1:8109" },
    ],
  });
  const { nodes } = plan(["--config", "cluster.json"], file);
  assert.deepEqual(
    nodes.map(({ name, client }) => [name, client.port]),
    [
      ["node4", 8104],
      ["node9", 8109],
    ],
  );
  assert.ok(nodes[0]?.args.join(" ").includes("--config cluster.json"));
  assert.match(refusal(["-n", "5", "--config", "c"], file), /5 nodes are asked for, 2 are desc/u);
});

test("what follows -- goes to every node and is checked before any starts", () => {
  const { nodes } = plan(["-n", "1", "--", "--log-level", "debug", "--log-format=json"]);
  assert.deepEqual(nodes[0]?.args.slice(-3), ["--log-level", "debug", "--log-format=json"]);
  assert.match(refusal(["--", "--log-levl", "x"]), /unknown flag --log-levl; did you mean/u);
  assert.match(refusal(["--", "--id", "7"]), /--id is given twice/u);
});

test("variables meant for one server do not move the nodes of a dev cluster", () => {
  const environment = { RAFT_KV_LISTEN: "127.0.0.1:7777", RAFT_KV_ID: "9", RAFT_KV_NODES: "1" };
  assert.deepEqual(plan([], "{}", environment).nodes[0]?.client.port, 8001);
});

test("unknown options of dev are refused with the nearest known one", () => {
  assert.match(refusal(["--node", "3"]), /unknown flag --node; did you mean --nodes\?/u);
});

test("an address that means everywhere is dialled on this machine", () => {
  assert.equal(dialAddress({ host: "0.0.0.0", port: 1 }), "127.0.0.1:1");
  assert.equal(dialAddress({ host: "::", port: 1 }), "[::1]:1");
  assert.equal(dialAddress({ host: "127.0.0.2", port: 1 }), "127.0.0.2:1");
});
