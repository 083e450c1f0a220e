/**
 * The rules of the Raft paper one by one, each under its section: terms and elections, with the
 * PreVote and CheckQuorum of the thesis. The log: `paper-log.test.ts`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "./random.ts";
import { Bench, commands, ELECTION_TICKS, TICK_MS } from "./testing/bench.ts";
import { formatEnvelope } from "./testing/format.ts";
import { append, ask, askBefore, grant, heard, heartbeat, lines } from "./testing/messages.ts";
import type { Term } from "./types.ts";

describe("section 5.1, terms", () => {
  test("a message of a newer term makes a leader a follower of that term", () => {
    const bench = new Bench();
    const term = bench.lead([2, 3]);
    bench.receive(2, term + 1, append(0, 0));
    assert.equal(bench.node.role, "follower");
    assert.equal(bench.node.term, term + 1);
    assert.equal(bench.node.leaderId, 2);
  });

  test("an append of an older term is refused with the newer term and changes nothing", () => {
    const bench = new Bench({ terms: [1, 2], hardState: { term: 3 } });
    const sent = bench.answer(2, 2, append(2, 2, commands([2], 3), 3));
    assert.equal(sent.length, 1);
    assert.equal(sent[0]?.term, 3);
    assert.equal(sent[0]?.message.kind, "append-entries-response");
    assert.equal(bench.node.lastIndex, 2);
    assert.equal(bench.node.commitIndex, 0);
    assert.equal(bench.node.leaderId, 0);
  });

  test("a heartbeat of an older term is answered with the newer term, so its sender learns", () => {
    const bench = new Bench({ hardState: { term: 3 } });
    assert.deepEqual(
      bench.answer(2, 2, heartbeat()).map((envelope) => envelope.term),
      [3],
    );
  });

  test("an answer of an older term counts for nothing", () => {
    const bench = new Bench();
    const term = bench.lead([2, 3]);
    bench.receive(2, term + 1, heartbeat());
    bench.loseLeader();
    bench.receive(2, bench.node.term + 1, grant("pre-vote"));
    assert.equal(bench.node.role, "candidate");
    bench.receive(2, bench.node.term - 1, grant("vote"));
    assert.equal(bench.node.role, "candidate");
  });

  test("an answer of a newer term never leaves with the old role (NuRaft 293)", () => {
    const bench = new Bench();
    const term = bench.lead([2, 3]);
    bench.propose();
    bench.take();
    bench.receive(3, term + 2, heartbeat());
    bench.tick();
    for (const envelope of bench.take()) {
      assert.notEqual(envelope.message.kind, "append-entries", formatEnvelope(envelope));
      assert.notEqual(envelope.message.kind, "heartbeat", formatEnvelope(envelope));
    }
  });
});

describe("section 5.2, leader election", () => {
  test("a node starts as a follower", () => {
    assert.equal(new Bench().node.role, "follower");
  });

  test("a follower that hears a leader does not campaign", () => {
    const bench = new Bench();
    for (let round = 1; round <= 20; round += 1) {
      bench.receive(2, 1, heartbeat(0, round));
      bench.tick(ELECTION_TICKS - 1);
    }
    assert.equal(bench.node.role, "follower");
  });

  test("timeouts are drawn from T to 2T and differ", () => {
    const seen = new Set<number>();
    for (let seed = 1; seed <= 100; seed += 1) {
      const config = { tickMs: 1, heartbeatMs: 50, electionTimeoutMs: 250 };
      const bench = new Bench({ random: new SeededRandom(seed), config });
      let ticks = 0;
      while (bench.node.role === "follower") {
        bench.tick();
        ticks += 1;
      }
      assert.ok(ticks >= 250 && ticks <= 500, `seed ${seed}: ${ticks} ms`);
      seen.add(ticks);
    }
    assert.ok(seen.size > 50, `${seen.size} different timeouts of 100`);
  });

  test("a stalled follower that wakes up delivers one tick and campaigns no earlier for it", () => {
    const bench = new Bench();
    bench.receive(2, 1, heartbeat());
    bench.stall(60_000);
    bench.tick();
    assert.equal(bench.node.role, "follower");
  });

  test("a candidate raises its term and votes for itself before it asks", () => {
    const bench = new Bench();
    bench.loseLeader();
    bench.isDiskManual = true;
    bench.take();
    bench.receive(2, 1, grant("pre-vote"));
    assert.equal(bench.node.role, "candidate");
    assert.deepEqual(bench.readys.at(-1)?.hardState, { term: 1, vote: 1, commitIndex: 0 });
    assert.equal(bench.readys.at(-1)?.mustSyncHardState, true);
    assert.deepEqual(lines(bench.take()), []);
    bench.sync();
    assert.deepEqual(lines(bench.take()), [
      "1->2 t1 request-vote last=0/0",
      "1->3 t1 request-vote last=0/0",
    ]);
  });

  test("its own vote counts only when it is durable", () => {
    const bench = new Bench({ voters: [1] });
    bench.isDiskManual = true;
    bench.tick(2 * ELECTION_TICKS);
    assert.notEqual(bench.node.role, "leader");
    bench.sync();
    assert.equal(bench.node.role, "leader");
  });

  for (const { voters, needed } of [
    { voters: [1, 2], needed: 1 },
    { voters: [1, 2, 3], needed: 1 },
    { voters: [1, 2, 3, 4], needed: 2 },
    { voters: [1, 2, 3, 4, 5], needed: 2 },
    { voters: [1, 2, 3, 4, 5, 6, 7], needed: 3 },
  ]) {
    test(`of ${voters.length} voters a candidate needs ${needed} more votes`, () => {
      const bench = new Bench({ voters });
      bench.loseLeader();
      const others = voters.slice(1);
      for (const from of others.slice(0, needed)) {
        assert.equal(bench.node.role, "pre-candidate");
        bench.receive(from, 1, grant("pre-vote"));
      }
      for (const from of others.slice(0, needed)) {
        assert.equal(bench.node.role, "candidate");
        bench.receive(from, 1, grant("vote"));
      }
      assert.equal(bench.node.role, "leader");
    });
  }

  test("a vote that comes twice counts once", () => {
    const bench = new Bench({ voters: [1, 2, 3, 4, 5] });
    bench.loseLeader();
    bench.receive(2, 1, grant("pre-vote"));
    bench.receive(2, 1, grant("pre-vote"));
    assert.equal(bench.node.role, "pre-candidate");
    bench.receive(3, 1, grant("pre-vote"));
    bench.receive(2, 1, grant("vote"));
    bench.receive(2, 1, grant("vote"));
    assert.equal(bench.node.role, "candidate");
  });

  test("a vote of a stranger counts for nothing", () => {
    const bench = new Bench();
    bench.loseLeader();
    bench.receive(9, 1, grant("pre-vote"));
    assert.equal(bench.node.role, "pre-candidate");
  });

  test("a node votes for one candidate in a term, first come first served", () => {
    const bench = new Bench();
    assert.deepEqual(lines(bench.answer(2, 1, ask(0, 0))), ["1->2 t1 vote granted"]);
    assert.deepEqual(lines(bench.answer(3, 1, ask(0, 0))), ["1->3 t1 vote refused"]);
    assert.deepEqual(lines(bench.answer(2, 1, ask(0, 0))), ["1->2 t1 vote granted"]);
    assert.deepEqual(lines(bench.answer(3, 2, ask(0, 0))), ["1->3 t2 vote granted"]);
  });

  test("a vote survives a restart (canonical/raft 386)", () => {
    const bench = new Bench({ hardState: { term: 1, vote: 2 } });
    assert.deepEqual(lines(bench.answer(3, 1, ask(5, 1))), ["1->3 t1 vote refused"]);
  });

  test("a candidate that hears the leader of its own term follows it", () => {
    const bench = new Bench();
    bench.loseLeader();
    bench.receive(2, 1, grant("pre-vote"));
    bench.receive(3, 1, append(0, 0));
    assert.equal(bench.node.role, "follower");
    assert.equal(bench.node.leaderId, 3);
    bench.receive(2, 1, grant("vote"));
    assert.equal(bench.node.role, "follower");
  });

  test("a candidate that a majority refuses does not lead", () => {
    const bench = new Bench();
    bench.loseLeader();
    bench.receive(2, 1, grant("pre-vote"));
    bench.receive(2, 1, grant("vote", false));
    bench.receive(3, 1, grant("vote", false));
    assert.notEqual(bench.node.role, "leader");
  });

  test("a candidate without answers starts anew a timeout later", () => {
    const bench = new Bench();
    bench.loseLeader();
    bench.receive(2, 1, grant("pre-vote"));
    bench.take();
    bench.tick(2 * ELECTION_TICKS);
    assert.equal(bench.node.role, "pre-candidate");
    assert.ok(lines(bench.take()).includes("1->2 t2 request-pre-vote last=0/0"));
  });

  test("a fresh node that met a member with a past does not vote until it may", () => {
    const bench = new Bench({ config: { canVote: false } });
    bench.tick(10 * ELECTION_TICKS);
    assert.equal(bench.node.role, "follower");
    assert.ok(!lines(bench.answer(2, 1, ask(0, 0))).includes("1->2 t1 vote granted"));
    bench.node.allowVoting();
    assert.ok(lines(bench.answer(2, 2, ask(0, 0))).includes("1->2 t2 vote granted"));
  });
});

describe("section 5.4.1, election restriction", () => {
  const mine: readonly Term[] = [1, 2, 2];
  for (const [index, term, isGranted] of [
    [3, 2, true],
    [4, 2, true],
    [1, 3, true],
    [2, 2, false],
    [9, 1, false],
    [0, 0, false],
  ] as const) {
    test(`a log that ends at ${index}/${term} ${isGranted ? "is" : "is not"} as good as 3/2`, () => {
      const bench = new Bench({ terms: mine, isAged: true });
      const word = isGranted ? "granted" : "refused";
      assert.deepEqual(lines(bench.answer(2, 4, askBefore(index, term))).length, 1);
      assert.ok(lines(bench.answer(2, 4, ask(index, term))).includes(`1->2 t4 vote ${word}`));
    });
  }
});

describe("thesis 9.6, PreVote", () => {
  test("a pre-candidate keeps its term and writes nothing", () => {
    const bench = new Bench();
    const before = bench.readys.length;
    bench.loseLeader();
    assert.equal(bench.node.term, 0);
    assert.ok(bench.readys.slice(before).every((ready) => !ready.mustSyncHardState));
    assert.deepEqual(lines(bench.take()), [
      "1->2 t1 request-pre-vote last=0/0",
      "1->3 t1 request-pre-vote last=0/0",
    ]);
  });

  test("granting a pre-vote changes neither term nor vote", () => {
    const bench = new Bench();
    assert.deepEqual(lines(bench.answer(2, 5, askBefore(0, 0))), ["1->2 t5 pre-vote granted"]);
    assert.equal(bench.node.term, 0);
    assert.equal(bench.node.status().vote, 0);
    assert.deepEqual(lines(bench.answer(3, 5, askBefore(0, 0))), ["1->3 t5 pre-vote granted"]);
  });

  test("a follower that hears its leader refuses, and its term stays (thesis 4.2.3)", () => {
    const bench = new Bench();
    bench.receive(3, 1, heartbeat());
    for (const message of [askBefore(9, 9), ask(9, 9)]) {
      const sent = lines(bench.answer(2, 7, message));
      assert.ok(
        sent.every((line) => !line.includes("granted")),
        `${sent}`,
      );
      assert.equal(bench.node.term, 1);
    }
    bench.tick(ELECTION_TICKS);
    assert.ok(lines(bench.answer(2, 7, ask(9, 9))).includes("1->2 t7 vote granted"));
  });

  test("a restarted node keeps the promise that a lease may rest on", () => {
    const bench = new Bench({ terms: [1] });
    const early = lines(bench.answer(2, 2, ask(1, 1)));
    assert.ok(
      early.every((line) => !line.includes("granted")),
      `${early}`,
    );
    bench.age();
    assert.ok(lines(bench.answer(2, 2, ask(1, 1))).includes("1->2 t2 vote granted"));
  });

  test("a refusal carries the refuser's term, so a pre-candidate with an old one learns", () => {
    const bench = new Bench({ terms: [1], hardState: { term: 5 }, isAged: true });
    const [answer] = bench.answer(2, 2, askBefore(0, 0));
    assert.equal(answer?.term, 5);
    const candidate = new Bench();
    candidate.loseLeader();
    candidate.receive(2, 5, grant("pre-vote", false));
    assert.equal(candidate.node.term, 5);
    assert.equal(candidate.node.role, "follower");
  });

  test("a stale leader of a lower term learns from any answer (etcd 8243, 10355)", () => {
    const bench = new Bench();
    const term = bench.lead([2, 3]);
    for (const message of [heartbeat(), append(1, 1)]) {
      const [answer] = new Bench({ hardState: { term: term + 3 } }).answer(2, term, message);
      assert.equal(answer?.term, term + 3);
    }
    bench.receive(2, term + 3, heard(1));
    assert.equal(bench.node.role, "follower");
    assert.equal(bench.node.term, term + 3);
  });

  test("a vote asked without a pre-vote, as by an older version, is judged by itself (etcd 8501)", () => {
    const bench = new Bench({ terms: [1], isAged: true });
    assert.ok(lines(bench.answer(2, 4, ask(1, 1))).includes("1->2 t4 vote granted"));
  });
});

describe("thesis 6.2, CheckQuorum", () => {
  test("a leader that hears no quorum for an election timeout steps down", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    bench.tick(ELECTION_TICKS - 1);
    assert.equal(bench.node.role, "leader");
    bench.tick(2);
    assert.equal(bench.node.role, "follower");
  });

  test("it goes by real time, not by ticks: a leader that stood still steps down at once", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    bench.stall(ELECTION_TICKS * TICK_MS);
    bench.tick();
    assert.equal(bench.node.role, "follower");
  });

  test("answers of a minority do not keep it, those of a majority do", () => {
    for (const [alive, role] of [
      [[2], "follower"],
      [[2, 3], "leader"],
    ] as const) {
      const bench = new Bench({ voters: [1, 2, 3, 4, 5] });
      const term = bench.leadAndCommit([2, 3, 4, 5]);
      for (let round = 0; round < 2 * ELECTION_TICKS; round += 1) {
        for (const from of alive) {
          bench.receive(from, term, heard(round));
        }
        bench.tick();
      }
      assert.equal(bench.node.role, role);
    }
  });
});
