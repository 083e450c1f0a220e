/**
 * A node that lost a durable tail of its log: what it may do, what its word counts, and when it is
 * whole again. The rules and why they are safe stand at the top of recovering.ts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError } from "./assert.ts";
import type { LogIndex, NodeId, Term } from "./index.ts";
import { Bench, type BenchOptions, commands, ELECTION_TICKS, snapshotAt } from "./testing/bench.ts";
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
} from "./testing/messages.ts";

/** What is left of node 1: three entries of term 1, in the raised term 3. */
function recovering(options: BenchOptions = {}): Bench {
  return new Bench({
    terms: [1, 1, 1],
    hardState: { term: 3 },
    ...options,
    config: { isRecovering: true, ...options.config },
  });
}

function isFlagged(bench: Bench): boolean {
  const sent = bench.take();
  assert.ok(sent.length > 0, "something was sent");
  return sent.every((envelope) => envelope.isRecovering);
}

describe("a recovering node says so in all it sends", () => {
  test("grants, pre-vote grants, acknowledgements, rejections and heartbeat answers", () => {
    const bench = recovering({ isAged: true });
    bench.take();
    bench.receive(2, 4, askBefore(3, 1));
    assert.ok(isFlagged(bench));
    bench.receive(2, 4, ask(3, 1));
    assert.ok(isFlagged(bench));
    bench.receive(2, 4, append(5, 2));
    assert.ok(isFlagged(bench));
    bench.receive(2, 4, append(3, 1));
    assert.ok(isFlagged(bench));
    bench.receive(2, 4, heartbeat());
    assert.ok(isFlagged(bench));
  });

  test("an answer that waited for the disk while the recovery ended is still flagged", () => {
    const bench = recovering();
    bench.receive(2, 4, append(3, 1, commands([4], 4)));
    bench.take();
    bench.isDiskManual = true;
    bench.receive(2, 4, append(4, 4, commands([4], 5)));
    bench.whole();
    bench.sync();
    assert.ok(isFlagged(bench), "it was given while the mark was there");
  });

  test("a healthy node never does", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    assert.ok(bench.take().every((envelope) => !envelope.isRecovering));
    assert.ok(bench.readys.every((ready) => !ready.becameWhole));
    assert.equal(bench.node.status().isRecovering, false);
  });
});

describe("it becomes whole", () => {
  const toldIn = (bench: Bench): number => bench.readys.filter((r) => r.becameWhole).length;

  test("when an entry of the term it lives in is durable, and is told once", () => {
    const bench = recovering();
    bench.receive(2, 4, append(3, 1, commands([2, 2], 4), 5));
    assert.equal(toldIn(bench), 0, "entries of older terms prove nothing, committed or not");
    bench.receive(2, 4, append(5, 2, commands([4], 6), 5));
    assert.equal(toldIn(bench), 1);
    bench.receive(2, 4, append(6, 4, commands([4], 7), 6));
    assert.equal(toldIn(bench), 1);
  });

  test("not before that entry is durable", () => {
    const bench = recovering();
    bench.isDiskManual = true;
    bench.receive(2, 4, append(3, 1, commands([4], 4)));
    assert.equal(toldIn(bench), 0);
    bench.sync();
    assert.equal(toldIn(bench), 1);
  });

  test("not by entries of a term that has passed: the next leader may replace them", () => {
    const bench = recovering();
    bench.isDiskManual = true;
    bench.receive(2, 4, append(3, 1, commands([4], 4)));
    bench.receive(3, 5, heartbeat());
    bench.sync();
    assert.equal(toldIn(bench), 0);
  });

  test("by a snapshot that ends in the term it lives in", () => {
    const bench = recovering();
    bench.receive(2, 4, install(snapshotAt(9, 4)));
    assert.equal(toldIn(bench), 1);
    const older = recovering();
    older.receive(2, 4, install(snapshotAt(9, 2)));
    assert.equal(toldIn(older), 0);
  });

  test("but stays flagged until the host has removed its mark", () => {
    const bench = recovering();
    bench.receive(2, 4, append(3, 1, commands([4], 4)));
    assert.ok(bench.node.isRecovering);
    bench.receive(2, 4, heartbeat());
    assert.ok(isFlagged(bench));
    bench.whole();
    assert.equal(bench.node.isRecovering, false);
    bench.receive(2, 4, heartbeat(0, 2));
    assert.deepEqual(lines(bench.take()), ["1->2 t4 heartbeat-response round=2"]);
  });

  test("at once after a restart that found the mark and the leader's entry", () => {
    const bench = recovering({ terms: [1, 1, 1, 4], hardState: { term: 4 } });
    assert.equal(toldIn(bench), 1);
  });

  test("never by the host's own decision", () => {
    assert.throws(() => recovering().node.whole(), InvariantError);
    assert.throws(() => new Bench().node.whole(), InvariantError);
  });
});

