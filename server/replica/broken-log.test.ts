import assert from "node:assert/strict";
import { test } from "node:test";
import { type Entry, SeededRandom } from "../../raft/index.ts";
import { BrokenLog, LOG_ORIGIN, type LogPiece } from "./broken-log.ts";
import { baseOf, chain, terms } from "./testing/chain.ts";

const LOG = chain([...terms(1, 4), ...terms(2, 6)]);

function at(index: number, log: readonly Entry[] = LOG): Entry {
  const entry = log.find((each) => each.index === index);
  assert.ok(entry !== undefined, `the log has an entry ${index}`);
  return entry;
}

/** The entries from `first` to `last`, both included. */
function run(first: number, last: number, log: readonly Entry[] = LOG): readonly Entry[] {
  return log.filter(({ index }) => index >= first && index <= last);
}

function pieces(...runs: readonly (readonly Entry[])[]): readonly LogPiece[] {
  return runs.map((entries) => ({ kind: "entries", entries }));
}

test("a hole is filled from its top down, by whatever runs the members have", () => {
  const log = new BrokenLog(LOG_ORIGIN, pieces(run(1, 3), run(9, 10)), 0);
  assert.deepEqual(log.holesAbove(0), [{ first: 4, last: 8 }]);
  assert.equal(log.offer(run(4, 6)), 0, "nothing proves 6 yet");
  assert.equal(log.offer(run(7, 8)), 2);
  assert.deepEqual(log.holesAbove(0), [{ first: 4, last: 6 }]);
  assert.equal(log.offer(run(2, 6)), 3, "what is held already is not taken again");
  assert.deepEqual(log.holesAbove(0), []);
  assert.deepEqual(log.runFrom(LOG_ORIGIN), LOG);
});

test("an entry of another history is refused, also with the right index and term", () => {
  const log = new BrokenLog(LOG_ORIGIN, pieces(run(1, 3), run(5, 10)), 0);
  const otherTerm = chain([1, 1, 1, 2]);
  assert.equal(log.offer(run(4, 4, otherTerm)), 0);
  const otherPast = chain([1, 2, 1, 1]);
  assert.equal(log.offer(run(4, 4, otherPast)), 0, "its checksum speaks for another past");
  assert.equal(log.offer(run(4, 4)), 1);
});

test("an entry that was replaced by a write the damage swallowed is fetched anew", () => {
  const old = [...run(1, 4), ...chain(terms(1, 3), baseOf(at(4)))];
  const log = new BrokenLog(LOG_ORIGIN, pieces(old, run(8, 10)), 0);
  assert.deepEqual(log.holesAbove(0), [{ first: 7, last: 7 }]);
  assert.equal(log.offer(run(7, 7)), 1);
  assert.deepEqual(log.holesAbove(0), [{ first: 6, last: 6 }], "the old 6 is none of this log");
  assert.equal(log.offer(run(1, 6)), 2);
  assert.deepEqual(log.runFrom(LOG_ORIGIN), LOG);
});

test("a lost end is filled when its last entry has a name, and by that entry only", () => {
  const named: LogPiece = { kind: "lost", point: baseOf(at(10)) };
  const log = new BrokenLog(LOG_ORIGIN, [...pieces(run(1, 7)), named], 0);
  assert.deepEqual(log.holesAbove(0), [{ first: 8, last: 10 }]);
  assert.ok(log.isNamed(10));
  const other = chain(terms(3, 3), baseOf(at(7)));
  assert.equal(log.offer(other), 0);
  assert.equal(log.offer(run(8, 10)), 3);
  assert.deepEqual(log.runFrom(LOG_ORIGIN), LOG);
});

test("a name without a checksum is still a name: index and term", () => {
  const { index, term } = at(10);
  const named: LogPiece = { kind: "lost", point: { index, term, checksum: 0 } };
  const log = new BrokenLog(LOG_ORIGIN, [...pieces(run(1, 9)), named], 0);
  assert.equal(log.offer(chain([3], baseOf(at(9)))), 0);
  assert.equal(log.offer([at(10)]), 1);
});

