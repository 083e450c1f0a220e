import assert from "node:assert/strict";
import { test } from "node:test";
import type { Configuration, Envelope, Member } from "../../raft/index.ts";
import type { DamageSurvey, LogBase, ReceivedSnapshot } from "../../storage/index.ts";
import { ManualClock } from "../../storage/testing/manual-clock.ts";
import type {
  ForwardResults,
  PeerMessage,
  ReplicaMessage,
  Transport,
  TransportEvents,
} from "../peer/index.ts";
import { lendEntries } from "./lend-entries.ts";
import type { RepairResult } from "./repair-session.ts";
import { RepairingReplica, rebuildOf } from "./repairing-replica.ts";
import { baseOf, chain, terms } from "./testing/chain.ts";

const LOG = chain(terms(2, 10));
const CONFIGURATION: Configuration = { members: [1, 2, 3].map(member) };

function member(id: number): Member {
  const peerAddress = `127.0.0.1:${9000 + id}`;
  return { id, incarnation: 70 + id, role: "voter", peerAddress, clientAddress: "" };
}

/** Entries 4 to 6 are lost. */
const SURVEY: DamageSurvey = {
  identity: { clusterId: "tests", nodeId: 1, incarnation: 71 },
  hardState: { term: 5, vote: 2, commitIndex: 9 },
  isRecovering: false,
  places: [{ file: "wal-1.log", offset: 4096, reason: "a sector fails its checksum" }],
  snapshot: undefined,
  snapshotBytes: 0,
  lostSnapshotIndex: 0,
  start: { index: 0, term: 0, checksum: 0 },
  prefix: LOG.slice(0, 3),
  islands: [LOG.slice(6)],
  lost: [],
  lastKnownIndex: 10,
  isTailKnown: true,
  configuration: { index: 4, configuration: CONFIGURATION },
};

class FakeTransport implements Transport {
  members: readonly Member[] = [];
  readonly told: ReplicaMessage[] = [];
  readonly results: ForwardResults[] = [];
  closed: (() => void) | undefined;
  setMembers(members: readonly Member[]): void {
    this.members = members;
  }
  send(): void {
    assert.fail("a node that repairs takes no part in Raft");
  }
  forward(): boolean {
    return false;
  }
  forwardResults(message: ForwardResults): void {
    this.results.push(message);
  }
  tell(message: ReplicaMessage): void {
    this.told.push(message);
  }
  sendSnapshot(): void {}
  close(done: () => void): void {
    this.closed = done;
  }
}

function open(survey = SURVEY) {
  const clock = new ManualClock();
  const transport = new FakeTransport();
  const given: { events?: TransportEvents } = {};
  const discarded: ReceivedSnapshot[] = [];
  const results: RepairResult[] = [];
  const replica = new RepairingReplica({
    survey,
    initialConfiguration: CONFIGURATION,
    clock,
    openTransport: (events) => {
      given.events = events;
      return transport;
    },
    discardSnapshot: (snapshot) => discarded.push(snapshot),
    log: { info: () => {}, warn: () => {}, error: () => {} },
    done: (result) => results.push(result),
  });
  const { events } = given;
  assert.ok(events !== undefined);
  const take = (message: PeerMessage) => events.message(message);
  return { clock, transport, replica, discarded, results, take };
}

test("what is whole is lent to a member that repairs, too", () => {
  const { transport, take } = open();
  take({ kind: "repair-request", from: 3, to: 1, first: 7, last: 9, wantsSnapshot: false });
  take({ kind: "repair-request", from: 3, to: 1, first: 4, last: 5, wantsSnapshot: true });
  const answers = transport.told.filter((message) => message.kind === "repair-answer");
  assert.deepEqual(
    answers.map(({ state, hasLeader, entries }) => [state, hasLeader, entries]),
    [
      ["repairing", false, LOG.slice(6, 9)],
      ["repairing", false, []],
    ],
  );
});

test("it has a past, gives no vote, and refuses forwarded writes at once", () => {
  const { transport, replica, take } = open();
  assert.equal(replica.isFresh, false);
  const message = {
    kind: "request-vote",
    phase: "vote",
    lastLogIndex: 99,
    lastLogTerm: 99,
    transfer: false,
  } as const;
  const envelope: Envelope = { group: 0, from: 2, to: 1, term: 99, isRecovering: false, message };
  take({ kind: "raft", envelope });
  const command = new Uint8Array([1]);
  const requests = [{ id: 5, command }];
  const origin = { from: 2, to: 1, leaderTerm: 5, originIncarnation: 8, sequence: 1 };
  take({ kind: "forward", ...origin, requests });
  const [results] = transport.results;
  assert.equal(results?.originIncarnation, 8);
  assert.deepEqual(
    results.results.map(({ id, outcome }) => [id, outcome.kind]),
    [[5, "not-applied"]],
  );
});