describe("its word counts in no quorum", () => {
  test("its acknowledgements drive replication and commit nothing", () => {
    const bench = new Bench();
    const term = bench.lead([2]);
    bench.accept(2, 0, true);
    bench.accept(2, 1, true);
    bench.propose();
    assert.equal(bench.node.commitIndex, 0);
    const [sent] = lines(bench.take()).filter((line) => line.includes("prev=1/"));
    assert.equal(sent, `1->2 t${term} append prev=1/1 commit=0 [2/1 "\\u0000"]`);
    assert.equal(bench.node.status().progress[0]?.matchIndex, 1);
    bench.accept(3, 1);
    assert.equal(bench.node.commitIndex, 1, "node 3 is another matter");
  });

  test("an install answer does not count either", () => {
    const bench = new Bench();
    const term = bench.lead([2]);
    bench.receive(2, term, { kind: "install-snapshot-response", matchIndex: 1 }, true);
    assert.equal(bench.node.commitIndex, 0);
  });

  test("what it acknowledged in this term counts as soon as it is heard whole", () => {
    const bench = new Bench();
    const term = bench.lead([2]);
    bench.accept(2, 1, true);
    bench.receive(2, term, heard(0));
    assert.equal(bench.node.commitIndex, 1);
    bench.receive(2, term, heard(0), true);
    bench.propose();
    bench.accept(2, 2);
    assert.equal(
      bench.node.commitIndex,
      2,
      "an old flagged answer that comes late changes nothing",
    );
  });

  test("it holds up no leadership (CheckQuorum, thesis 6.2)", () => {
    const bench = new Bench();
    const term = bench.lead([2]);
    for (let round = 1; round <= 2 * ELECTION_TICKS; round += 1) {
      bench.receive(2, term, heard(round), true);
      bench.tick();
    }
    assert.equal(bench.node.role, "follower");
  });

  test("it confirms no read (thesis 6.4)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([3]);
    bench.accept(2, bench.node.lastIndex, true);
    bench.take();
    bench.node.readIndex(7, bench.nowMs);
    bench.work();
    const round = newestRound(bench.take());
    bench.receive(2, term, heard(round), true);
    assert.deepEqual(bench.reads, []);
    bench.receive(3, term, heard(round));
    assert.deepEqual(bench.reads, [{ context: 7, index: 1 }]);
  });

  test("it gets a snapshot although it was never heard whole", () => {
    const snapshot = snapshotAt(5, 1);
    const bench = new Bench({ snapshot, entries: commands([1], 6) });
    const term = bench.lead([2]);
    for (let round = 1; round <= ELECTION_TICKS; round += 1) {
      bench.receive(2, term, heard(round));
      bench.receive(3, term, heard(round), true);
      bench.tick();
    }
    bench.take();
    const rejection = { rejectedIndex: 6, hintIndex: 2, hintTerm: 1 };
    const message = { kind: "append-entries-response", result: "rejected", ...rejection } as const;
    const sent = lines(bench.answer(3, term, message, true));
    assert.equal(
      sent.filter((line) => line.includes("1->3") && line.includes("install")).length,
      1,
    );
  });

  test("leadership is not handed to it, and it would not take it (thesis 3.10)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([3]);
    bench.accept(2, bench.node.lastIndex, true);
    bench.take();
    bench.node.transferLeadership(2, bench.nowMs);
    bench.work();
    assert.ok(bench.take().every(({ message }) => message.kind !== "timeout-now"));
    bench.receive(2, term, heard(0));
    bench.tick();
    assert.ok(bench.take().some(({ message }) => message.kind === "timeout-now"));

    const target = recovering();
    target.receive(2, 4, append(3, 1));
    target.receive(2, 4, { kind: "timeout-now" });
    assert.equal(target.node.role, "follower");
    assert.equal(target.node.term, 4);
  });
});

