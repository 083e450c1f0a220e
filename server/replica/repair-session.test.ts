import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry, Member, NodeId } from "../../raft/index.ts";
import type { ReceivedSnapshot, SnapshotDescription } from "../../storage/index.ts";
import { ManualClock } from "../../storage/testing/manual-clock.ts";
import type { HelperState, RepairRequest } from "../peer/index.ts";
import { BrokenLog, LOG_ORIGIN, type LogPiece } from "./broken-log.ts";
import { lendEntries } from "./lend-entries.ts";
import { type Remains, type RepairResult, RepairSession } from "./repair-session.ts";
import { baseOf, chain, terms } from "./testing/chain.ts";

const LOG = chain([...terms(1, 4), ...terms(2, 6)]);

function at(index: number): Entry {
  const entry = LOG[index - 1];
  assert.ok(entry !== undefined, `the log has an entry ${index}`);
  return entry;
}

function run(first: number, last: number): readonly Entry[] {
  return LOG.slice(first - 1, last);
}

/** The log with only these runs left of it; both ends of each are included. */
function remains(runs: readonly (readonly [number, number])[], rest: Partial<Remains> = {}) {
  const pieces = runs.map(
    ([first, last]): LogPiece => ({ kind: "entries", entries: run(first, last) }),
  );
  const log = new BrokenLog(LOG_ORIGIN, pieces, 0);
  return { log, snapshot: undefined, isTailKnown: true, ...rest };
}

function snapshotAt(index: number): SnapshotDescription {
  const { term, checksum } = baseOf(at(index));
  const metadata = { group: 0, index, term, time: index, configurationIndex: 0 };
  const configuration = { members: [] };
  return {
    metadata: { ...metadata, configuration, entryChecksum: checksum },
    summary: new Uint8Array(),
  };
}

function received(index: number): ReceivedSnapshot {
  return { description: snapshotAt(index), path: `received-${index}`, byteLength: 1 };
}

/** Another member, as far as a session sees it. */
interface Helper {
  entries?: readonly Entry[];
  state?: HelperState;
  hasLeader?: boolean;
  snapshotIndex?: number;
  isAway?: boolean;
}

class World {
  readonly clock = new ManualClock();
  readonly requests: RepairRequest[] = [];
  readonly discarded: ReceivedSnapshot[] = [];
  readonly results: RepairResult[] = [];
  readonly helpers: ReadonlyMap<NodeId, Helper>;
  readonly session: RepairSession;
  waits = 0;

  constructor(what: Remains, helpers: readonly Helper[]) {
    this.helpers = new Map(helpers.map((helper, position) => [position + 2, helper]));
    this.session = new RepairSession(
      {
        self: 1,
        others: () => [...this.helpers.keys()].map(member),
        clock: this.clock,
        ask: (request) => this.requests.push(request),
        discard: (snapshot) => this.discarded.push(snapshot),
        waiting: () => {
          this.waits++;
        },
        done: (result) => this.results.push(result),
      },
      what,
    );
  }

  get result(): RepairResult | undefined {
    assert.ok(this.results.length <= 1, "a session ends once");
    return this.results[0];
  }

  /** Lets time pass in ticks; what is asked is answered at once by who is there. */
  pass(durationMs: number): this {
    for (let passedMs = 0; passedMs < durationMs; passedMs += 25) {
      this.clock.advance(25);
      for (let next = this.requests.shift(); next !== undefined; next = this.requests.shift()) {
        this.#answer(next);
      }
    }
    return this;
  }

  #answer(request: RepairRequest): void {
    const helper = this.helpers.get(request.to);
    if (helper === undefined || helper.isAway === true) return;
    const { entries = [], state = "running", hasLeader = false, snapshotIndex = 0 } = helper;
    this.session.answered({
      kind: "repair-answer",
      from: request.to,
      to: 1,
      last: request.last,
      entries: lendEntries(request, (index) => entries.find((entry) => entry.index === index)),
      state,
      hasLeader,
      snapshotIndex,
    });
    if (request.wantsSnapshot && snapshotIndex > 0) {
      this.session.snapshotReceived(received(snapshotIndex));
    }
  }
}

function member(id: NodeId): Member {
  const peerAddress = `127.0.0.1:${9000 + id}`;
  return { id, incarnation: 0, role: "voter", peerAddress, clientAddress: "" };
}

test("one member that holds the lost entries is enough, whoever else is away", () => {
  const world = new World(
    remains([
      [1, 3],
      [7, 10],
    ]),
    [{ isAway: true }, { entries: LOG }],
  );
  const { result } = world.pass(1_000);
  assert.equal(result?.kind, "exact");
  assert.deepEqual(result.entries, LOG);
});

test("damage spread over all members is repaired while each entry is whole somewhere", () => {
  const world = new World(
    remains([
      [1, 1],
      [4, 5],
      [9, 10],
    ]),
    [
      { state: "repairing", entries: [...run(2, 2), ...run(6, 7)] },
      { state: "repairing", entries: [...run(1, 3), ...run(8, 10)] },
    ],
  );
  const { result } = world.pass(2_000);
  assert.equal(result?.kind, "exact");
  assert.deepEqual(result.entries, LOG);
});

