import assert from "node:assert/strict";
import { test } from "node:test";
import { HashComparison } from "./hash-comparison.ts";

const VOTERS = [1, 2, 3];

/** Reports at one index: a letter for each member, in the order of their ids; a dot for none. */
function compare(letters: string, voters: readonly number[] = VOTERS) {
  const comparison = new HashComparison(1);
  for (const [at, value] of [...letters].entries()) {
    if (value !== ".") comparison.report(at + 1, { index: 10, hash: { version: 1, value } });
  }
  return comparison.judge(10, voters);
}

test("agreement is open until a majority has it, and then settled without a minority", () => {
  assert.deepEqual(compare("..."), { kind: "open" });
  assert.deepEqual(compare("a.."), { kind: "open" });
  assert.deepEqual(compare("aa."), { kind: "settled", value: "a", minority: [] });
  assert.deepEqual(compare("aaa"), { kind: "settled", value: "a", minority: [] });
});

test("a majority of all voters settles it against the others", () => {
  assert.deepEqual(compare("aab"), { kind: "settled", value: "a", minority: [3] });
  assert.deepEqual(compare("bcbbd", [1, 2, 3, 4, 5]), {
    kind: "settled",
    value: "b",
    minority: [2, 5],
  });
});

test("as long as no hash has a majority, differing ones are a dispute", () => {
  for (const [letters, voters] of [
    ["ab.", VOTERS],
    ["abc", VOTERS],
    ["aab.", [1, 2, 3, 4]],
    ["aabb", [1, 2, 3, 4]],
    ["aabbc", [1, 2, 3, 4, 5]],
    ["ab", [1, 2]],
  ] as const) {
    assert.equal(compare(letters, voters).kind, "disputed", letters);
  }
});

test("a learner decides nothing, and can be in the minority", () => {
  assert.deepEqual(compare("a.b", [1, 2]), { kind: "open" });
  assert.deepEqual(compare("aab", [1, 2]), { kind: "settled", value: "a", minority: [3] });
});

test("a hash of another version says nothing", () => {
  const comparison = new HashComparison(1);
  comparison.report(1, { index: 10, hash: { version: 1, value: "a" } });
  comparison.report(2, { index: 10, hash: { version: 2, value: "b" } });
  assert.deepEqual(comparison.judge(10, VOTERS), { kind: "open" });
});

test("how things stand is what the newest index says that is not open", () => {
  const comparison = new HashComparison(1);
  const report = (id: number, index: number, value: string) =>
    comparison.report(id, { index, hash: { version: 1, value } });
  const now = () => {
    const { index, judgement } = comparison.newest(VOTERS);
    return [index, judgement.kind];
  };
  assert.deepEqual(now(), [0, "open"]);
  report(1, 10, "a");
  report(2, 10, "b");
  assert.deepEqual(now(), [10, "disputed"]);
  report(1, 20, "c");
  assert.deepEqual(now(), [10, "disputed"], "one voice at 20 settles nothing");
  report(3, 20, "c");
  assert.deepEqual(now(), [20, "settled"]);
  report(2, 20, "d");
  assert.deepEqual(now(), [20, "settled"]);
  report(1, 30, "e");
  report(2, 30, "d");
  assert.deepEqual(now(), [30, "disputed"]);
});

test("what members report is bounded: the lowest indexes are forgotten", () => {
  const comparison = new HashComparison(1);
  for (let index = 1; index <= 1_000; index += 1) {
    for (const id of VOTERS) comparison.report(id, { index, hash: { version: 1, value: "a" } });
  }
  assert.equal(comparison.judge(900, VOTERS).kind, "open");
  assert.equal(comparison.judge(1_000, VOTERS).kind, "settled");
});
