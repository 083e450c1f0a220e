/** The log and its cursors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "./assert.ts";
import { entryBytes, RaftLog } from "./log.ts";
import { SeededRandom } from "./random.ts";
import { command, commands, snapshotAt } from "./testing/bench.ts";
import type { Entry, SnapshotMetadata, Term } from "./types.ts";

interface Restored {
  readonly entries?: readonly Entry[];
  readonly snapshot?: SnapshotMetadata;
  readonly commitIndex?: number;
}

function restore({ entries = [], snapshot, commitIndex = 0 }: Restored): RaftLog {
  const hardState = { term: 99, vote: 0, commitIndex };
  return new RaftLog({ hardState, snapshot, entries }, 1000);
}

/** A log with entries of these terms, all of them durable. */
function logOf(...terms: readonly Term[]): RaftLog {
  return restore({ entries: commands(terms) });
}

function termsOf(log: RaftLog): readonly (Term | undefined)[] {
  const terms = [];
  for (let index = log.firstIndex; index <= log.lastIndex; index++) terms.push(log.term(index));
  return terms;
}

/** Hands out everything and calls it durable, committed and applied up to `index`. */
function applyTo(log: RaftLog, index: number): void {
  log.takeUnpersisted();
  log.stableTo(log.lastIndex);
  log.commitTo(index);
  log.takeCommitted(Number.POSITIVE_INFINITY);
  log.appliedTo(index);
}

test("an empty log begins before the first entry", () => {
  const log = restore({});
  assert.deepEqual([log.firstIndex, log.lastIndex, log.lastTerm], [1, 0, 0]);
  assert.equal(log.term(0), 0);
  assert.equal(log.term(1), undefined);
  assert.equal(log.lastTime, 1000, "only an empty log knows the initial time");
  log.append(command(1, 1));
  assert.equal(log.lastTime, 0);
});

test("appends are contiguous and of no earlier term", () => {
  const log = logOf(1, 2);
  assert.throws(() => log.append(command(4, 2)), InvariantError);
  assert.throws(() => log.append(command(3, 1)), InvariantError);
  assert.throws(() => log.append({ ...command(3, 2), time: -1 }), InvariantError);
});

test("the log with the later last term is more up to date, then the longer one (5.4.1)", () => {
  const log = logOf(1, 1, 3);
  const asked: [number, Term][] = [
    [9, 2],
    [2, 3],
    [3, 3],
    [4, 3],
    [1, 4],
  ];
  assert.deepEqual(
    asked.map(([index, term]) => log.isUpToDate(index, term)),
    [false, false, true, true, true],
  );
});

test("a splice keeps what matches and replaces from the first conflict on (5.3)", () => {
  const log = logOf(1, 1, 2, 2);
  const known = log.splice(1, commands([1, 2], 2));
  assert.deepEqual(known, { fresh: [], truncatedFrom: undefined });
  assert.deepEqual(termsOf(log), [1, 1, 2, 2], "a shorter, older append removes nothing");
  const fresh = commands([3, 3], 4);
  assert.deepEqual(log.splice(2, [command(3, 2), ...fresh]), { fresh, truncatedFrom: 4 });
  assert.deepEqual(termsOf(log), [1, 1, 2, 3, 3]);
  assert.equal(log.stableIndex, 3, "what was replaced is not durable any more");
  assert.deepEqual(log.takeUnpersisted(), fresh);
  const longer = log.splice(5, [command(6, 3)]);
  assert.equal(longer.truncatedFrom, undefined);
});

test("a committed entry is never replaced", () => {
  const log = logOf(1, 1, 1);
  log.commitTo(2);
  assert.throws(() => log.splice(1, [command(2, 2)]), InvariantError);
});

test("the commit index rises, within the log", () => {
  const log = logOf(1, 1);
  assert.equal(log.commitTo(2), true);
  assert.equal(log.commitTo(1), false);
  assert.equal(log.commitIndex, 2);
  assert.throws(() => log.commitTo(3), InvariantError);
});

test("only what is committed and durable is handed out to apply, once, in portions", () => {
  const log = logOf(1, 1);
  for (const entry of commands([1, 1, 1], 3)) log.append(entry);
  log.commitTo(5);
  const indexes = (entries: readonly Entry[]) => entries.map((entry) => entry.index);
  const size = entryBytes(command(1, 1));
  assert.deepEqual(indexes(log.takeCommitted(1000 * size)), [1, 2]);
  assert.ok(!log.hasCommittedToEmit);
  log.takeUnpersisted();
  log.stableTo(5);
  assert.deepEqual(indexes(log.takeCommitted(2 * size)), [3, 4]);
  assert.deepEqual(indexes(log.takeCommitted(1)), [5], "at least one");
  assert.throws(() => log.appliedTo(6), InvariantError);
});

test("nothing is durable before it was handed out", () => {
  const log = logOf(1);
  log.append(command(2, 1));
  assert.ok(log.hasUnpersisted);
  assert.throws(() => log.stableTo(2), InvariantError);
});

