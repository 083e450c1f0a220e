/**
 * The verdict on a history: part by part, then the revision counter over all. Owns how the pieces
 * are put together and what counts as good; there is one good verdict.
 */
import { check, type Verdict } from "./checker.ts";
import type { HistoryOperation } from "./history.ts";
import type { KvState } from "./kv-state.ts";
import { KvModel } from "./models.ts";
import { type Partition, partitionsOf } from "./partition.ts";
import { findRevisionViolation, type RevisionViolation } from "./revisions.ts";

/** After so many, one more says nothing new. */
const VIOLATIONS_MAX = 3;

export type Violation =
  | {
      readonly kind: "order";
      readonly partition: Partition;
      /** The first answer that no order explains, as an index into the partition. */
      readonly culprit: number;
      /** Where the orders that explain everything before it can end; not all of them. */
      readonly states: readonly KvState[];
    }
  | ({ readonly kind: "revision" } & RevisionViolation);

export interface HistoryVerdict {
  /** Only "linearizable" is good: an undecided check has proven nothing. */
  readonly kind: "linearizable" | "violation" | "undecided";
  readonly operations: number;
  readonly keys: number;
  readonly partitions: number;
  readonly steps: number;
  readonly violations: readonly Violation[];
  /** The parts on which the budget was spent. */
  readonly undecided: readonly Partition[];
}

export interface CheckOptions {
  /** For each part. */
  readonly stepsMax?: number | undefined;
}

export function checkHistory(
  history: readonly HistoryOperation[],
  options: CheckOptions = {},
): HistoryVerdict {
  const partitions = partitionsOf(history);
  const violations: Violation[] = [];
  const undecided: Partition[] = [];
  let steps = 0;
  const revision = findRevisionViolation(history);
  if (revision !== undefined) violations.push({ kind: "revision", ...revision });
  for (const partition of partitions) {
    if (violations.length >= VIOLATIONS_MAX) break;
    const verdict = checkPartition(partition, options);
    steps += verdict.steps;
    if (verdict.kind === "undecided") undecided.push(partition);
    if (verdict.kind === "violation") {
      const { culprit, states } = verdict;
      violations.push({ kind: "order", partition, culprit, states });
    }
  }
  return {
    kind: kindOf(violations.length, undecided.length),
    operations: history.length,
    keys: partitions.reduce((sum, { keys }) => sum + keys.length, 0),
    partitions: partitions.length,
    steps,
    violations,
    undecided,
  };
}

export function checkPartition(
  { keys, operations, revisions }: Partition,
  { stepsMax }: CheckOptions = {},
): Verdict<KvState> {
  return check(new KvModel(keys, revisions), operations, stepsMax);
}

function kindOf(violations: number, undecided: number): HistoryVerdict["kind"] {
  if (violations > 0) return "violation";
  return undecided > 0 ? "undecided" : "linearizable";
}
