import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConfChange, ConfChangeProposed, Entry, Member, Role } from "../../raft/index.ts";
import {
  MembershipChanges,
  type MembershipOutcome,
  type MembershipRefusal,
} from "./membership-changes.ts";

const REMOVE: ConfChange = { kind: "remove", id: 3 };
const TIMEOUT_MS = 100;
const LEADER = {
  id: 2,
  incarnation: 7,
  role: "voter",
  peerAddress: "node2:1",
  clientAddress: "node2:2",
} as const;

function member(id: number): Member {
  const addresses = { peerAddress: `node${id}:1`, clientAddress: `node${id}:2` };
  return { id, incarnation: 70 + id, role: id <= 3 ? "voter" : "learner", ...addresses };
}

/** Leader 1 of voters 1, 2, 3 and learner 4, whose core answers with what stands here. */
class Bench {
  answer: ConfChangeProposed = { kind: "appended", id: { index: 5, term: 2 } };
  refusal: MembershipRefusal | undefined;
  role: Role = "leader";
  /** Members that are heard. */
  heard: readonly number[] = [2, 3, 4];
  /** Members that acknowledged an entry. */
  begun: readonly number[] = [2, 3, 4];
  proposals = 0;
  readonly outcomes: MembershipOutcome[] = [];
  readonly changes = new MembershipChanges({
    node: this,
    timeoutMs: TIMEOUT_MS,
    leader: () => LEADER,
    refusal: () => this.refusal,
  });

  proposeConfChange(): ConfChangeProposed {
    this.proposals += 1;
    return this.answer;
  }

  status() {
    const configuration = { members: [1, 2, 3, 4].map(member) };
    const progress = [2, 3, 4].map((id) => ({
      id,
      role: member(id).role,
      state: "replicate" as const,
      matchIndex: this.begun.includes(id) ? 4 : 0,
      nextIndex: 5,
      active: this.heard.includes(id),
      inflight: 0,
    }));
    return { id: 1, configuration, progress };
  }

  propose(change = REMOVE): void {
    this.changes.propose(change, 0, (outcome) => this.outcomes.push(outcome));
  }
}

function noop(index: number, term: number): Entry {
  return { type: "noop", group: 0, index, term, time: 0 };
}

describe("a change of the membership", () => {
  test("is committed when its own entry is applied", () => {
    const bench = new Bench();
    bench.propose();
    bench.changes.applied([noop(4, 2)]);
    assert.deepEqual(bench.outcomes, []);
    bench.changes.applied([noop(5, 2), noop(6, 2)]);
    assert.deepEqual(bench.outcomes, [{ kind: "committed", index: 5 }]);
    bench.changes.applied([noop(7, 3)]);
    bench.changes.expire(TIMEOUT_MS);
    bench.changes.abandon();
    assert.equal(bench.outcomes.length, 1, "told once");
  });

  test("is refused with the core's reason, and with the leader that is known", () => {
    const bench = new Bench();
    for (const reason of ["change-pending", "not-caught-up", "no-own-term-commit"] as const) {
      bench.answer = { kind: "refused", reason };
      bench.propose();
      assert.deepEqual(bench.outcomes.pop(), { kind: "refused", reason, leader: LEADER });
    }
    bench.role = "follower";
    bench.answer = { kind: "not-leader", leaderId: 2 };
    bench.propose();
    const refused = { kind: "refused", reason: "not-leader", leader: LEADER };
    assert.deepEqual(bench.outcomes.pop(), refused);
  });

  test("is refused when too few of those that would vote are there, or have ever been", () => {
    const reasonFor = (change: ConfChange, heard: readonly number[], begun = heard) => {
      const bench = new Bench();
      bench.heard = heard;
      bench.begun = begun;
      bench.propose(change);
      const [outcome] = bench.outcomes;
      return outcome?.kind === "refused" ? outcome.reason : "proposed";
    };
    const removal = (id: number): ConfChange => ({ kind: "remove", id });
    assert.equal(reasonFor(removal(3), [2, 4]), "proposed", "the one that is away goes");
    assert.equal(reasonFor(removal(2), [2, 4]), "majority-away");
    assert.equal(reasonFor(removal(1), [2, 3]), "proposed");
    assert.equal(reasonFor(removal(1), [2, 4]), "majority-away");
    assert.equal(reasonFor(removal(1), [2, 3], [2]), "majority-away", "3 has an empty disk");
    assert.equal(reasonFor({ kind: "promote", id: 4 }, [2, 4]), "proposed");
    assert.equal(reasonFor({ kind: "promote", id: 4 }, [2]), "proposed", "the core decides");
    assert.equal(reasonFor({ kind: "promote", id: 4 }, [4]), "majority-away");
    assert.equal(reasonFor({ kind: "add-learner", member: member(5) }, []), "proposed");
  });

  test("does not reach the core of a replica that takes none", () => {
    const bench = new Bench();
    bench.refusal = "stopping";
    bench.propose();
    assert.equal(bench.proposals, 0);
    assert.deepEqual(bench.outcomes, [{ kind: "refused", reason: "stopping", leader: LEADER }]);
  });

  test("is refused when another leader's entry stands in its place, or a later term behind it", () => {
    for (const entry of [noop(5, 3), noop(4, 3)]) {
      const bench = new Bench();
      bench.propose();
      bench.changes.applied([entry]);
      assert.deepEqual(bench.outcomes, [
        { kind: "refused", reason: "overwritten", leader: LEADER },
      ]);
    }
  });

  test("is unknown when time runs out, a snapshot jumps over it, or the process ends", () => {
    const ends: readonly ((changes: MembershipChanges) => void)[] = [
      (changes) => changes.expire(TIMEOUT_MS),
      (changes) => changes.snapshotInstalled(5),
      (changes) => changes.abandon(),
    ];
    for (const end of ends) {
      const bench = new Bench();
      bench.propose();
      bench.changes.expire(TIMEOUT_MS - 1);
      bench.changes.snapshotInstalled(4);
      assert.deepEqual(bench.outcomes, []);
      end(bench.changes);
      assert.deepEqual(bench.outcomes, [{ kind: "unknown" }]);
    }
  });

  test("left behind by a lost leadership waits beside a newer one", () => {
    const bench = new Bench();
    bench.propose();
    bench.answer = { kind: "appended", id: { index: 9, term: 4 } };
    bench.propose();
    bench.changes.applied([noop(5, 2), noop(6, 4)]);
    bench.changes.applied([noop(9, 4)]);
    assert.deepEqual(bench.outcomes, [
      { kind: "committed", index: 5 },
      { kind: "committed", index: 9 },
    ]);
  });
});