test("slices are bounded in bytes but never empty while there is something", () => {
  const log = restore({ entries: [command(1, 1, 100), command(2, 1, 5000), command(3, 1, 100)] });
  const counts = [1, 300, 6000].map((bytesMax) => log.slice(1, bytesMax).length);
  assert.deepEqual(counts, [1, 1, 3]);
  assert.equal(log.slice(2, 1).length, 1);
  assert.equal(log.slice(4, 1).length, 0);
});

test("the search for common ground finds the last entry of no later term, as a walk would", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = new SeededRandom(seed);
    const terms: Term[] = [];
    for (let term = 1; terms.length < 1 + random.below(20); term += random.below(3))
      terms.push(term);
    const log = logOf(...terms);
    if (random.below(2) === 0) {
      const index = 1 + random.below(terms.length);
      applyTo(log, index);
      log.compact(snapshotAt(index, log.term(index) ?? 0), index + 1);
    }
    const index = random.below(terms.length + 1);
    const term = random.below(12);
    const base = log.firstIndex - 1;
    let walked = index;
    while (walked >= base && (log.term(walked) ?? 0) > term) walked -= 1;
    assert.equal(log.lastIndexOfTermAtMost(index, term), walked, `seed ${seed}`);
  }
});

test("compaction keeps a tail, and the term right before it", () => {
  const log = logOf(1, 1, 2, 2, 3);
  applyTo(log, 5);
  log.compact(snapshotAt(4, 2), 3);
  assert.deepEqual([log.firstIndex, log.lastIndex], [3, 5]);
  assert.equal(log.term(2), 1);
  assert.equal(log.term(1), undefined);
  assert.equal(log.snapshot?.index, 4);
  log.compact(snapshotAt(2, 1), 1);
  assert.equal(log.snapshot?.index, 4, "an older snapshot changes nothing");
  log.compact(snapshotAt(5, 3), 99);
  assert.deepEqual([log.firstIndex, log.lastIndex, log.lastTerm], [6, 5, 3]);
});

test("a snapshot covers applied entries and names one of this log", () => {
  const log = logOf(1, 1, 1);
  applyTo(log, 2);
  assert.throws(() => log.compact(snapshotAt(3, 1), 1), InvariantError);
  assert.throws(() => log.compact(snapshotAt(2, 9), 1), InvariantError);
});

test("an installed snapshot replaces the log, and says nothing is durable before it is", () => {
  const log = logOf(1, 1, 1, 1);
  log.commitTo(2);
  log.restore(snapshotAt(9, 4));
  assert.deepEqual([log.firstIndex, log.lastIndex, log.lastTerm], [10, 9, 4]);
  assert.deepEqual([log.commitIndex, log.stableIndex, log.appliedIndex], [9, 2, 0]);
  assert.ok(!log.hasUnpersisted);
  log.stableTo(9);
  log.restored(snapshotAt(9, 4));
  assert.ok(!log.hasCommittedToEmit);
  log.append(command(10, 4));
  assert.deepEqual(termsOf(log), [4]);
  assert.throws(() => log.restore(snapshotAt(9, 4)), InvariantError, "it takes nothing back");
});

test("a persisted commit index older than the snapshot or beyond the log is put right", () => {
  const entries = commands([2, 2], 6);
  const older = restore({ entries, snapshot: snapshotAt(5, 2), commitIndex: 3 });
  assert.deepEqual([older.commitIndex, older.appliedIndex], [5, 5]);
  const beyond = restore({ entries, snapshot: snapshotAt(5, 2), commitIndex: 50 });
  assert.deepEqual([beyond.commitIndex, beyond.lastIndex], [7, 7]);
});

test("a restored tail may begin at or before its snapshot", () => {
  const behind = restore({ entries: commands([1, 2, 2], 4), snapshot: snapshotAt(5, 2) });
  assert.deepEqual([behind.firstIndex, behind.lastIndex, behind.term(4)], [5, 6, 1]);
  const whole = restore({ entries: commands([1, 1, 2]), snapshot: snapshotAt(2, 1) });
  assert.deepEqual([whole.firstIndex, whole.lastIndex, whole.term(0)], [1, 3, 0]);
  const none = restore({ snapshot: snapshotAt(5, 2) });
  assert.deepEqual([none.firstIndex, none.lastIndex, none.lastTerm], [6, 5, 2]);
});

test("a restored log that contradicts or does not reach the snapshot gives way to it", () => {
  const short = restore({ entries: commands([1, 1]), snapshot: snapshotAt(5, 2) });
  assert.deepEqual([short.firstIndex, short.lastIndex], [6, 5]);
  const stale = restore({ entries: commands([1, 1, 1, 1]), snapshot: snapshotAt(3, 2) });
  assert.deepEqual([stale.firstIndex, stale.lastIndex, stale.lastTerm], [4, 3, 2]);
});

test("a gap in what was restored is refused", () => {
  assert.throws(() => restore({ entries: commands([1], 2) }), InvariantError);
  const gap = { entries: commands([3], 7), snapshot: snapshotAt(5, 2) };
  assert.throws(() => restore(gap), InvariantError);
  assert.throws(() => restore({ entries: [command(1, 1), command(3, 1)] }), InvariantError);
});
