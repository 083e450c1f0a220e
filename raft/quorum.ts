/**
 * Majorities. One rule serves commits, read rounds and CheckQuorum alike: sort what each voter has
 * reached and take the highest value that a majority has reached. Knows nothing of roles or logs.
 *
 * Membership changes one server at a time (thesis 4.1), so any two majorities of neighbouring
 * configurations overlap and joint majorities are not needed.
 */
import { assert } from "./assert.ts";
import type { NodeId } from "./types.ts";

/** A grant of a voter that is recovering counts only where all voters grant (recovering.ts). */
export type Ballot = "granted" | "granted-recovering" | "refused";
/** What an election was won by. */
export type Election = "majority" | "all-voters";
export type VoteResult = Election | "lost" | "pending";

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

/**
 * Won by a majority of grants, or by those of all voters when some of them are recovering; lost
 * when neither can be reached any more.
 */
export function countVotes(
  voters: readonly NodeId[],
  votes: ReadonlyMap<NodeId, Ballot>,
): VoteResult {
  let granted = 0;
  let recovering = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === "granted") granted += 1;
    else if (vote === "granted-recovering") recovering += 1;
    else if (vote === "refused") refused += 1;
  }
  const needed = majorityOf(voters.length);
  if (granted >= needed) return "majority";
  if (granted + recovering === voters.length && recovering > 0) return "all-voters";
  const isMajorityPossible = voters.length - recovering - refused >= needed;
  return isMajorityPossible || refused === 0 ? "pending" : "lost";
}
