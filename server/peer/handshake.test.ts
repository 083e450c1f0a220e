import assert from "node:assert/strict";
import { test } from "node:test";
import {
  answerHeaders,
  type Handshake,
  HandshakeGate,
  handshakeHeaders,
  type Membership,
  readAnswer,
  readHandshake,
} from "./handshake.ts";
import type { Caller } from "./transport.ts";

const SELF = { id: 2, incarnation: 202, clusterId: "a cluster ü", peerAddress: "second:7002" };
const CALL: Handshake = {
  clusterId: SELF.clusterId,
  from: 1,
  fromIncarnation: 101,
  fromAddress: "first:7001",
  configurationIndex: 7,
  fresh: true,
  to: 2,
  toIncarnation: 202,
  nonce: "0123456789abcdef",
};

function membership({ id, incarnation }: Caller): Membership {
  if (id !== 1) return "unknown";
  return incarnation === 101 ? "member" : "wrong-incarnation";
}

function verdict(change: Partial<Handshake>): string {
  const check = new HandshakeGate(SELF, membership).check(handshakeHeaders({ ...CALL, ...change }));
  return check.kind === "accepted" ? "accepted" : `${check.status} ${check.code}`;
}

test("what a caller says about itself arrives as it was sent", () => {
  assert.deepEqual(readHandshake(handshakeHeaders(CALL)), CALL);
  assert.deepEqual(readAnswer(answerHeaders(SELF, false)), {
    id: 2,
    incarnation: 202,
    fresh: false,
  });
});

test("a member that calls the right node is accepted, also before it knows the incarnation", () => {
  assert.equal(verdict({}), "accepted");
  assert.equal(verdict({ toIncarnation: 0 }), "accepted");
});

test("another cluster, another target and strangers are refused with 403", () => {
  assert.equal(verdict({ clusterId: "other" }), "403 WRONG_CLUSTER");
  assert.equal(verdict({ to: 3 }), "403 WRONG_TARGET");
  assert.equal(verdict({ toIncarnation: 201 }), "403 WRONG_TARGET");
  assert.equal(verdict({ from: 2 }), "403 WRONG_TARGET");
  assert.equal(verdict({ from: 9 }), "403 UNKNOWN_MEMBER");
  assert.equal(verdict({ fromIncarnation: 100 }), "403 WRONG_INCARNATION");
});

test("a request is taken once, a captured copy is refused", () => {
  const gate = new HandshakeGate(SELF, membership);
  assert.equal(gate.check(handshakeHeaders(CALL)).kind, "accepted");
  const again = gate.check(handshakeHeaders(CALL));
  assert.deepEqual(again, { kind: "refused", status: 403, code: "REPLAYED" });
  const fresh = { ...CALL, nonce: "fedcba9876543210" };
  assert.equal(gate.check(handshakeHeaders(fresh)).kind, "accepted");
});

test("headers that are missing or malformed are refused with 400", () => {
  const gate = new HandshakeGate(SELF, membership);
  const good = handshakeHeaders(CALL);
  const bad = { kind: "refused", status: 400, code: "BAD_HANDSHAKE" };
  for (const name of Object.keys(good)) {
    assert.deepEqual(gate.check({ ...good, [name]: undefined }), bad, name);
    assert.deepEqual(gate.check({ ...good, [name]: "" }), bad, name);
  }
  const numbers = ["-1", "1.5", "0x1", "1e3", "01", " 1", "9007199254740992", "NaN", "1,1"];
  for (const text of numbers) {
    for (const name of ["x-raft-from", "x-raft-from-incarnation", "x-raft-to"]) {
      assert.deepEqual(gate.check({ ...good, [name]: text }), bad, `${name}: ${text}`);
    }
  }
  assert.deepEqual(gate.check({ ...good, "x-raft-from": "0" }), bad);
  assert.deepEqual(gate.check({ ...good, "x-raft-version": "2" }), bad);
  assert.deepEqual(gate.check({ ...good, "x-raft-cluster": "%zz" }), bad);
});
