/**
 * A replica whose state went another way than the majority's is found, fenced and started anew; and
 * where there is no majority, nothing is given up. The mistakes are made by a state machine that is
 * handed in; all the rest is production code in virtual time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { WriteOutcome } from "../server/gateway.ts";
import { POINT_EVERY_ENTRIES } from "../server/replica/state-guard.ts";
import { GuardedCluster, type GuardedNode } from "./divergence/guarded-cluster.ts";

const SEEDS = [1, 2, 3];
const FENCED = /^fenced/;

function isWhole(node: GuardedNode): boolean {
  return node.divergences.length > 0 && !node.replica.raft.isRecovering;
}

function reasonOf(outcome: WriteOutcome): string {
  return outcome.kind === "not-applied" ? outcome.reason : outcome.kind;
}

for (const seed of SEEDS) {
  test(`a follower with another state is fenced, and comes back equal (seed ${seed})`, () => {
    const cluster = new GuardedCluster(seed);
    const [victim] = cluster.followers;
    assert(victim !== undefined);
    cluster.write(100);
    victim.err();
    cluster.write(1);
    cluster.until("the follower is fenced", () => victim.divergences.length === 1);
    const [divergence] = victim.divergences;
    assert.notEqual(divergence?.own, divergence?.majority);
    assert(victim.lines.some((line) => FENCED.test(line)));
    cluster.until("it has recovered", () => isWhole(victim));
    cluster.write(5);
    cluster.until("all are equal", () => cluster.areEqual());
    assert.equal(cluster.leader.machine.get("mistake"), undefined);
    cluster.run(15_000);
    const others = cluster.nodes.filter((node) => node !== victim);
    assert(others.every(({ divergences }) => divergences.length === 0));
    assert.equal(victim.divergences.length, 1);
  });

  test(`an outvoted leader hands over before it is fenced (seed ${seed})`, () => {
    const cluster = new GuardedCluster(seed);
    const victim = cluster.leader;
    cluster.write(60);
    victim.err();
    cluster.write(1);
    cluster.until("the leader is fenced", () => victim.divergences.length === 1);
    const wonAt = cluster.lines.findLastIndex((line) => /won the election/.test(line));
    const fencedAt = cluster.lines.findIndex((line) => /: fenced/.test(line));
    assert(wonAt < fencedAt, cluster.lines.join("\n"));
    assert.doesNotMatch(cluster.lines[wonAt] ?? "", new RegExp(`^${victim.id}:`));
    cluster.until("it has recovered", () => isWhole(victim));
    cluster.until("somebody leads", () => cluster.nodes.some(({ replica }) => replica.isReady));
    assert(cluster.write(5).every(({ kind }) => kind === "applied"));
    cluster.until("all are equal", () => cluster.areEqual());
    assert.equal(cluster.leader.machine.get("mistake"), undefined);
  });

  test(`three different states stop writes, and nobody gives up its own (seed ${seed})`, () => {
    const cluster = new GuardedCluster(seed);
    for (const node of cluster.nodes) node.err();
    cluster.write(1);
    cluster.until("the leader notices", () => cluster.leader.replica.standing === "disputed");
    for (let second = 0; second < 20; second += 1) {
      cluster.run(1_000);
      const outcomes = cluster.write(1);
      assert.deepEqual(outcomes.map(reasonOf), ["disputed"]);
    }
    const [follower] = cluster.followers;
    assert.deepEqual(cluster.write(1, follower).map(reasonOf), ["disputed"]);
    for (const node of cluster.nodes) {
      assert.equal(node.divergences.length, 0);
      assert.equal(node.read("linearizable")?.kind, "granted");
    }
  });

  test(`two states stop writes until a third decides (seed ${seed})`, () => {
    const cluster = new GuardedCluster(seed);
    const [victim, absent] = cluster.followers;
    assert(victim !== undefined && absent !== undefined);
    const others = [victim, cluster.leader];
    for (const { id } of others) {
      cluster.network.cut(absent.id, id);
      cluster.network.cut(id, absent.id);
    }
    victim.err();
    cluster.write(1);
    cluster.until("the leader notices", () => cluster.leader.replica.standing === "disputed");
    assert.equal(victim.divergences.length, 0);
    for (const { id } of others) {
      cluster.network.mend(absent.id, id);
      cluster.network.mend(id, absent.id);
    }
    cluster.until("the minority is fenced", () => victim.divergences.length === 1);
    cluster.until("it has recovered", () => isWhole(victim));
    cluster.until("somebody leads", () => cluster.nodes.some(({ replica }) => replica.isReady));
    assert(cluster.write(5).every(({ kind }) => kind === "applied"));
    cluster.until("all are equal", () => cluster.areEqual());
  });
}

test("two of five are fenced, whether or not they made the same mistake", () => {
  for (const isSame of [true, false]) {
    const cluster = new GuardedCluster(7, 5);
    const victims = cluster.followers.slice(0, 2);
    for (const victim of victims) victim.err();
    const [first, second] = victims;
    assert(first !== undefined && second !== undefined);
    if (isSame) second.machine.mistake = first.machine.mistake;
    cluster.write(1);
    cluster.until("both are fenced", () => victims.every((node) => node.divergences.length === 1));
    cluster.until("both have recovered", () => victims.every(isWhole));
    cluster.until("somebody leads", () => cluster.nodes.some(({ replica }) => replica.isReady));
    assert(cluster.write(5).every(({ kind }) => kind === "applied"));
    cluster.until("all are equal", () => cluster.areEqual());
    assert.equal(cluster.leader.machine.get("mistake"), undefined);
  }
});

test("under load hashes are compared at the same indexes, however entries are batched", () => {
  const cluster = new GuardedCluster(9);
  const [victim] = cluster.followers;
  assert(victim !== undefined);
  victim.err();
  for (let n = 0; victim.divergences.length === 0 && n < 20; n += 1) cluster.burst(150);
  const [divergence] = victim.divergences;
  assert.equal((divergence?.index ?? 1) % POINT_EVERY_ENTRIES, 0);
});

test("a stop that is asked for while a fenced replica lets go of its disk waits for that", () => {
  const cluster = new GuardedCluster(1);
  const [victim] = cluster.followers;
  assert(victim !== undefined);
  cluster.write(100);
  victim.err();
  cluster.write(1);
  const { replica } = victim;
  cluster.until("the follower is fenced", () => victim.lines.some((line) => FENCED.test(line)));
  assert.equal(victim.divergences.length, 0, "its disk is still in use");
  const ends: string[] = [];
  replica.close(1_000, () => ends.push(`stopped after ${victim.divergences.length}`));
  cluster.run(2_000);
  assert.deepEqual(ends, ["stopped after 1"]);
});

test("whoever asks for a stop is told of its end, also the second one", () => {
  const cluster = new GuardedCluster(1);
  const { replica } = cluster.leader;
  const ends: string[] = [];
  replica.close(1_000, () => ends.push("first"));
  replica.close(1_000, () => ends.push("second"));
  cluster.run(2_000);
  replica.close(1_000, () => ends.push("late"));
  assert.deepEqual(ends, ["first", "second", "late"]);
});
