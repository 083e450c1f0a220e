/**
 * The rules of the thesis one by one, and the bugs other implementations had there: linearizable
 * reads, the leader lease, cluster time.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Bench, command, ELECTION_TICKS, TICK_MS } from "./testing/bench.ts";
import { append, heard, heartbeat, newestRound } from "./testing/messages.ts";

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

  test("it never rests on a voter without an entry: restarted, that one remembers nothing", () => {
    const bench = new Bench({ config });
    const term = bench.lead([2, 3]);
    bench.accept(2, 1);
    bench.tick();
    bench.receive(3, term, heard(newestRound(bench.take())));
    assert.equal(bench.node.readIndex(1, bench.nowMs).kind, "pending");
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
