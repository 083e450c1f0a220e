/**
 * The rules of the thesis one by one, and the bugs other implementations had there: membership
 * changes and leadership transfer.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  Bench,
  command,
  commands,
  configurationEntry,
  ELECTION_TICKS,
  member,
  members,
} from "./testing/bench.ts";
import { formatConfiguration } from "./testing/format.ts";
import {
  append,
  ask,
  askBefore,
  grant,
  heard,
  heartbeat,
  lines,
  newestRound,
} from "./testing/messages.ts";
import type { Configuration, NodeId } from "./types.ts";

const inForce = (bench: Bench): string => formatConfiguration(bench.node.configuration);
const voters = (...ids: readonly NodeId[]): Configuration => members(ids);
function change(bench: Bench, kind: "promote" | "remove", id: NodeId): string {
  const proposed = bench.node.proposeConfChange({ kind, id }, bench.nowMs);
  bench.work();
  return proposed.kind === "refused" ? proposed.reason : proposed.kind;
}

function addLearner(bench: Bench, id: NodeId): string {
  const added = { kind: "add-learner", member: member(id, "learner") } as const;
  const proposed = bench.node.proposeConfChange(added, bench.nowMs);
  bench.work();
  return proposed.kind === "refused" ? proposed.reason : proposed.kind;
}

describe("thesis 4.1, a configuration is in force as soon as it is in the log", () => {
  test("on the leader that appends it", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    assert.equal(addLearner(bench, 4), "appended");
    assert.equal(inForce(bench), "1 2 3 4l");
    const toFour = lines(bench.take()).filter((line) => line.startsWith("1->4"));
    assert.equal(toFour.length, 1, "the new member hears of the log at once");
  });

  test("on a follower that receives it, and a truncation takes it back (canonical/raft 250)", () => {
    const bench = new Bench();
    const entry = configurationEntry(1, 1, voters(1, 2));
    bench.receive(2, 1, append(0, 0, [entry]));
    assert.equal(inForce(bench), "1 2");
    bench.receive(3, 2, append(0, 0, [command(1, 2)]));
    assert.equal(inForce(bench), "1 2 3");
  });

  test("a rollback goes back exactly one configuration when only one is cut off", () => {
    const bench = new Bench();
    const first = configurationEntry(1, 1, voters(1, 2, 3, 4));
    const second = configurationEntry(2, 1, voters(1, 2, 3, 4, 5));
    bench.receive(2, 1, append(0, 0, [first, second], 1));
    assert.equal(inForce(bench), "1 2 3 4 5");
    bench.receive(3, 2, append(1, 1, [command(2, 2)]));
    assert.equal(inForce(bench), "1 2 3 4");
  });

  test("on a restart, from the log and not from the start flags (d-engine 431)", () => {
    const entries = [command(1, 1), configurationEntry(2, 1, voters(1, 2, 4))];
    assert.equal(inForce(new Bench({ entries })), "1 2 4");
  });

  test("two voters, one promoted: the crashed leader is replaced by who has the entry (etcd 12359)", () => {
    // Voters 1, 2 and learner 3; the leader committed the promotion of 3 and died. Node 2 does not
    // know that it is committed, but counts node 3 because the entry is in its log.
    const entries = [command(1, 1), configurationEntry(2, 1, voters(1, 2, 3))];
    const bench = new Bench({ id: 2, voters: [1, 2], learners: [3], entries, isAged: true });
    bench.lead([3]);
    assert.equal(bench.node.role, "leader");
  });
});

describe("thesis 4.1 and its correction of 2015, one change at a time", () => {
  test("no change before an entry of the own term is committed", () => {
    const bench = new Bench();
    bench.lead([2, 3]);
    assert.equal(addLearner(bench, 4), "no-own-term-commit");
    bench.accept(2, 1);
    assert.equal(addLearner(bench, 4), "appended");
  });

  test("no change before the last one is committed", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    assert.equal(change(bench, "remove", 3), "appended");
    assert.equal(addLearner(bench, 4), "change-pending");
    bench.accept(2, bench.node.lastIndex);
    assert.equal(addLearner(bench, 4), "appended");
  });

  test("an inherited change that is not committed blocks too", () => {
    const entries = [command(1, 1), configurationEntry(2, 1, voters(1, 2, 3, 4))];
    const bench = new Bench({ entries, isAged: true });
    bench.lead([2, 3, 4]);
    assert.notEqual(change(bench, "remove", 4), "appended");
    bench.accept(2, 3);
    bench.accept(3, 3);
    assert.equal(change(bench, "remove", 4), "appended");
  });

  test("nonsense is refused by name", () => {
    const bench = new Bench({ learners: [4] });
    bench.leadAndCommit([2, 3]);
    assert.equal(change(bench, "remove", 9), "unknown-member");
    assert.equal(change(bench, "promote", 9), "unknown-member");
    assert.equal(change(bench, "promote", 2), "already-member");
    assert.equal(addLearner(bench, 2), "already-member");
    const alone = new Bench({ voters: [1] });
    alone.tick(2 * ELECTION_TICKS);
    assert.equal(change(alone, "remove", 1), "last-voter");
  });

  test("a learner is promoted when it has caught up", () => {
    const bench = new Bench({ learners: [4], terms: new Array(200).fill(1), isAged: true });
    bench.leadAndCommit([2, 3]);
    assert.equal(change(bench, "promote", 4), "not-caught-up");
    bench.accept(4, bench.node.lastIndex);
    assert.equal(change(bench, "promote", 4), "appended");
    assert.equal(inForce(bench), "1 2 3 4");
  });

  test("an incarnation that was not known is recorded once", () => {
    const initialConfiguration = { members: [member(1), { ...member(2), incarnation: 0 }] };
    const bench = new Bench({ config: { initialConfiguration } });
    bench.leadAndCommit([2]);
    const identify = { kind: "identify", id: 2, incarnation: 77 } as const;
    assert.equal(bench.node.proposeConfChange(identify, bench.nowMs).kind, "appended");
    bench.work();
    bench.accept(2, bench.node.lastIndex);
    assert.equal(bench.node.configuration.members[1]?.incarnation, 77);
    assert.deepEqual(bench.node.proposeConfChange(identify, bench.nowMs), {
      kind: "refused",
      reason: "already-identified",
    });
  });
});

describe("thesis 4.2.1, learners", () => {
  test("never campaign (hashicorp/raft 398)", () => {
    const bench = new Bench({ id: 4, learners: [4] });
    bench.tick(10 * ELECTION_TICKS);
    assert.equal(bench.node.role, "learner");
    assert.equal(bench.node.term, 0);
    bench.receive(1, 1, { kind: "timeout-now" });
    assert.equal(bench.node.role, "learner");
  });

  test("do not count when entries commit or votes are won", () => {
    const bench = new Bench({ learners: [4, 5] });
    bench.loseLeader();
    bench.receive(4, 1, grant("pre-vote"));
    bench.receive(5, 1, grant("pre-vote"));
    assert.equal(bench.node.role, "pre-candidate");
    bench.lead([2, 3]);
    bench.accept(4, 1);
    bench.accept(5, 1);
    assert.equal(bench.node.commitIndex, 0);
    bench.accept(2, 1);
    assert.equal(bench.node.commitIndex, 1);
  });

  test("do not keep a leader in power", () => {
    const bench = new Bench({ learners: [4, 5] });
    const term = bench.leadAndCommit([2, 3]);
    for (let round = 0; round <= ELECTION_TICKS; round += 1) {
      bench.receive(4, term, heard(round));
      bench.receive(5, term, heard(round));
      bench.tick();
    }
    assert.equal(bench.node.role, "follower");
  });

  test("follow again after their leader was silent for long (scylladb 10379)", () => {
    const bench = new Bench({ id: 4, learners: [4] });
    bench.receive(1, 1, heartbeat());
    bench.tick(10 * ELECTION_TICKS);
    bench.receive(2, 2, append(0, 0, commands([2])));
    assert.equal(bench.node.leaderId, 2);
    assert.equal(bench.node.lastIndex, 1);
  });

  test("a node that knows no members yet takes entries from whoever leads", () => {
    const bench = new Bench({ id: 4, voters: [] });
    bench.tick(5 * ELECTION_TICKS);
    assert.equal(bench.node.term, 0);
    const entry = configurationEntry(1, 1, members([1, 2, 3], [4]));
    assert.deepEqual(lines(bench.answer(1, 1, append(0, 0, [entry]))), [
      "4->1 t1 append accepted match=1",
    ]);
    assert.equal(inForce(bench), "1 2 3 4l");
  });
});

describe("thesis 4.2.2, removing the leader", () => {
  test("it leads until the entry is committed, does not count itself, and steps down", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    assert.equal(change(bench, "remove", 1), "appended");
    assert.equal(bench.node.role, "leader");
    bench.accept(2, 2);
    assert.equal(bench.node.commitIndex, 1, "one of the two that count");
    bench.accept(3, 2);
    assert.equal(bench.node.commitIndex, 2);
    bench.tick();
    assert.notEqual(bench.node.role, "leader");
    bench.tick(10 * ELECTION_TICKS);
    assert.notEqual(bench.node.role, "pre-candidate", "a removed node does not campaign");
  });
});

describe("thesis 4.2.3, disruptive servers", () => {
  test("a leader that hears its quorum is not deposed by a removed one's vote (hashicorp 524)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.tick();
    const round = newestRound(bench.take());
    bench.receive(2, term, heard(round));
    bench.receive(3, term, heard(round));
    for (const message of [askBefore(9, 9), ask(9, 9)]) {
      bench.receive(9, term + 5, message);
      assert.equal(bench.node.role, "leader");
      assert.equal(bench.node.term, term);
    }
  });
});

describe("thesis 3.10, leadership transfer", () => {
  test("a target that is up to date is told at once; its election overrides stickiness", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.take();
    assert.equal(bench.node.transferLeadership(2, bench.nowMs), "started");
    bench.work();
    assert.deepEqual(lines(bench.take()), [`1->2 t${term} timeout-now`]);
    const target = new Bench({ id: 2, terms: [1] });
    target.receive(1, term, heartbeat());
    target.receive(1, term, { kind: "timeout-now" });
    assert.deepEqual(
      lines(target.take()).filter((line) => line.includes("request")),
      [
        `2->1 t${term + 1} request-vote last=1/1 transfer`,
        `2->3 t${term + 1} request-vote last=1/1 transfer`,
      ],
    );
    const voter = new Bench({ id: 3 });
    voter.receive(1, term, heartbeat());
    assert.deepEqual(lines(voter.answer(2, term + 1, ask(1, 1, true))), [
      `3->2 t${term + 1} vote granted`,
    ]);
  });

  test("a target that lags is brought up to date first (redpanda 2606)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.propose();
    bench.take();
    assert.equal(bench.node.transferLeadership(2, bench.nowMs), "started");
    bench.work();
    assert.ok(!lines(bench.take()).some((line) => line.includes("timeout-now")));
    bench.accept(2, bench.node.lastIndex);
    assert.ok(lines(bench.take()).includes(`1->2 t${term} timeout-now`));
  });

  test("proposals wait for its end, and it ends after an election timeout", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.node.transferLeadership(2, bench.nowMs);
    assert.equal(bench.propose().kind, "transferring");
    for (let round = 0; round <= ELECTION_TICKS; round += 1) {
      bench.receive(3, term, heard(round));
      bench.tick();
    }
    assert.equal(bench.node.role, "leader");
    assert.equal(bench.node.status().transferTarget, 0);
    assert.equal(bench.propose().kind, "appended");
  });

  test("deposed in the middle and elected again, it takes writes (hashicorp/raft 696)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.node.transferLeadership(2, bench.nowMs);
    bench.receive(2, term + 1, append(1, 1));
    assert.equal(bench.node.role, "follower");
    bench.age();
    bench.lead([2, 3]);
    assert.equal(bench.propose().kind, "appended");
  });

  test("strange targets are answered by name", () => {
    const bench = new Bench({ learners: [4] });
    assert.equal(bench.node.transferLeadership(2, bench.nowMs), "not-leader");
    bench.leadAndCommit([2, 3]);
    assert.equal(bench.node.transferLeadership(1, bench.nowMs), "already-leader");
    assert.equal(bench.node.transferLeadership(9, bench.nowMs), "unknown-member");
    assert.equal(bench.node.transferLeadership(2, bench.nowMs), "started");
    assert.equal(bench.node.transferLeadership(3, bench.nowMs), "in-progress");
  });
});
