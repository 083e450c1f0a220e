/** Membership changes of whole replicas (thesis 4), one script each; nothing else goes wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfChange } from "../../raft/index.ts";
import type { MembershipOutcome } from "../../server/replica/membership-changes.ts";
import type { SimulatedNode } from "./node.ts";
import { Scene } from "./scene.ts";
import { drawShape, ELECTION_TIMEOUT_MS } from "./shape.ts";

class MembershipScene extends Scene {
  constructor(seed: number, everyEntries = 1_000) {
    const { snapshots } = drawShape(seed);
    super(seed, { snapshots: { ...snapshots, everyEntries, retainedEntries: 0 } });
  }

  get ids(): readonly number[] {
    this.until("a leader", () => this.cluster.leader !== undefined);
    const members = this.leader.process?.replica.raft.configuration.members ?? [];
    return members.map(({ id }) => id);
  }

  /** Asked of the leader until it is committed, as an operator does. */
  change(change: ConfChange): void {
    const outcomes: MembershipOutcome[] = [];
    this.until(`${change.kind} is committed`, () => {
      const last = outcomes.at(-1);
      if (last?.kind === "committed") return true;
      const process = this.cluster.leader?.process;
      if (last?.kind === "refused" || last === undefined) {
        process?.replica.changeMembership(change, (outcome) => outcomes.push(outcome));
      }
      return false;
    });
  }

  /** A new machine becomes a voter. */
  join(): SimulatedNode {
    const node = this.cluster.join();
    this.until("the new machine runs", () => node.process !== undefined);
    const { id } = node;
    const incarnation = node.process?.storage.identity.incarnation ?? 0;
    const addresses = { peerAddress: `node${id}:1`, clientAddress: `node${id}:2` };
    const member = { id, incarnation, role: "learner", ...addresses } as const;
    this.change({ kind: "add-learner", member });
    this.change({ kind: "promote", id });
    return node;
  }

  remove({ id }: SimulatedNode): void {
    this.change({ kind: "remove", id });
  }

  appliedOn({ process }: SimulatedNode): number {
    return process?.machine.appliedIndex ?? 0;
  }

  node(id: number): SimulatedNode {
    const node = this.cluster.nodes.find((candidate) => candidate.id === id);
    assert.ok(node !== undefined);
    return node;
  }

  untilEqual(): void {
    const { cluster } = this;
    this.until("all members are equal", () => {
      const target = cluster.leader?.process?.replica.raft.lastIndex;
      return cluster.members.every((node) => this.appliedOn(node) === target);
    });
  }
}

for (const everyEntries of [1_000, 3]) {
  const how = everyEntries === 3 ? "by snapshots" : "by the log";
  test(`all members are replaced one by one, the new ones catch up ${how}`, () => {
    const scene = new MembershipScene(11, everyEntries);
    for (const old of [...scene.cluster.nodes]) {
      scene.join();
      scene.remove(old);
    }
    assert.deepEqual(scene.ids, [4, 5, 6]);
    scene.untilEqual();
    for (const id of [1, 2, 3]) scene.cluster.retire(scene.node(id));
    for (const node of scene.cluster.nodes) node.crash("nothing");
    for (const node of scene.cluster.nodes) node.start();
    scene.until("a leader", () => scene.cluster.leader !== undefined);
    scene.join();
    scene.untilEqual();
    const installed = scene.cluster.tally.of("snapshot installed");
    assert.equal(installed > 0, everyEntries === 3, "how they caught up");
  });
}

test("removed members that come back with their old disks disturb nobody", () => {
  const scene = new MembershipScene(12);
  const removed = [...scene.cluster.nodes];
  for (const old of removed) {
    scene.join();
    // It hears nothing of its own removal.
    old.crash("everything");
    scene.remove(old);
  }
  scene.untilEqual();
  const { id: leader, process } = scene.leader;
  const term = process?.replica.raft.term;
  for (const old of removed) old.start();
  scene.run(20 * ELECTION_TIMEOUT_MS);
  assert.equal(scene.leader.id, leader);
  assert.equal(scene.leader.process?.replica.raft.term, term, "nobody was made to stand");
  for (const old of removed) assert.notEqual(old.process?.replica.raft.role, "leader");
});

