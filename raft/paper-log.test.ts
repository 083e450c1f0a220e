/**
 * The rules of the Raft paper one by one, each under its section: replication, commitment, and what
 * must be durable when. Elections: `paper.test.ts`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Bench, commands, ELECTION_TICKS, snapshotAt, TICK_MS } from "./testing/bench.ts";
import { formatEntry } from "./testing/format.ts";
import { append, ask, grant, heard, heartbeat, lines, rejected } from "./testing/messages.ts";
import type { Term } from "./types.ts";

const log = (bench: Bench): readonly string[] => bench.persisted.map(formatEntry);
const terms = (bench: Bench): readonly Term[] => bench.persisted.map((entry) => entry.term);

describe("section 5.3, log replication", () => {
  test("a leader appends, sends, and commits when a majority has the entry", () => {
    const bench = new Bench();
    bench.leadAndCommit([2]);
    bench.accept(3, 1);
    bench.take();
    assert.deepEqual(bench.propose(), { kind: "appended", id: { term: 1, index: 2 } });
    const appends = bench.take().filter(({ message }) => message.kind === "append-entries");
    assert.deepEqual(
      appends.map(({ to }) => to),
      [2, 3],
    );
    assert.equal(bench.node.commitIndex, 1);
    bench.accept(3, 2);
    assert.equal(bench.node.commitIndex, 2);
    assert.equal(bench.applied.at(-1)?.index, 2);
  });

  test("proposals of one turn leave in one append, in order", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    bench.take();
    for (let count = 0; count < 3; count += 1) bench.node.propose(new Uint8Array(1), bench.nowMs);
    bench.work();
    const toTwo = bench.take().filter(({ to }) => to === 2);
    assert.equal(toTwo.length, 1);
    const [only] = toTwo;
    assert.equal(only?.message.kind === "append-entries" && only.message.entries.length, 3);
  });

  test("a follower refuses what does not fit its log and says where it might", () => {
    const bench = new Bench({ terms: [1, 1, 2] });
    assert.deepEqual(lines(bench.answer(2, 3, append(5, 3))), [
      "1->2 t3 append rejected at=5 hint=3/2",
    ]);
    assert.equal(bench.node.lastIndex, 3);
  });

  test("a follower drops its conflicting tail and takes the leader's", () => {
    const bench = new Bench({ terms: [1, 1, 2, 2] });
    const sent = bench.answer(2, 3, append(2, 1, commands([3], 3)));
    assert.deepEqual(lines(sent), ["1->2 t3 append accepted match=3"]);
    assert.equal(bench.node.lastIndex, 3);
    assert.deepEqual(log(bench), ['3/3 "\\u0000"']);
  });

  test("a late duplicate of an older append does not cut what came after it", () => {
    const bench = new Bench();
    bench.receive(2, 1, append(0, 0, commands([1, 1, 1])));
    assert.deepEqual(lines(bench.answer(2, 1, append(0, 0, commands([1])))), [
      "1->2 t1 append accepted match=1",
    ]);
    assert.equal(bench.node.lastIndex, 3);
  });

  test("a leader backs up until the logs agree, then sends what follows", () => {
    const bench = new Bench({ terms: [1, 1, 1], isAged: true });
    const term = bench.lead([2, 3]);
    assert.ok(lines(bench.take()).some((line) => line.startsWith("1->2 t2 append prev=3/1")));
    const sent = bench.answer(2, term, rejected(3, 1, 1));
    assert.ok(
      lines(sent).some((line) => line.startsWith("1->2 t2 append prev=1/1")),
      `${lines(sent)}`,
    );
  });

  test("conflicting terms are skipped whole, from both sides", () => {
    // The leader's 1 1 1 5 5 against a follower's 1 1 4 4 4 4: hint 5/4 leads to index 3 at once.
    const bench = new Bench({ terms: [1, 1, 1, 5, 5], isAged: true });
    const term = bench.lead([2, 3]);
    const sent = lines(bench.answer(2, term, rejected(5, 5, 4)));
    assert.ok(
      sent.some((line) => line.startsWith(`1->2 t${term} append prev=3/1`)),
      `${sent}`,
    );
    // The follower's side: asked about 3/1 while it holds term 4 there, it names index 2.
    const follower = new Bench({ terms: [1, 1, 4, 4, 4, 4] });
    assert.deepEqual(lines(follower.answer(2, 6, append(3, 1))), [
      "1->2 t6 append rejected at=3 hint=2/1",
    ]);
  });

  test("a rejection older than what the leader knows is ignored (scylladb 9552)", () => {
    const bench = new Bench({ terms: [1, 1, 1], isAged: true });
    const term = bench.lead([2, 3]);
    bench.accept(2, 4);
    bench.take();
    bench.receive(2, term, rejected(3, 1, 1));
    const [progress] = bench.node.status().progress;
    assert.equal(progress?.matchIndex, 4);
    assert.equal(progress?.state, "replicate");
  });

  test("a follower commits what the leader says, up to what this append proved (scylladb 9965)", () => {
    // A stale tail up to 10; the leader's log is proven equal up to 9 only.
    const bench = new Bench({ terms: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1] });
    bench.receive(2, 2, append(9, 1, [], 11));
    assert.equal(bench.node.commitIndex, 9);
    const { applied } = bench;
    assert.equal(applied.at(-1)?.index, 9);
  });

  test("an append never carries more than its bound, and always an entry (yugabyte 32876)", () => {
    const config = { appendBytesMax: 300 };
    const bench = new Bench({ config });
    bench.leadAndCommit([2, 3]);
    for (let count = 0; count < 3; count += 1)
      bench.node.propose(new Uint8Array(1000), bench.nowMs);
    bench.take();
    bench.work();
    for (const { message } of bench.take()) {
      if (message.kind === "append-entries") assert.equal(message.entries.length, 1);
    }
  });

  test("a full window waits for acknowledgements", () => {
    const bench = new Bench({ config: { inflightMessagesMax: 2 } });
    bench.leadAndCommit([2, 3]);
    bench.take();
    for (let count = 0; count < 5; count += 1) bench.propose();
    const carrying = (): readonly number[] =>
      bench
        .take()
        .flatMap(({ to, message }) =>
          to === 2 && message.kind === "append-entries" && message.entries.length > 0
            ? [message.entries.length]
            : [],
        );
    assert.deepEqual(carrying(), [1, 1]);
    bench.accept(2, 2);
    assert.deepEqual(carrying(), [3]);
  });

  test("lost messages are sent again after the transport says so", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    bench.propose();
    bench.take();
    bench.node.reportUnreachable(2);
    bench.work();
    const sent = lines(bench.take());
    assert.ok(
      sent.some((line) => line.startsWith("1->2 t1 append prev=1/1")),
      `${sent}`,
    );
  });

  test("a peer that can be reached again hears of its leader at the next tick", () => {
    const bench = new Bench({ config: { heartbeatMs: 2 * TICK_MS } });
    bench.leadAndCommit([2, 3]);
    const greeted = () => lines(bench.take()).some((line) => line.startsWith("1->2 t1 heartbeat"));
    do bench.tick();
    while (!greeted());
    // A heartbeat is due every other tick: not at the next one, if nothing happens.
    bench.node.reportReachable(2);
    bench.tick();
    assert.ok(greeted());
  });

  test("messages about and from a peer without progress are survived (second seed bug)", () => {
    const bench = new Bench();
    const term = bench.leadAndCommit([2, 3]);
    bench.receive(9, term, { kind: "append-entries-response", result: "accepted", matchIndex: 1 });
    bench.receive(9, term, rejected(1, 0, 0));
    bench.receive(9, term, heard(1));
    bench.receive(9, term, { kind: "install-snapshot-response", matchIndex: 1 });
    bench.receive(9, term, { kind: "read-index", context: 7 });
    bench.node.reportUnreachable(9);
    bench.node.reportReachable(9);
    bench.node.reportSnapshot(9, true);
    bench.node.reportSnapshot(9, false);
    assert.equal(bench.node.transferLeadership(9, bench.nowMs), "unknown-member");
    bench.work();
    assert.equal(bench.node.role, "leader");
    const follower = new Bench();
    follower.receive(9, 0, grant("vote"));
    follower.receive(9, 0, { kind: "read-index-response", context: 3, index: 4 });
    follower.receive(9, 0, heard(1));
    follower.node.reportUnreachable(2);
    follower.node.reportSnapshot(2, true);
    follower.work();
    assert.equal(follower.node.role, "follower");
  });

  test("too many uncommitted bytes are refused before they are appended", () => {
    const bench = new Bench({ config: { uncommittedBytesMax: 800 } });
    bench.leadAndCommit([2, 3]);
    assert.equal(bench.propose(800).kind, "appended");
    assert.equal(bench.propose(800).kind, "overloaded");
    bench.accept(2, bench.node.lastIndex);
    assert.equal(bench.propose(800).kind, "appended");
  });

  test("a follower refuses proposals and names its leader", () => {
    const bench = new Bench();
    bench.receive(2, 1, heartbeat());
    assert.deepEqual(bench.propose(), { kind: "not-leader", leaderId: 2 });
  });
});

describe("section 5.4.2, committing entries of earlier terms", () => {
  test("only an entry of the own term commits by counting, the older ones with it (Figure 8)", () => {
    const bench = new Bench({ voters: [1, 2, 3, 4, 5], terms: [1, 2], isAged: true });
    const term = bench.lead([2, 3, 4, 5]);
    assert.equal(bench.node.lastIndex, 3, "a noop of the own term");
    bench.accept(2, 2);
    bench.accept(3, 2);
    bench.accept(4, 2);
    assert.equal(bench.node.commitIndex, 0);
    bench.accept(2, 3);
    assert.equal(bench.node.commitIndex, 0);
    bench.accept(3, 3);
    assert.equal(bench.node.commitIndex, 3);
    assert.deepEqual(
      bench.applied.map((entry) => entry.term),
      [1, 2, term],
    );
  });

  test("a new leader starts with a noop", () => {
    const bench = new Bench();
    bench.lead([2, 3]);
    assert.deepEqual(log(bench), ["1/1 noop"]);
  });
});

describe("Figure 2, what is persistent, and thesis 3.8, when answers leave", () => {
  test("a vote leaves when term and vote are durable", () => {
    const bench = new Bench();
    bench.isDiskManual = true;
    assert.deepEqual(lines(bench.answer(2, 1, ask(0, 0))), []);
    assert.deepEqual(bench.readys.at(-1)?.hardState, { term: 1, vote: 2, commitIndex: 0 });
    bench.sync();
    assert.deepEqual(lines(bench.take()), ["1->2 t1 vote granted"]);
  });

  test("an acknowledgement leaves when the entries are durable", () => {
    const bench = new Bench();
    bench.isDiskManual = true;
    assert.deepEqual(lines(bench.answer(2, 1, append(0, 0, commands([1])))), []);
    bench.sync();
    assert.deepEqual(lines(bench.take()), ["1->2 t1 append accepted match=1"]);
  });

  test("a duplicate append is not acknowledged before the flush that carries its entries", () => {
    const bench = new Bench();
    bench.isDiskManual = true;
    bench.receive(2, 1, append(0, 0, commands([1])));
    bench.receive(2, 1, append(0, 0, commands([1])));
    assert.deepEqual(lines(bench.take()), []);
    bench.sync();
    for (const line of lines(bench.take())) assert.equal(line, "1->2 t1 append accepted match=1");
  });

  test("a leader sends in parallel with its own flush and counts itself only after it", () => {
    const bench = new Bench();
    bench.leadAndCommit([2, 3]);
    bench.isDiskManual = true;
    bench.take();
    bench.propose();
    assert.ok(
      lines(bench.take()).some((line) => line.includes("append prev=1/1")),
      "sent at once",
    );
    bench.sent = [];
    bench.node.synced(0);
    bench.accept(2, 2);
    assert.equal(bench.node.commitIndex, 1, "one durable copy of three");
    bench.sync();
    assert.equal(bench.node.commitIndex, 2);
  });

  test("a single voter commits only what its own disk holds (etcd 14370)", () => {
    const bench = new Bench({ voters: [1] });
    bench.tick(2 * ELECTION_TICKS);
    assert.equal(bench.node.role, "leader");
    bench.isDiskManual = true;
    bench.propose();
    assert.equal(bench.node.commitIndex, 1);
    assert.equal(bench.applied.length, 1);
    bench.sync();
    assert.equal(bench.node.commitIndex, 2);
    assert.equal(bench.applied.length, 2);
  });

  test("a committed entry is applied only when it is durable here too", () => {
    const bench = new Bench();
    bench.isDiskManual = true;
    bench.receive(2, 1, append(0, 0, commands([1]), 1));
    assert.equal(bench.node.commitIndex, 1);
    assert.equal(bench.applied.length, 0);
    bench.sync();
    assert.equal(bench.applied.length, 1);
  });

  test("a flush proves nothing about entries replaced meanwhile (canonical/raft 355, etcd ABA)", () => {
    const bench = new Bench();
    bench.isDiskManual = true;
    bench.receive(2, 1, append(0, 0, commands([1, 1])));
    bench.receive(3, 2, append(1, 1, commands([2], 2)));
    bench.receive(2, 3, append(1, 1, commands([3, 3], 2), 3));
    // The first flush holds 1/1 and 2/1; 2/1 is gone from the log.
    bench.syncOne();
    assert.equal(bench.node.status().stableIndex, 1);
    assert.deepEqual(
      bench.applied.map((entry) => entry.index),
      [1],
    );
    bench.syncOne();
    assert.equal(bench.node.status().stableIndex, 1);
    bench.sync();
    assert.equal(bench.node.status().stableIndex, 3);
    assert.deepEqual(terms(bench), [1, 3, 3]);
  });

  test("a persisted commit index older than the snapshot is no error (first seed bug)", () => {
    const bench = new Bench({
      snapshot: snapshotAt(5, 2),
      entries: commands([2, 2], 6),
      hardState: { term: 2, commitIndex: 3 },
    });
    assert.equal(bench.node.commitIndex, 5);
    assert.equal(bench.node.lastIndex, 7);
    assert.equal(bench.node.status().appliedIndex, 5);
  });

  test("a persisted commit index beyond a torn tail is cut to the log", () => {
    const bench = new Bench({ terms: [1, 1], hardState: { term: 1, commitIndex: 5 } });
    assert.equal(bench.node.commitIndex, 2);
  });

  test("a restart applies again from the snapshot, not from what was applied before", () => {
    const bench = new Bench({
      snapshot: snapshotAt(2, 1),
      entries: commands([1, 1], 3),
      hardState: { term: 1, commitIndex: 4 },
    });
    assert.deepEqual(
      bench.applied.map((entry) => entry.index),
      [3, 4],
    );
  });
});
