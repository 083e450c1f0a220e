import assert from "node:assert/strict";
import { test } from "node:test";
import type { Member } from "../raft/index.ts";
import { clusterIdOf } from "./cluster-id.ts";

const member = (id: number, port: number): Member => ({
  id,
  incarnation: 0,
  role: "voter",
  peerAddress: `127.0.0.1:${port}`,
  clientAddress: `127.0.0.1:${port - 1000}`,
});

test("the cluster id depends on the token and the members, not on their order", () => {
  const id = clusterIdOf("t", [member(1, 9001), member(2, 9002)]);
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(clusterIdOf("t", [member(2, 9002), member(1, 9001)]), id);
  assert.notEqual(clusterIdOf("u", [member(1, 9001), member(2, 9002)]), id);
  assert.notEqual(clusterIdOf("t", [member(1, 9001), member(2, 9003)]), id);
});