describe("elections with recovering voters", () => {
  const vote = (bench: Bench, from: NodeId, isRecovering: boolean, granted = true): void => {
    const isPre = bench.node.role === "pre-candidate";
    const term = bench.node.term + (isPre && granted ? 1 : 0);
    bench.receive(from, term, grant(isPre ? "pre-vote" : "vote", granted), isRecovering);
  };

  test("a recovering grant makes no majority, neither before the vote nor in it", () => {
    const bench = new Bench();
    bench.loseLeader();
    vote(bench, 2, true);
    assert.equal(bench.node.role, "pre-candidate", "node 3 may hold the only copy");
    vote(bench, 3, false);
    assert.equal(bench.node.role, "candidate");
    vote(bench, 2, true);
    assert.equal(bench.node.role, "candidate");
    vote(bench, 3, false);
    assert.equal(bench.node.role, "leader");
    assert.equal(bench.node.status().election, "majority");
  });

  test("all voters together elect the best copy, and the host can see it", () => {
    const bench = new Bench();
    bench.loseLeader();
    for (const from of [2, 3]) vote(bench, from, true);
    assert.equal(bench.node.role, "candidate");
    for (const from of [2, 3]) vote(bench, from, true);
    assert.equal(bench.node.role, "leader");
    assert.equal(bench.node.status().election, "all-voters");
  });

  test("one refusal ends it: that voter holds something this node lacks", () => {
    const bench = new Bench();
    bench.loseLeader();
    vote(bench, 2, true);
    vote(bench, 3, false, false);
    assert.equal(bench.node.role, "follower");
  });

  test("a recovering candidate needs all voters, or a majority without itself", () => {
    const alone = recovering();
    alone.loseLeader();
    vote(alone, 2, false);
    assert.equal(alone.node.role, "pre-candidate");
    const bench = recovering({ voters: [1, 2, 3, 4, 5] });
    bench.loseLeader();
    for (const phase of ["pre-vote", "vote"]) {
      for (const from of [2, 3]) vote(bench, from, false);
      assert.notEqual(bench.node.role, "leader", `two of five in the ${phase}`);
      vote(bench, 4, false);
    }
    assert.equal(bench.node.role, "leader");
    assert.equal(bench.node.status().election, "majority");
  });

  test("a recovering leader counts itself when its own entry is durable and the mark is gone", () => {
    const bench = recovering();
    bench.loseLeader();
    for (const from of [2, 3, 2, 3]) vote(bench, from, true);
    assert.equal(bench.node.role, "leader");
    bench.accept(2, bench.node.lastIndex);
    assert.equal(bench.node.commitIndex, 0);
    assert.ok(bench.readys.some((ready) => ready.becameWhole));
    bench.whole();
    assert.equal(bench.node.commitIndex, 4);
  });

  test("a recovering sole voter does not elect itself: nothing is left to compare with", () => {
    const bench = recovering({ voters: [1] });
    bench.tick(4 * ELECTION_TICKS);
    assert.equal(bench.node.role, "follower");
  });

  test("it grants by what it has left (section 5.4.1)", () => {
    const answer = (lastLogIndex: LogIndex, lastLogTerm: Term): boolean => {
      const bench = recovering({ isAged: true });
      const [sent] = bench.answer(2, 4, ask(lastLogIndex, lastLogTerm));
      return sent?.message.kind === "request-vote-response" && sent.message.granted;
    };
    assert.equal(answer(3, 1), true);
    assert.equal(answer(2, 1), false);
  });

  test("it votes for one candidate in a term, whatever its vote counts", () => {
    const bench = recovering({ isAged: true });
    bench.receive(2, 4, ask(3, 1));
    const [sent] = bench.answer(3, 4, ask(9, 3));
    assert.equal(sent?.message.kind === "request-vote-response" && sent.message.granted, false);
  });

  test("with an empty log it still keeps the silence it promised (thesis 6.4.1)", () => {
    const bench = recovering({ terms: [] });
    assert.deepEqual(bench.answer(2, 9, ask(3, 1)), [], "a lease may rest on it");
  });

  test("a fresh node that may not vote does not vote while recovering either", () => {
    const bench = recovering({ isAged: true, config: { canVote: false } });
    const [sent] = bench.answer(2, 4, ask(3, 1));
    assert.equal(sent?.message.kind === "request-vote-response" && sent.message.granted, false);
    bench.tick(4 * ELECTION_TICKS);
    assert.equal(bench.node.role, "follower");
    bench.receive(2, 4, append(3, 1, commands([4], 4)));
    bench.whole();
    assert.equal(bench.node.isRecovering, false);
  });
});