test("what is only known to have been there has no name, and nothing fills it", () => {
  const log = new BrokenLog(LOG_ORIGIN, pieces(run(1, 7)), 10);
  assert.deepEqual(log.holesAbove(0), [{ first: 8, last: 10 }]);
  assert.equal(log.isNamed(10), false);
  assert.equal(log.offer(run(8, 10)), 0);
  assert.deepEqual(log.holesAbove(10), [], "a snapshot of 10 covers it");
  assert.deepEqual(log.runFrom(LOG_ORIGIN), run(1, 7));
});

test("a log behind a lost snapshot misses all before it, named by its own first entry", () => {
  const log = new BrokenLog(baseOf(at(6)), pieces(run(7, 10)), 0);
  assert.deepEqual(log.holesAbove(0), [{ first: 1, last: 6 }]);
  assert.equal(log.offer(run(4, 6)), 3);
  assert.deepEqual(log.holesAbove(0), [{ first: 1, last: 3 }]);
  assert.deepEqual(log.holesAbove(3), []);
  assert.deepEqual(log.runFrom(baseOf(at(3))), run(4, 10));
});

test("the run from a snapshot keeps the entries right before it and stops at the first hole", () => {
  const log = new BrokenLog(LOG_ORIGIN, pieces(run(1, 2), run(4, 7), run(9, 10)), 0);
  assert.deepEqual(log.holesAbove(5), [{ first: 8, last: 8 }]);
  assert.deepEqual(log.runFrom(baseOf(at(5))), run(4, 7));
});

test("a log that contradicts the snapshot is given up, one that ends before it is not needed", () => {
  const log = new BrokenLog(LOG_ORIGIN, pieces(LOG), 0);
  const other = chain(terms(3, 12));
  assert.deepEqual(log.runFrom(baseOf(at(5, other))), []);
  assert.deepEqual(log.runFrom(baseOf(at(12, other))), []);
  const behind = new BrokenLog(baseOf(at(5)), pieces(run(6, 10)), 0);
  assert.deepEqual(behind.runFrom(baseOf(at(5, other))), [], "6 follows another 5");
});

test("an island that replaced the end of what stands before it wins over it", () => {
  const old = [...run(1, 4), ...chain(terms(1, 5), baseOf(at(4)))];
  const log = new BrokenLog(LOG_ORIGIN, pieces(old, run(5, 6)), 0);
  assert.deepEqual(log.holesAbove(0), []);
  assert.deepEqual(log.runFrom(LOG_ORIGIN), run(1, 6));
});

test("whatever is lost, a log that is filled to the end is the one it was", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed);
    const whole = history(random);
    const isLost = whole.map((_, index) => index < whole.length - 1 && random.below(3) === 0);
    const log = new BrokenLog(LOG_ORIGIN, [...survivors(whole, isLost)], 0);
    const donors = [whole, whole, chain(terms(9, whole.length))].map((entries) =>
      entries.filter(() => random.below(4) > 0),
    );
    for (let tries = 0; tries < 400 && log.holesAbove(0).length > 0; tries++) {
      const donor = donors[random.below(donors.length)] ?? [];
      const [hole] = log.holesAbove(0);
      if (hole !== undefined) log.offer(contiguousTo(hole.last, donor));
    }
    const filled = log.runFrom(LOG_ORIGIN);
    assert.deepEqual(filled, whole.slice(0, filled.length), `seed ${seed}`);
    if (log.holesAbove(0).length === 0) assert.equal(filled.length, whole.length, `seed ${seed}`);
  }
});

function history(random: SeededRandom): readonly Entry[] {
  let term = 1;
  return chain(
    Array.from({ length: 5 + random.below(30) }, () => {
      if (random.below(5) === 0) term++;
      return term;
    }),
  );
}

function* survivors(whole: readonly Entry[], isLost: readonly boolean[]): Iterable<LogPiece> {
  for (const [position, entry] of whole.entries()) {
    if (isLost[position] !== true) yield { kind: "entries", entries: [entry] };
  }
}

function contiguousTo(last: number, held: readonly Entry[]): readonly Entry[] {
  const entries: Entry[] = [];
  for (let index = last; ; index--) {
    const entry = held.find((each) => each.index === index);
    if (entry === undefined) return entries.reverse();
    entries.push(entry);
  }
}
