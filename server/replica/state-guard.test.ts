import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Configuration,
  DEFAULT_RAFT_CONFIG,
  type Entry,
  RaftNode,
  SeededRandom,
} from "../../raft/index.ts";
import type { ReplicaMessage } from "../peer/index.ts";
import { cutAtPoints, type Divergence, POINT_EVERY_ENTRIES, StateGuard } from "./state-guard.ts";

const SELF = 1;
const LEADER = 2;
const CONFIGURATION: Configuration = {
  members: [1, 2, 3].map((id) => ({
    id,
    incarnation: id,
    role: "voter",
    peerAddress: "",
    clientAddress: "",
  })),
};

/** A guard of a node that follows `LEADER`, or nobody. */
function setUp(leaderId: number = LEADER) {
  const config = {
    ...DEFAULT_RAFT_CONFIG,
    id: SELF,
    initialTime: 0,
    initialConfiguration: CONFIGURATION,
  };
  const hardState = { term: 1, vote: 0, commitIndex: 0 };
  const restored = { hardState, snapshot: undefined, entries: [] };
  const node = new RaftNode(config, restored, new SeededRandom(1), 0);
  if (leaderId !== 0) {
    const message = { kind: "heartbeat", commitIndex: 0, readRound: 0 } as const;
    node.step({ group: 0, from: leaderId, to: SELF, term: 1, isRecovering: false, message }, 0);
  }
  const sent: ReplicaMessage[] = [];
  const fenced: Divergence[] = [];
  const errors: string[] = [];
  const state = { value: "a" };
  const guard = new StateGuard({
    node,
    self: SELF,
    handOverMs: 100,
    log: { info: () => {}, warn: () => {}, error: (_, message) => errors.push(message) },
    hash: () => ({ version: 1, value: state.value }),
    tell: (message) => sent.push(message),
    handOver: () => assert.fail("a follower hands nothing over"),
    standingChanged: () => {},
    fence: (divergence) => fenced.push(divergence),
  });
  return { guard, node, sent, fenced, errors, state };
}

function verdict(from: number, index: number, value: string, version = 1) {
  return { kind: "state-verdict", from, to: SELF, index, hash: { version, value } } as const;
}

function entriesFrom(first: number, count: number): readonly Entry[] {
  return Array.from({ length: count }, (_, at) => ({
    type: "noop",
    group: 0,
    term: 1,
    index: first + at,
    time: 0,
  }));
}

test("a follower reports at every multiple, and at no other index while entries come", () => {
  const { guard, sent } = setUp();
  for (let index = 1; index <= 3 * POINT_EVERY_ENTRIES + 5; index += 1) guard.applied(index, 0);
  assert.deepEqual(
    sent.map((message) => (message.kind === "state-report" ? message.index : 0)),
    [1, 2, 3].map((n) => n * POINT_EVERY_ENTRIES),
  );
});

test("a follower reports where the log comes to rest, and again after a while", () => {
  const { guard, sent } = setUp();
  const expected = {
    kind: "state-report",
    from: SELF,
    to: LEADER,
    index: 7,
    hash: { version: 1, value: "a" },
  };
  guard.tick(5_000, 7);
  assert.deepEqual(sent, [], "it may be on its way to more");
  guard.tick(5_100, 7);
  assert.deepEqual(sent, [expected]);
  guard.tick(5_200, 7);
  guard.tick(6_000, 7);
  assert.deepEqual(sent, [expected]);
  guard.tick(16_000, 7);
  assert.deepEqual(sent, [expected, expected]);
});

test("a node that keeps coming to rest takes a hash once a second at most", () => {
  const { guard, sent } = setUp();
  for (let nowMs = 2_000; nowMs < 12_000; nowMs += 50) guard.tick(nowMs, Math.floor(nowMs / 200));
  assert(sent.length >= 8 && sent.length <= 11, `${sent.length}`);
});

test("without a leader nothing is sent", () => {
  const { guard, sent } = setUp(0);
  guard.applied(POINT_EVERY_ENTRIES, 0);
  guard.tick(20_000, POINT_EVERY_ENTRIES);
  assert.deepEqual(sent, []);
});

test("a verdict of the leader against the own hash fences, once", () => {
  const { guard, fenced, errors } = setUp();
  guard.applied(POINT_EVERY_ENTRIES, 0);
  guard.judged(verdict(LEADER, POINT_EVERY_ENTRIES, "b"), 1);
  guard.judged(verdict(LEADER, POINT_EVERY_ENTRIES, "b"), 2);
  guard.tick(3, POINT_EVERY_ENTRIES);
  assert.deepEqual(fenced, [{ index: POINT_EVERY_ENTRIES, own: "a", majority: "b" }]);
  assert.equal(guard.standing, "fenced");
  assert.equal(errors.length, 2);
});

test("no other verdict fences", () => {
  const { guard, fenced } = setUp();
  guard.applied(POINT_EVERY_ENTRIES, 0);
  guard.judged(verdict(3, POINT_EVERY_ENTRIES, "b"), 1);
  guard.judged(verdict(LEADER, POINT_EVERY_ENTRIES, "a"), 1);
  guard.judged(verdict(LEADER, POINT_EVERY_ENTRIES, "b", 2), 1);
  guard.judged(verdict(LEADER, POINT_EVERY_ENTRIES - 1, "b"), 1);
  assert.deepEqual(fenced, []);
  assert.equal(guard.standing, "trusted");
});

test("a state that was replaced by a snapshot is not judged by what it was before", () => {
  const { guard, sent, fenced } = setUp();
  guard.applied(POINT_EVERY_ENTRIES, 0);
  guard.restored();
  guard.judged(verdict(LEADER, POINT_EVERY_ENTRIES, "b"), 1);
  guard.tick(20_000, POINT_EVERY_ENTRIES + 5);
  assert.deepEqual(fenced, []);
  assert.equal(sent.length, 1, "nothing old is reported again");
});

test("entries are cut behind every multiple, and nowhere else", () => {
  const every = POINT_EVERY_ENTRIES;
  for (const [first, count, expected] of [
    [1, 5, [5]],
    [1, every, [every]],
    [1, every + 1, [every, 1]],
    [every, 1, [1]],
    [every, 2, [1, 1]],
    [every + 1, every, [every]],
    [every - 2, 2 * every, [3, every, every - 3]],
  ] as const) {
    const entries = entriesFrom(first, count);
    const pieces = cutAtPoints(entries);
    assert.deepEqual(
      pieces.map((piece) => piece.length),
      expected,
      `${count} from ${first}`,
    );
    assert.deepEqual(pieces.flat(), entries);
  }
  assert.deepEqual(cutAtPoints([]), [[]]);
});
