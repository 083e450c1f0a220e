/** What a running node hands to a member that lost part of its disk. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "../../raft/index.ts";
import type { SnapshotDescription, SnapshotSource } from "../../storage/index.ts";
import type { RepairAnswer, ReplicaMessage } from "../peer/index.ts";
import { LENT_TERM, Lender } from "./lender.ts";

const SNAPSHOT: SnapshotDescription = {
  metadata: {
    group: 0,
    index: 20,
    term: 2,
    time: 20,
    entryChecksum: 7,
    configurationIndex: 0,
    configuration: { members: [] },
  },
  summary: new Uint8Array(),
};
const SOURCE: SnapshotSource = {
  description: SNAPSHOT,
  byteLength: 0,
  read: (done) => done(undefined, undefined),
  close: () => {},
};
const REQUEST = { kind: "repair-request", from: 2, to: 1, first: 1, last: 9 } as const;

class World {
  isTrusted = true;
  readonly answers: RepairAnswer[] = [];
  readonly sent: Envelope[] = [];
  readonly lender = new Lender({
    node: { isRecovering: false, leaderId: 3, entry: () => undefined },
    storage: { snapshot: SNAPSHOT, openSnapshot: () => SOURCE },
    self: 1,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    trustsState: () => this.isTrusted,
  });

  ask(wantsSnapshot: boolean): void {
    this.lender.asked({ ...REQUEST, wantsSnapshot }, this.#transport);
  }

  readonly #transport = {
    tell: (message: ReplicaMessage) => {
      assert.ok(message.kind === "repair-answer");
      this.answers.push(message);
    },
    sendSnapshot: (envelope: Envelope) => void this.sent.push(envelope),
  };
}

test("a snapshot is lent once at a time, in no leader's name", () => {
  const world = new World();
  world.ask(true);
  world.ask(true);
  assert.deepEqual(
    world.sent.map(({ to, term }) => [to, term]),
    [[2, LENT_TERM]],
  );
  assert.equal(world.answers[0]?.snapshotIndex, 20);
  assert.equal(world.lender.snapshotSent(2), true);
  assert.equal(world.lender.snapshotSent(2), false);
  world.ask(true);
  assert.equal(world.sent.length, 2);
});

test("a state that may be wrong is not lent, nor told of", () => {
  const world = new World();
  world.isTrusted = false;
  world.ask(true);
  assert.deepEqual(world.sent, []);
  assert.equal(world.answers[0]?.snapshotIndex, 0);
  world.isTrusted = true;
  world.ask(true);
  assert.equal(world.sent.length, 1);
});
