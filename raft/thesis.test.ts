/**
 * The rules of the thesis one by one, for membership, snapshots, leadership transfer and reads,
 * and the bugs other implementations had there. Elections and the log: `paper.test.ts`.
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
  snapshotAt,
  TICK_MS,
} from "./testing/bench.ts";
import { formatConfiguration } from "./testing/format.ts";
import {
  append,
  ask,
  askBefore,
  grant,
  heard,
  heartbeat,
  install,
  lines,
  newestRound,
  rejected,
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

describe("section 7, snapshots", () => {
  const behind = snapshotAt(10, 3);

  test("a follower too far behind is told of the snapshot, and of nothing else until it ends", () => {
    const bench = new Bench({ snapshot: snapshotAt(5, 1), terms: [], isAged: true });
    const term = bench.lead([2, 3]);
    bench.take();
    bench.receive(2, term, rejected(5, 0, 0));
    assert.ok(lines(bench.take()).includes(`1->2 t${term} install snapshot 5/1 members 1 2 3`));
    bench.propose();
    bench.tick();
    const kinds = bench.take().flatMap(({ to, message }) => (to === 2 ? [message.kind] : []));
    assert.deepEqual([...new Set(kinds)], ["heartbeat"]);
    bench.receive(2, term, { kind: "install-snapshot-response", matchIndex: 5 });
    const [progress] = bench.node.status().progress;
    assert.notEqual(progress?.state, "snapshot");
    assert.equal(progress?.matchIndex, 5);
  });

  test("after a failed transfer it probes again and sends another", () => {
    const bench = new Bench({ snapshot: snapshotAt(5, 1), terms: [], isAged: true });
    const term = bench.lead([2, 3]);
    bench.receive(2, term, rejected(5, 0, 0));
    bench.node.reportSnapshot(2, false);
    assert.equal(bench.node.status().progress[0]?.state, "probe");
    bench.take();
    bench.tick();
    bench.receive(2, term, heard(newestRound(bench.take())));
    const sent = lines(bench.take());
    assert.ok(
      sent.some((line) => line.includes("install snapshot 5/1")),
      `${sent}`,
    );
  });

  test("a follower installs it, and acknowledges when it is durable and restored", () => {
    const bench = new Bench({ terms: [1, 1] });
    bench.isDiskManual = true;
    bench.receive(2, 3, install(behind));
    assert.deepEqual(bench.snapshots, [behind]);
    bench.sync();
    const accepted = "1->2 t3 install accepted match=10";
    assert.ok(!lines(bench.take()).includes(accepted), "not restored yet");
    bench.node.snapshotInstalled(behind);
    bench.work();
    bench.sync();
    assert.ok(lines(bench.take()).includes(accepted));
    assert.equal(bench.node.lastIndex, 10);
    assert.equal(bench.node.commitIndex, 10);
    assert.equal(bench.node.status().appliedIndex, 10);
  });

  test("nothing is appended or applied while it installs", () => {
    const bench = new Bench();
    bench.receive(2, 3, install(behind));
    bench.receive(2, 3, append(10, 3, commands([3], 11), 11));
    assert.equal(bench.applied.length, 0);
    assert.equal(bench.node.lastIndex, 10);
    bench.node.snapshotInstalled(behind);
    bench.work();
    bench.receive(2, 3, append(10, 3, commands([3], 11), 11));
    assert.deepEqual(
      bench.applied.map((entry) => entry.index),
      [11],
    );
  });

  test("an install that takes long is acknowledged all the same (ClickHouse 112405)", () => {
    const bench = new Bench();
    bench.receive(2, 3, install(behind));
    for (let round = 1; round <= 10 * ELECTION_TICKS; round += 1) {
      bench.receive(2, 3, heartbeat(0, round));
      bench.tick();
    }
    bench.take();
    bench.node.snapshotInstalled(behind);
    bench.work();
    assert.ok(lines(bench.take()).includes("1->2 t3 install accepted match=10"));
  });

  test("one install at a time; announced twice, it is installed once (etcd, Antithesis)", () => {
    const bench = new Bench();
    bench.receive(2, 3, install(behind));
    bench.receive(2, 3, install(behind));
    bench.receive(2, 3, install(snapshotAt(20, 3)));
    bench.node.snapshotInstalled(behind);
    bench.work();
    bench.receive(2, 3, install(behind));
    assert.deepEqual(bench.snapshots, [behind]);
    assert.equal(bench.node.lastIndex, 10);
  });

  test("a snapshot that is older than the commit index is not installed, but answered", () => {
    const bench = new Bench({ terms: [1, 1, 1, 1] });
    bench.receive(2, 2, append(4, 1, [], 4));
    const sent = lines(bench.answer(2, 2, install(snapshotAt(3, 1))));
    assert.deepEqual(bench.snapshots, []);
    assert.equal(sent.length, 1);
    assert.match(sent[0] ?? "", /^1->2 t2 (install|append) accepted match=4$/);
  });

  test("a snapshot that the log already covers moves the commit index and keeps the log", () => {
    const bench = new Bench({ terms: [1, 1, 1, 1] });
    bench.receive(2, 2, install(snapshotAt(3, 1)));
    assert.deepEqual(bench.snapshots, []);
    assert.equal(bench.node.commitIndex, 3);
    assert.equal(bench.node.lastIndex, 4);
  });

  test("a conflicting entry at its index goes, with all that follows (hashicorp/raft 697)", () => {
    const bench = new Bench({ terms: [1, 1, 2, 2, 2] });
    const metadata = snapshotAt(4, 3);
    bench.receive(2, 3, install(metadata));
    assert.deepEqual(bench.snapshots, [metadata]);
    bench.node.snapshotInstalled(metadata);
    bench.work();
    assert.equal(bench.node.lastIndex, 4);
    const sent = lines(bench.answer(2, 3, append(4, 3, commands([3], 5))));
    assert.deepEqual(sent, ["1->2 t3 append accepted match=5"]);
  });

  test("a snapshot of an older term is refused with the newer term (scylladb 29378)", () => {
    const bench = new Bench({ hardState: { term: 5 } });
    const sent = bench.answer(2, 3, install(behind));
    assert.deepEqual(bench.snapshots, []);
    for (const envelope of sent) assert.equal(envelope.term, 5);
    assert.equal(bench.node.lastIndex, 0);
  });

  test("members come with it: a learner that only saw a snapshot can vote later (RATIS-1128)", () => {
    const bench = new Bench({ id: 4, voters: [] });
    const metadata = { ...snapshotAt(10, 3, members([1, 2, 3], [4])), configurationIndex: 7 };
    bench.receive(1, 3, install(metadata));
    bench.node.snapshotInstalled(metadata);
    bench.work();
    assert.equal(inForce(bench), "1 2 3 4l");
    bench.receive(1, 3, append(10, 3, [configurationEntry(11, 3, voters(1, 2, 3, 4))]));
    bench.age();
    bench.tick(ELECTION_TICKS);
    const [request] = bench.take().filter(({ message }) => message.kind === "request-vote");
    assert.ok(request !== undefined, "a voter now");
  });

  test("the next own snapshot names the right term and members (tikv 10225)", () => {
    const bench = new Bench();
    const metadata = { ...snapshotAt(10, 3, members([1, 2, 3], [4])), configurationIndex: 7 };
    bench.receive(2, 5, install(metadata));
    bench.node.snapshotInstalled(metadata);
    bench.work();
    assert.deepEqual(bench.node.snapshotMetadata(10), metadata);
    bench.receive(2, 5, append(10, 3, commands([4, 5], 11), 12));
    const { term, index, configurationIndex } = bench.node.snapshotMetadata(11);
    assert.deepEqual(
      { term, index, configurationIndex },
      { term: 4, index: 11, configurationIndex: 7 },
    );
  });

  test("the metadata of an index before an uncommitted change carries the members before it", () => {
    const bench = new Bench();
    const entries = [command(1, 1), configurationEntry(2, 1, voters(1, 2))];
    bench.receive(2, 1, append(0, 0, entries, 1));
    const metadata = bench.node.snapshotMetadata(1);
    assert.equal(formatConfiguration(metadata.configuration), "1 2 3");
    assert.equal(metadata.configurationIndex, 0);
  });

  test("after compaction a follower still accepts old and overlapping appends (scylladb 9552)", () => {
    const bench = new Bench();
    bench.receive(2, 1, append(0, 0, commands([1, 1, 1, 1]), 4));
    bench.node.compact(bench.node.snapshotMetadata(4), 5);
    bench.work();
    assert.equal(bench.node.status().firstIndex, 5);
    // Its acknowledgement was lost; the leader sends from the start, and from the middle.
    for (const [prev, count, expected] of [
      [0, 4, 4],
      [0, 2, 4],
      [2, 3, 5],
    ] as const) {
      const entries = commands(new Array(count).fill(1), prev + 1);
      const sent = bench.answer(2, 1, append(prev, prev === 0 ? 0 : 1, entries, 4));
      const [message] = sent.map((envelope) => envelope.message);
      assert.ok(message?.kind === "append-entries-response" && message.result === "accepted");
      assert.ok(message.matchIndex >= Math.min(4, expected), `${lines(sent)}`);
      assert.equal(bench.node.lastIndex, expected === 5 ? 5 : 4);
    }
  });

  test("the first append of all, late and twice, does no harm after a snapshot (redislabs 49)", () => {
    const bench = new Bench({ snapshot: snapshotAt(10, 3), hardState: { term: 3 } });
    bench.receive(2, 3, append(0, 0, commands([1])));
    bench.receive(2, 3, append(0, 0, commands([1])));
    assert.equal(bench.node.lastIndex, 10);
    assert.equal(bench.node.commitIndex, 10);
  });

  test("a restart with a truncated log under a snapshot ends at the snapshot (etcd 22442)", () => {
    // 1..5 of term 1, 3..4 overwritten in term 2, snapshot at (4, 2): entry 5 is long gone.
    const bench = new Bench({
      snapshot: snapshotAt(4, 2),
      entries: commands([1, 1, 2, 2]),
      hardState: { term: 2 },
    });
    assert.equal(bench.node.lastIndex, 4);
    bench.age();
    bench.loseLeader();
    assert.ok(lines(bench.take()).includes("1->2 t3 request-pre-vote last=4/2"));
  });

  test("a restored log that disagrees with its snapshot gives way to it (redisraft 43)", () => {
    const entries = commands([1, 1, 1, 1, 1]);
    const bench = new Bench({ snapshot: snapshotAt(4, 2), entries, hardState: { term: 2 } });
    assert.equal(bench.node.lastIndex, 4);
    assert.equal(bench.node.commitIndex, 4);
  });

  test("compaction keeps a tail for slow followers", () => {
    const bench = new Bench({ voters: [1] });
    bench.tick(2 * ELECTION_TICKS);
    for (let count = 0; count < 5; count += 1) bench.propose();
    bench.node.compact(bench.node.snapshotMetadata(6), 4);
    assert.equal(bench.node.status().firstIndex, 4);
    assert.equal(bench.node.lastIndex, 6);
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

describe("thesis 6.4, linearizable reads", () => {
  test("a read waits until the leader committed in its own term (etcd 7331, tikv 6340)", () => {
    const bench = new Bench({ terms: [1, 1], isAged: true });
    const term = bench.lead([2, 3]);
    assert.deepEqual(bench.node.readIndex(7, bench.nowMs), { kind: "pending" });
    bench.work();
    bench.tick();
    bench.receive(2, term, heard(newestRound(bench.take())));
    assert.deepEqual(bench.reads, [], "a quorum, but the commit index may lag");
    bench.accept(2, 3);
    bench.receive(2, term, heard(newestRound(bench.take())));
    assert.deepEqual(bench.reads, [{ context: 7, index: 3 }]);
  });

  test("a read needs a quorum that answers a round begun after it (etcd 20418, 741)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.tick();
    const earlier = newestRound(bench.take());
    assert.deepEqual(bench.node.readIndex(7, bench.nowMs), { kind: "pending" });
    bench.work();
    bench.receive(2, term, heard(earlier));
    bench.receive(3, term, heard(earlier));
    assert.deepEqual(bench.reads, []);
    const round = newestRound(bench.take());
    assert.ok(round > earlier);
    bench.receive(2, term, heard(round));
    assert.deepEqual(bench.reads, [{ context: 7, index: 1 }]);
  });

  test("a lost round is repeated under a new number (etcd 20418)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.node.readIndex(7, bench.nowMs);
    bench.work();
    const lost = newestRound(bench.take());
    bench.tick();
    const again = newestRound(bench.take());
    assert.ok(again > lost);
    bench.receive(3, term, heard(again));
    assert.deepEqual(bench.reads, [{ context: 7, index: 1 }]);
  });

  test("rounds that fill with reads go out one at a time, and a late read waits", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.take();
    bench.node.readIndex(1, bench.nowMs);
    bench.node.readIndex(2, bench.nowMs);
    bench.work();
    const first = newestRound(bench.take());
    bench.node.readIndex(3, bench.nowMs);
    bench.work();
    assert.equal(newestRound(bench.take()), 0, "one round is under way");
    bench.receive(2, term, heard(first));
    assert.deepEqual(
      bench.reads.map(({ context }) => context),
      [1, 2],
    );
    const second = newestRound(bench.take());
    assert.ok(second > first);
    bench.receive(2, term, heard(second));
    assert.deepEqual(
      bench.reads.map(({ context }) => context),
      [1, 2, 3],
    );
  });

  test("a deposed leader aborts its reads", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.node.readIndex(7, bench.nowMs);
    bench.receive(2, term + 1, append(1, 1));
    assert.deepEqual(bench.aborted, [7]);
    assert.deepEqual(bench.reads, []);
  });

  test("a follower asks its leader and hears the index (tikv 9208)", () => {
    const bench = new Bench();
    assert.deepEqual(bench.node.readIndex(1, bench.nowMs), { kind: "no-leader" });
    bench.receive(2, 1, heartbeat());
    assert.deepEqual(bench.node.readIndex(7, bench.nowMs), { kind: "pending" });
    bench.take();
    bench.work();
    const [request] = bench.take();
    assert.ok(request?.message.kind === "read-index" && request.to === 2);
    const { context } = request.message;
    bench.receive(3, 1, { kind: "read-index-response", context: context + 1, index: 9 });
    assert.deepEqual(bench.reads, [], "not what was asked");
    bench.receive(2, 1, { kind: "read-index-response", context, index: 4 });
    assert.deepEqual(bench.reads, [{ context: 7, index: 4 }]);
  });

  test("a follower aborts its reads when the leader changes", () => {
    const bench = new Bench();
    bench.receive(2, 1, heartbeat());
    bench.node.readIndex(7, bench.nowMs);
    bench.work();
    const [request] = bench.take().filter(({ message }) => message.kind === "read-index");
    bench.receive(3, 2, heartbeat());
    assert.deepEqual(bench.aborted, [7]);
    assert.ok(request?.message.kind === "read-index");
    const { context } = request.message;
    bench.receive(2, 1, { kind: "read-index-response", context, index: 4 });
    assert.deepEqual(bench.reads, []);
  });

  test("a lost question is asked again under a new number", () => {
    const bench = new Bench();
    bench.receive(2, 1, heartbeat());
    bench.node.readIndex(7, bench.nowMs);
    bench.work();
    const asked = new Set<number>();
    for (let round = 0; round < ELECTION_TICKS - 1; round += 1) {
      for (const { message } of bench.take()) {
        if (message.kind === "read-index") asked.add(message.context);
      }
      bench.tick();
    }
    assert.ok(asked.size >= 2, `asked ${asked.size} times`);
  });

  test("a leader without an own-term commit lets a follower wait or says so, never an old index", () => {
    const bench = new Bench({ terms: [1, 1], isAged: true });
    const term = bench.lead([2, 3]);
    bench.take();
    bench.receive(2, term, { kind: "read-index", context: 5 });
    bench.tick();
    bench.receive(2, term, heard(newestRound(bench.sent)));
    for (const { message } of bench.take()) {
      if (message.kind === "read-index-response") assert.equal(message.index, 0);
    }
  });

  test("a single voter reads at once", () => {
    const bench = new Bench({ voters: [1] });
    bench.tick(2 * ELECTION_TICKS);
    assert.deepEqual(bench.node.readIndex(7, bench.nowMs), { kind: "confirmed", index: 1 });
  });
});

describe("thesis 6.4.1, the leader lease", () => {
  const config = { leaseDriftBound: 0.1 };
  const leaseMs = ELECTION_TICKS * TICK_MS * 0.9;

  function leaseHolder(): { readonly bench: Bench; readonly term: number } {
    const bench = new Bench({ config });
    const term = bench.leadAndCommit([2, 3]);
    bench.tick();
    bench.receive(2, term, heard(newestRound(bench.take())));
    return { bench, term };
  }

  test("it lasts from the sending of a round that a quorum answered, less the drift", () => {
    const { bench } = leaseHolder();
    assert.deepEqual(bench.node.readIndex(1, bench.nowMs), { kind: "confirmed", index: 1 });
    // A follower's promise is counted in whole ticks, so the lease may be some ticks shorter.
    const surely = leaseMs - 2 * TICK_MS - 1;
    assert.equal(bench.node.readIndex(2, bench.nowMs + surely).kind, "confirmed");
    assert.equal(bench.node.readIndex(3, bench.nowMs + leaseMs).kind, "pending");
  });

  test("it goes by the reading handed in with the read: a stall ends it", () => {
    const { bench } = leaseHolder();
    bench.stall(10_000);
    assert.equal(bench.node.readIndex(1, bench.nowMs).kind, "pending");
  });

  test("once a transfer began there is none in this term, even if it fails", () => {
    const { bench, term } = leaseHolder();
    bench.node.transferLeadership(3, bench.nowMs);
    assert.equal(bench.node.readIndex(1, bench.nowMs).kind, "pending");
    for (let round = 0; round <= ELECTION_TICKS; round += 1) {
      bench.tick();
      bench.receive(2, term, heard(newestRound(bench.take())));
    }
    assert.equal(bench.node.status().transferTarget, 0);
    assert.equal(bench.node.readIndex(2, bench.nowMs).kind, "pending");
  });

  test("without it every read costs a round", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.tick();
    bench.receive(2, term, heard(newestRound(bench.take())));
    assert.equal(bench.node.readIndex(1, bench.nowMs).kind, "pending");
  });
});

describe("cluster time", () => {
  test("stamps go on from the newest in the log and never run back", () => {
    const past = { ...command(1, 1), time: 5_000_000 };
    const bench = new Bench({ entries: [past], isAged: true, config: { initialTime: 1 } });
    bench.leadAndCommit([2, 3]);
    const anchor = bench.node.clusterTime(bench.nowMs);
    assert.ok(anchor >= 5_000_000);
    bench.stall(1234);
    bench.node.proposeTime(bench.nowMs);
    bench.node.proposeTime(bench.nowMs - 1000);
    bench.work();
    const times = bench.persisted.map((entry) => entry.time);
    assert.deepEqual(
      times,
      times.toSorted((one, other) => one - other),
    );
    assert.ok((times.at(-1) ?? 0) >= anchor + 1234);
    for (const time of times) assert.ok(Number.isSafeInteger(time));
  });

  test("a follower knows the newest stamp it holds", () => {
    const bench = new Bench({ config: { initialTime: 10 } });
    bench.receive(2, 1, append(0, 0, [{ ...command(1, 1), time: 777 }]));
    bench.stall(5000);
    assert.equal(bench.node.clusterTime(bench.nowMs), 777);
  });
});
