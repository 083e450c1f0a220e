/**
 * Majorities. One rule serves commits, read rounds and CheckQuorum alike: sort what each voter has
 * reached and take the highest value that a majority has reached. Knows nothing of roles or logs.
 *
 * Membership changes one server at a time (thesis 4.1), so any two majorities of neighbouring
 * configurations overlap and joint majorities are not needed.
 */
import { assert } from "./assert.ts";
import type { NodeId } from "./types.ts";

export type VoteResult = "won" | "lost" | "pending";

/** How many of `count` voters are a quorum. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/**
 * The highest value that a majority has reached, given one value per voter. Sorts `values` in
 * place, by insertion: a group has a handful of voters and this runs for every acknowledgement.
 */
export function quorumValue(values: number[]): number {
  assert(values.length > 0, "a quorum is asked of at least one voter");
  for (let i = 1; i < values.length; i++) {
    const value = values[i] ?? 0;
    let at = i - 1;
    while (at >= 0 && (values[at] ?? 0) > value) {
      values[at + 1] = values[at] ?? 0;
      at -= 1;
    }
    values[at + 1] = value;
  }
  return values[values.length - majorityOf(values.length)] ?? 0;
}

/** Won with a majority of grants; lost when a majority can no longer be reached. */
export function countVotes(
  voters: readonly NodeId[],
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  let granted = 0;
  let open = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === undefined) open += 1;
    else if (vote) granted += 1;
  }
  const needed = majorityOf(voters.length);
  if (granted >= needed) return "won";
  return granted + open < needed ? "lost" : "pending";
}
