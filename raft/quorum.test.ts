/** Majorities, checked against the definition. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "./assert.ts";
import { countVotes, majorityOf, quorumValue } from "./quorum.ts";
import { SeededRandom } from "./random.ts";

test("a majority is more than half", () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((count) => majorityOf(count)),
    [1, 2, 2, 3, 3, 4, 4],
  );
});

test("the quorum value is what a majority has reached", () => {
  assert.equal(quorumValue([7]), 7);
  assert.equal(quorumValue([7, 3]), 3);
  assert.equal(quorumValue([9, 10, 1]), 9, "10 is more than 9, also for a sort");
  assert.equal(quorumValue([5, 5, 1, 9]), 5);
  assert.equal(quorumValue([1, 2, 3, 4, 5]), 3);
});

test("the quorum value is the highest one that satisfies the definition", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = new SeededRandom(seed);
    const values = Array.from({ length: 1 + random.below(7) }, () => random.below(30));
    const reached = (value: number) => values.filter((other) => other >= value).length;
    const best = Math.max(...values.filter((v) => reached(v) >= majorityOf(values.length)));
    assert.equal(quorumValue([...values]), best, `seed ${seed}: ${values}`);
  }
});

test("nobody is no quorum", () => {
  assert.throws(() => quorumValue([]), InvariantError);
});

test("an election is won by a majority of grants and lost when none can be reached", () => {
  const voters = [1, 2, 3, 4];
  const result = (...votes: [number, boolean][]) => countVotes(voters, new Map(votes));
  assert.equal(result(), "pending");
  assert.equal(result([1, true], [2, true]), "pending");
  assert.equal(result([1, true], [2, true], [4, true]), "won");
  assert.equal(result([1, true], [2, false]), "pending");
  assert.equal(result([1, true], [2, false], [3, false]), "lost", "two of four are no majority");
});

test("only voters are counted", () => {
  const votes = new Map([
    [1, true],
    [8, true],
    [9, true],
  ]);
  assert.equal(countVotes([1, 2, 3], votes), "pending");
});
