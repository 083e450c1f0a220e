import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Configuration,
  DEFAULT_RAFT_CONFIG,
  RaftNode,
  type RestoredState,
  SeededRandom,
} from "../../raft/index.ts";
import { Bootstrap, checkMember, mayVoteAtOnce } from "./bootstrap.ts";

const SELF = { id: 1, incarnation: 71 };
const GRACE_ENDS_MS = 500;
const EMPTY: RestoredState = {
  hardState: { term: 0, vote: 0, commitIndex: 0 },
  snapshot: undefined,
  entries: [],
};

function membersWith(...incarnations: readonly number[]): Configuration {
  return {
    members: incarnations.map((incarnation, at) => ({
      id: at + 1,
      incarnation,
      role: "voter",
      peerAddress: `node${at + 1}:1`,
      clientAddress: `node${at + 1}:2`,
    })),
  };
}

function setUp(restored = EMPTY) {
  const mayVote = mayVoteAtOnce(restored);
  const config = { ...DEFAULT_RAFT_CONFIG, id: SELF.id, initialTime: 0, canVote: mayVote };
  const node = new RaftNode(
    { ...config, initialConfiguration: membersWith(0, 0, 0) },
    restored,
    new SeededRandom(1),
    0,
  );
  const remembered: (() => void)[] = [];
  const bootstrap = new Bootstrap(node, SELF, mayVote, GRACE_ENDS_MS, (done) => {
    remembered.push(done);
  });
  const makeDurable = (): void => {
    for (const done of remembered.splice(0)) done();
  };
  return { node, bootstrap, makeDurable };
}

/** Whether the node gives its vote to a candidate that deserves it. */
function votes(node: RaftNode): boolean {
  const term = node.term + 1;
  const message = {
    kind: "request-vote",
    phase: "vote",
    lastLogIndex: 9,
    lastLogTerm: 9,
    transfer: false,
  } as const;
  const request = { group: 0, from: 2, to: SELF.id, term, isRecovering: false, message };
  node.step(request, 0);
  return node
    .ready()
    .messagesAfterSync.some(
      (answer) => answer.message.kind === "request-vote-response" && answer.message.granted,
    );
}

test("a wiped disk does not vote once it met a member with a past (etcd 3504)", () => {
  const { node, bootstrap } = setUp();
  bootstrap.peerUp({ id: 2, incarnation: 72, fresh: true });
  bootstrap.peerUp({ id: 3, incarnation: 73, fresh: false });
  bootstrap.tick(10 * GRACE_ENDS_MS);
  assert.equal(votes(node), false);
});

test("a fresh member among fresh ones votes as soon as it has met them all", () => {
  const { node, bootstrap, makeDurable } = setUp();
  bootstrap.peerUp({ id: 2, incarnation: 72, fresh: true });
  bootstrap.tick(1);
  assert.equal(votes(node), false, "nobody knows yet what member 3 remembers");
  bootstrap.peerUp({ id: 3, incarnation: 73, fresh: true });
  bootstrap.tick(2);
  assert.equal(votes(node), false, "not before it is written down that it may");
  makeDurable();
  assert.equal(votes(node), true);
});

test("a fresh member that meets too few waits for the end of the grace, not longer", () => {
  const { node, bootstrap, makeDurable } = setUp();
  bootstrap.tick(GRACE_ENDS_MS - 1);
  assert.equal(votes(node), false);
  bootstrap.tick(GRACE_ENDS_MS);
  makeDurable();
  assert.equal(votes(node), true);
});

test("a disk that remembers a vote votes at once, whoever it met", () => {
  const { node, bootstrap } = setUp({ ...EMPTY, hardState: { term: 1, vote: 3, commitIndex: 0 } });
  bootstrap.peerUp({ id: 3, incarnation: 73, fresh: false });
  bootstrap.tick(1);
  assert.equal(votes(node), true);
});

test("a member whose incarnation is recorded is refused with another one (etcd 10254)", () => {
  const configuration = membersWith(71, 0, 73);
  assert.equal(checkMember(configuration, 1, 71), "member");
  assert.equal(checkMember(configuration, 1, 99), "wrong-incarnation");
  assert.equal(checkMember(configuration, 2, 99), "member", "not recorded yet");
  assert.equal(checkMember(configuration, 4, 74), "unknown");
});
