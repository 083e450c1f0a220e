import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Configuration, IndexedConfiguration, Member } from "../../raft/index.ts";
import type { Caller } from "../peer/index.ts";
import { Acquaintances } from "./acquaintances.ts";

function membersOf(...ids: readonly number[]): Configuration {
  return { members: ids.map(member) };
}

function member(id: number): Member {
  const addresses = { peerAddress: `node${id}:1`, clientAddress: `node${id}:2` };
  return { id, incarnation: 70 + id, role: "voter", ...addresses };
}

function caller(id: number, configurationIndex: number): Caller {
  return { id, incarnation: 70 + id, peerAddress: `node${id}:1`, configurationIndex };
}

/** A node that knows one committed configuration, and perhaps a newer one. */
class Bench {
  committedConfiguration: IndexedConfiguration;
  configuration: Configuration;
  timesChanged = 0;
  readonly acquaintances = new Acquaintances(this, () => {
    this.timesChanged += 1;
  });

  constructor(index: number, committed: Configuration, newest = committed) {
    this.committedConfiguration = { index, configuration: committed };
    this.configuration = newest;
  }

  get ids(): readonly number[] {
    return this.acquaintances.members.map(({ id }) => id);
  }
}

describe("a caller is heard", () => {
  test("as a member by the newest configuration, unless its disk was wiped", () => {
    const { acquaintances } = new Bench(4, membersOf(1, 2, 3));
    assert.equal(acquaintances.check(caller(2, 0)), "member");
    const wiped = { ...caller(2, 9), incarnation: 99 };
    assert.equal(acquaintances.check(wiped), "wrong-incarnation");
  });

  test("as a member by the committed one: it may lead and take the newest back", () => {
    const bench = new Bench(4, membersOf(1, 2, 3, 4), membersOf(1, 2, 3));
    assert.equal(bench.acquaintances.check(caller(4, 4)), "member");
    assert.deepEqual(bench.ids, [1, 2, 3, 4]);
  });

  test("as a guest, when it knows a newer configuration than what is committed here", () => {
    const bench = new Bench(4, membersOf(1, 2, 3));
    assert.equal(bench.acquaintances.check(caller(5, 9)), "member");
    assert.equal(bench.timesChanged, 1, "there is somebody to call back");
    assert.ok(bench.acquaintances.haveChanged);
    assert.deepEqual(
      bench.acquaintances.members.find(({ id }) => id === 5)?.peerAddress,
      "node5:1",
    );
    assert.ok(!bench.acquaintances.haveChanged);
    assert.equal(bench.acquaintances.check(caller(5, 10)), "member");
    assert.equal(bench.timesChanged, 1, "it is known by now");
  });

  test("by a new member that knows nobody yet", () => {
    const bench = new Bench(0, membersOf());
    assert.equal(bench.acquaintances.check(caller(7, 31)), "member");
    assert.deepEqual(bench.ids, [7]);
  });

  test("no more once it is removed: it was left with an older configuration", () => {
    const bench = new Bench(9, membersOf(1, 2));
    assert.equal(bench.acquaintances.check(caller(3, 4)), "unknown");
    assert.equal(bench.acquaintances.check(caller(3, 9)), "unknown");
    assert.equal(bench.timesChanged, 0);
    assert.deepEqual(bench.ids, [1, 2]);
  });
});

test("a guest is a stranger again when the configuration it knew is committed without it", () => {
  const bench = new Bench(4, membersOf(1, 2, 3));
  assert.equal(bench.acquaintances.check(caller(5, 9)), "member");
  bench.configuration = membersOf(1, 2, 4);
  bench.committedConfiguration = { index: 9, configuration: bench.configuration };
  assert.ok(bench.acquaintances.haveChanged);
  assert.deepEqual(bench.ids, [1, 2, 4]);
  assert.equal(bench.acquaintances.check(caller(5, 9)), "unknown");
});

test("a member is called by what is newest of it", () => {
  const moved = { ...member(2), peerAddress: "elsewhere:1" };
  const bench = new Bench(4, membersOf(1, 2), { members: [member(1), moved] });
  const second = bench.acquaintances.members.find(({ id }) => id === 2);
  assert.equal(second?.peerAddress, "elsewhere:1");
});

test("strangers can not fill the memory", () => {
  const bench = new Bench(4, membersOf(1, 2, 3));
  const verdicts = Array.from({ length: 20 }, (_, at) =>
    bench.acquaintances.check(caller(10 + at, 99)),
  );
  assert.equal(verdicts.filter((verdict) => verdict === "member").length, 16);
  assert.equal(bench.acquaintances.check(caller(1, 0)), "member");
});