describe("the leader of a node's earlier life", () => {
  test("learns of the raised term at first contact and steps down", () => {
    const node = recovering();
    const leader = new Bench({ id: 2, hardState: { term: 1 }, terms: [1, 1, 1] });
    leader.lead([3]);
    assert.equal(leader.node.term, 2, "the term in which node 1 forgot something");
    const [answer] = node.answer(2, 2, heartbeat());
    assert.equal(answer?.term, 3);
    leader.receive(1, 3, heard(0), true);
    assert.equal(leader.node.role, "follower");
    assert.equal(leader.node.term, 3);
  });

  test("counts what it forgot until then: the entry stands on the leader's disk", () => {
    const leader = new Bench();
    leader.lead([2]);
    leader.accept(2, 1);
    assert.equal(leader.node.commitIndex, 1);
  });

  test("gets no acknowledgement for what is sent to the new life", () => {
    const node = recovering();
    const sent = node.answer(2, 2, append(3, 1, commands([2], 4), 4));
    assert.deepEqual(lines(sent), ["1->2 t3 recovering append rejected at=0 hint=0/0"]);
    assert.equal(node.node.lastIndex, 3);
  });

  test("its stale acknowledgements count for nothing in a later term", () => {
    const leader = new Bench({ terms: [1, 1, 1] });
    const term = leader.lead([3]);
    leader.receive(2, term - 1, {
      kind: "append-entries-response",
      result: "accepted",
      matchIndex: 3,
    });
    assert.equal(leader.node.status().progress[0]?.matchIndex, 0);
  });

  test("a candidate in a lower term catches up with the raised one (etcd 8243)", () => {
    const node = recovering({ isAged: true });
    const [refusal] = node.answer(2, 3, askBefore(9, 2));
    assert.equal(refusal?.term, 3, "nobody is in term 3 but this node");
    const candidate = new Bench({ id: 2, terms: [1, 2] });
    candidate.loseLeader();
    candidate.receive(1, 3, grant("pre-vote", false), true);
    assert.equal(candidate.node.term, 3);
    candidate.loseLeader();
    assert.ok(lines(candidate.take()).some((line) => line.includes("t4 request-pre-vote")));
  });
});