test("members are those of the newest configuration on disk", () => {
  const { replica } = open();
  const check = (id: number, incarnation: number) =>
    replica.checkMember({ id, incarnation, peerAddress: "", configurationIndex: 0 });
  assert.equal(check(2, 72), "member");
  assert.equal(check(2, 99), "wrong-incarnation");
  assert.equal(check(4, 74), "unknown");
});

test("the result comes once the network is let go of, and whoever closes is told too", () => {
  const { clock, transport, replica, results, take } = open();
  clock.advance(25);
  for (const from of [2, 3]) {
    const answer = { kind: "repair-answer", from, to: 1, state: "running" } as const;
    const range = transport.told.findLast(({ kind }) => kind === "repair-request");
    const { first, last } = range?.kind === "repair-request" ? range : { first: 1, last: 0 };
    const entries = lendEntries({ first, last }, (index) => LOG[index - 1]);
    take({ ...answer, last, entries, hasLeader: false, snapshotIndex: 0 });
  }
  for (const request of transport.told.splice(0)) {
    if (request.kind !== "repair-request" || request.last === 0) continue;
    const answer = { kind: "repair-answer", from: request.to, to: 1, state: "running" } as const;
    const entries = lendEntries(request, (index) => LOG[index - 1]);
    take({ ...answer, last: request.last, entries, hasLeader: false, snapshotIndex: 0 });
  }
  assert.ok(transport.closed !== undefined, "the session is over");
  assert.equal(results.length, 0);
  let isClosed = false;
  replica.close(() => {
    isClosed = true;
  });
  transport.closed();
  assert.equal(results.length, 1);
  assert.deepEqual(results[0]?.entries, LOG);
  assert.equal(isClosed, true);
});

test("closed from outside, it has no result", () => {
  const { clock, transport, replica, results } = open();
  let isClosed = false;
  replica.close(() => {
    isClosed = true;
  });
  transport.closed?.();
  clock.advance(1_000);
  assert.equal(isClosed, true);
  assert.equal(results.length, 0);
});

test("an exact log keeps its hard state", () => {
  const result = { kind: "exact", entries: LOG, received: undefined } as const;
  const { hardState, isRecovering, entries } = rebuildOf(SURVEY, result);
  assert.deepEqual(hardState, SURVEY.hardState);
  assert.equal(isRecovering, false);
  assert.equal(entries, LOG);
});

test("a cut log goes on in a new term, without a vote, and with nothing known committed", () => {
  const result = { kind: "recovering", entries: LOG.slice(0, 3), received: undefined } as const;
  const { hardState, isRecovering } = rebuildOf(SURVEY, result);
  assert.deepEqual(hardState, { term: 6, vote: 0, commitIndex: 0 });
  assert.equal(isRecovering, true);
});

test("a snapshot of a term this node never saw brings its term with it", () => {
  const received = receivedAt(baseOf(LOG[9] ?? assert.fail("ten entries")), 8);
  const exact = rebuildOf(SURVEY, { kind: "exact", entries: [], received });
  assert.deepEqual(exact.hardState, { term: 8, vote: 0, commitIndex: 10 });
  const recovering = rebuildOf(SURVEY, { kind: "recovering", entries: [], received });
  assert.deepEqual(recovering.hardState, { term: 9, vote: 0, commitIndex: 10 });
});

function receivedAt({ index, checksum: entryChecksum }: LogBase, term: number): ReceivedSnapshot {
  const place = { group: 0, index, term, time: 0, configurationIndex: 0, entryChecksum };
  const metadata = { ...place, configuration: CONFIGURATION };
  const description = { metadata, summary: new Uint8Array() };
  return { description, path: "received", byteLength: 1 };
}

test("who knows a newer configuration is asked as well: all others may have been replaced", () => {
  const { clock, transport, replica, take } = open();
  const stranger = { id: 9, incarnation: 91, peerAddress: "node9:1", configurationIndex: 4 };
  assert.equal(replica.checkMember(stranger), "unknown");
  const guest = { ...stranger, configurationIndex: 8 };
  assert.equal(replica.checkMember(guest), "member");
  assert.ok(transport.members.some(({ id, peerAddress }) => id === 9 && peerAddress === "node9:1"));
  clock.advance(25);
  assert.ok(transport.told.some(({ kind, to }) => kind === "repair-request" && to === 9));
  const answer = { kind: "repair-answer", from: 9, to: 1, state: "running" } as const;
  const entries = LOG.slice(3, 6);
  take({ ...answer, last: 6, entries, hasLeader: true, snapshotIndex: 0 });
  assert.equal(replica.progress.missingEntries, 0);
});