test("a leader that removes itself is followed by another within two election timeouts", () => {
  for (let seed = 20; seed < 30; seed += 1) {
    const scene = new MembershipScene(seed);
    scene.run(500);
    const old = scene.leader;
    const startMs = scene.cluster.scheduler.nowMs;
    scene.remove(old);
    scene.until("a successor", () => {
      const { leader } = scene.cluster;
      return leader !== undefined && leader !== old;
    });
    const tookMs = scene.cluster.scheduler.nowMs - startMs;
    assert.ok(tookMs <= 2 * ELECTION_TIMEOUT_MS, `seed ${seed} took ${tookMs} ms`);
    assert.ok(!scene.ids.includes(old.id));
    assert.equal(old.process?.replica.raft.role, "learner", "it stands no more");
  }
});

test("a member that was away hears leaders that came while it was away", () => {
  const scene = new MembershipScene(13);
  const away = scene.cluster.nodes.find((node) => node !== scene.leader);
  assert.ok(away !== undefined);
  away.crash("everything");
  const others = scene.cluster.nodes.filter((node) => node !== away);
  for (const old of others) {
    scene.join();
    scene.remove(old);
    scene.until("a leader", () => scene.cluster.leader !== undefined);
  }
  for (const old of others) {
    scene.until("its removal is applied", () => scene.cluster.membership.isRemoved(old.id));
    scene.cluster.retire(old);
  }
  away.start();
  scene.untilEqual();
  assert.ok(scene.ids.includes(away.id));
});

test("a second change is refused while the first is not committed, and one on a follower, too", () => {
  const scene = new MembershipScene(14);
  scene.run(500);
  const { leader } = scene;
  const outcomes: MembershipOutcome[] = [];
  const take = (outcome: MembershipOutcome) => void outcomes.push(outcome);
  const [first, second] = scene.cluster.nodes.filter((node) => node !== leader);
  assert.ok(first !== undefined && second !== undefined);
  leader.process?.replica.changeMembership({ kind: "remove", id: first.id }, take);
  leader.process?.replica.changeMembership({ kind: "remove", id: second.id }, take);
  first.process?.replica.changeMembership({ kind: "remove", id: second.id }, take);
  const reasons = outcomes.map((outcome) =>
    outcome.kind === "refused" ? [outcome.reason, outcome.leader?.id] : [outcome.kind],
  );
  assert.deepEqual(reasons, [
    ["change-pending", leader.id],
    ["not-leader", leader.id],
  ]);
  scene.until("the first is committed", () => outcomes.at(-1)?.kind === "committed");
});

test("a leader that is cut off takes back that it removed its successor", () => {
  for (const target of [0, 1]) {
    const scene = new MembershipScene(15);
    scene.run(500);
    const { leader, cluster } = scene;
    const { network } = cluster;
    const others = cluster.nodes.filter((node) => node !== leader);
    for (const { id } of others) {
      network.cut(leader.id, id);
      network.cut(id, leader.id);
    }
    const outcomes: MembershipOutcome[] = [];
    const removal = { kind: "remove", id: others[target]?.id ?? 0 } as const;
    leader.process?.replica.changeMembership(removal, (outcome) => {
      outcomes.push(outcome);
    });
    scene.until("another leads", () => others.some(({ isLeader }) => isLeader));
    for (const { id } of others) {
      network.mend(leader.id, id);
      network.mend(id, leader.id);
    }
    scene.until("an outcome", () => outcomes.length > 0);
    const [outcome] = outcomes;
    assert.equal(outcome?.kind === "refused" ? outcome.reason : outcome?.kind, "overwritten");
    scene.untilEqual();
    assert.deepEqual(scene.ids, [1, 2, 3], "the configuration was rolled back");
  }
});
