/**
 * Section 7 of the paper rule by rule, and the bugs other implementations had there: snapshots and
 * log compaction.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  Bench,
  command,
  commands,
  configurationEntry,
  ELECTION_TICKS,
  members,
  snapshotAt,
} from "./testing/bench.ts";
import { formatConfiguration } from "./testing/format.ts";
import {
  append,
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

  test("a full window that nobody acknowledged does not hold the snapshot back", () => {
    const bench = new Bench({ config: { inflightMessagesMax: 1 } });
    const term = bench.leadAndCommit([2, 3]);
    // Node 2 is sent entry 2 and its answer is lost; the others go on and the log is compacted.
    for (let count = 0; count < 4; count += 1) bench.propose();
    bench.accept(3, 2);
    bench.accept(3, bench.node.lastIndex);
    bench.node.compact(bench.node.snapshotMetadata(5), 6);
    const sent: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      bench.tick();
      const newest = newestRound(bench.sent);
      bench.receive(2, term, heard(newest));
      bench.receive(3, term, heard(newest));
      sent.push(...lines(bench.take()));
    }
    assert.ok(sent.includes(`1->2 t${term} install snapshot 5/1 members 1 2 3`), `${sent}`);
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
