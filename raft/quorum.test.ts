/** Majorities, checked against the definition. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "./assert.ts";
import { type Ballot, countVotes, majorityOf, quorumValue } from "./quorum.ts";
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
  const result = (...votes: [number, Ballot][]) => countVotes(voters, new Map(votes));
  assert.equal(result(), "pending");
  assert.equal(result([1, "granted"], [2, "granted"]), "pending");
  assert.equal(result([1, "granted"], [2, "granted"], [4, "granted"]), "majority");
  assert.equal(result([1, "granted"], [2, "refused"]), "pending");
  const half = result([1, "granted"], [2, "refused"], [3, "refused"]);
  assert.equal(half, "lost", "two of four are no majority");
});

test("a recovering voter's grant counts only when all voters grant", () => {
  const voters = [1, 2, 3];
  const result = (...ballots: Ballot[]) =>
    countVotes(voters, new Map(ballots.map((ballot, at) => [at + 1, ballot])));
  assert.equal(result("granted", "granted-recovering"), "pending", "3 may hold the only copy");
  assert.equal(result("granted", "granted-recovering", "refused"), "lost");
  assert.equal(result("granted", "granted-recovering", "granted"), "majority");
  assert.equal(result("granted", "granted-recovering", "granted-recovering"), "all-voters");
  const all = result("granted-recovering", "granted-recovering", "granted-recovering");
  assert.equal(all, "all-voters");
  assert.equal(result("granted-recovering", "granted-recovering"), "pending");
  assert.equal(result("granted-recovering", "refused"), "lost", "3 alone is no majority");
  assert.equal(result("refused", "granted"), "pending");
});

test("only voters are counted", () => {
  const votes = new Map([
    [1, "granted"],
    [8, "granted"],
    [9, "granted"],
  ] as const);
  assert.equal(countVotes([1, 2, 3], votes), "pending");
});