test("a log whose end is not proven goes on as recovering, its holes filled", () => {
  const world = new World(
    remains(
      [
        [1, 3],
        [7, 9],
      ],
      { isTailKnown: false },
    ),
    [{ entries: LOG }],
  );
  const { result } = world.pass(1_000);
  assert.equal(result?.kind, "recovering");
  assert.deepEqual(result.entries, run(1, 9));
});

test("with nothing but the end lost there is nobody to wait for", () => {
  const world = new World(remains([[1, 8]], { isTailKnown: false }), [{ isAway: true }]);
  assert.equal(world.pass(25).result?.kind, "recovering");
});

test("while members are away and nobody knows a leader, the session waits", () => {
  const helper: Helper = { isAway: true };
  const world = new World(
    remains([
      [1, 3],
      [5, 10],
    ]),
    [{ entries: run(1, 3) }, helper],
  );
  assert.equal(world.pass(20_000).result, undefined);
  assert.ok(world.waits > 5, "it says so");
  helper.isAway = false;
  helper.entries = LOG;
  assert.equal(world.pass(3_000).result?.kind, "exact");
});

test("a hole that nobody can fill is given up once all voters have declined", () => {
  const world = new World(
    remains([
      [1, 3],
      [5, 10],
    ]),
    [{ entries: run(1, 3) }, {}],
  );
  const { result } = world.pass(2_000);
  assert.equal(result?.kind, "recovering");
  assert.deepEqual(result.entries, run(1, 3), "what stands above the hole is of no use");
});

test("a hole that nobody can fill is given up when a leader goes on without this node", () => {
  const world = new World(
    remains([
      [1, 3],
      [5, 10],
    ]),
    [{ hasLeader: true }, { isAway: true }],
  );
  assert.equal(world.pass(2_000).result?.kind, "recovering");
});

test("a snapshot takes the place of entries that were compacted away", () => {
  const world = new World(
    remains([
      [1, 3],
      [5, 10],
    ]),
    [{ snapshotIndex: 6, entries: run(7, 10) }, { isAway: true }],
  );
  const { result } = world.pass(2_000);
  assert.equal(result?.kind, "exact");
  assert.equal(result.received?.description.metadata.index, 6);
  assert.deepEqual(result.entries, run(5, 10), "the entries before the snapshot stay");
});

test("a lost snapshot is fetched, and the gap between it and the log is filled", () => {
  const log = new BrokenLog(baseOf(at(6)), [{ kind: "entries", entries: run(7, 10) }], 0);
  const world = new World({ log, snapshot: undefined, isTailKnown: true }, [
    { snapshotIndex: 4, entries: run(3, 10) },
  ]);
  const { result } = world.pass(2_000);
  assert.equal(result?.kind, "exact");
  assert.equal(result.received?.description.metadata.index, 4);
  assert.deepEqual(result.entries, run(3, 10));
});

test("a snapshot of a member that repairs itself is waited for", () => {
  const helper: Helper = { snapshotIndex: 6, state: "repairing" };
  const world = new World(
    remains([
      [1, 3],
      [5, 10],
    ]),
    [helper, {}],
  );
  assert.equal(world.pass(10_000).result, undefined);
  helper.state = "running";
  assert.equal(world.pass(2_000).result?.kind, "exact");
});

test("a snapshot that helps nothing is discarded, one nobody asked for is taken if it helps", () => {
  const world = new World(
    remains([
      [1, 3],
      [5, 10],
    ]),
    [{ isAway: true }],
  );
  world.session.snapshotReceived(received(3));
  assert.equal(world.discarded.length, 1);
  world.session.snapshotReceived(received(9));
  assert.equal(world.result?.kind, "exact");
  assert.deepEqual(world.result.entries, run(5, 10));
});

test("a member that stops answering is passed over", () => {
  const silent: Helper = { entries: LOG };
  const world = new World(
    remains([
      [1, 3],
      [9, 10],
    ]),
    [silent, { entries: run(1, 10) }],
  );
  world.clock.advance(25);
  for (const request of world.requests.splice(0)) {
    const state = { state: "running", hasLeader: false, snapshotIndex: 0 } as const;
    const { to: from, last } = request;
    world.session.answered({ kind: "repair-answer", from, to: 1, last, entries: [], ...state });
  }
  silent.isAway = true;
  assert.equal(world.pass(3_000).result?.kind, "exact");
});

test("answers of strangers and answers after the end change nothing", () => {
  const world = new World(
    remains([
      [1, 3],
      [5, 10],
    ]),
    [{ isAway: true }],
  );
  const answer = { kind: "repair-answer", to: 1, last: 4, entries: run(4, 4) } as const;
  const rest = { state: "running", hasLeader: true, snapshotIndex: 0 } as const;
  world.session.answered({ ...answer, ...rest, from: 9 });
  assert.equal(world.pass(1_000).result, undefined);
  world.session.cancel();
  world.session.answered({ ...answer, ...rest, from: 2 });
  world.session.snapshotReceived(received(9));
  assert.equal(world.pass(1_000).result, undefined);
  assert.equal(world.discarded.length, 1);
});
