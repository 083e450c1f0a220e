/**
 * The store's one revision counter, over all keys. Keys are checked one by one (partition.ts), but
 * the counter is common to them, so a second look at the whole history holds it to its promise:
 * no two changes have the same revision, and an operation that begins after another has answered
 * finds the counter at least where the other left it. Linear after sorting.
 */
import { hasChanged } from "./has-changed.ts";
import type { AnsweredOperation, HistoryOperation } from "./history.ts";
import { recordsSeen } from "./records-seen.ts";

export interface RevisionViolation {
  readonly operation: AnsweredOperation;
  readonly revision: number;
  /** An earlier operation that says otherwise. */
  readonly witness: AnsweredOperation;
  readonly witnessRevision: number;
}

export function findRevisionViolation(
  history: readonly HistoryOperation[],
): RevisionViolation | undefined {
  const answered = history.filter((each) => each.outcome === "ok");
  return repeatedRevision(answered) ?? fallenRevision(answered);
}

function repeatedRevision(answered: readonly AnsweredOperation[]): RevisionViolation | undefined {
  const changes = new Map<number, AnsweredOperation>();
  for (const operation of answered) {
    const { revision } = operation.output;
    if (revision === undefined || !hasChanged(operation.input, operation.output)) continue;
    const witness = changes.get(revision);
    if (witness !== undefined) return { operation, revision, witness, witnessRevision: revision };
    changes.set(revision, operation);
  }
  return undefined;
}

function fallenRevision(answered: readonly AnsweredOperation[]): RevisionViolation | undefined {
  const byCall = answered.toSorted((a, b) => a.callOrder - b.callOrder);
  const byReturn = answered.toSorted((a, b) => a.returnOrder - b.returnOrder);
  let returned = 0;
  let witness: AnsweredOperation | undefined;
  let witnessRevision = 0;
  for (const operation of byCall) {
    for (let next = byReturn[returned]; next !== undefined; next = byReturn[returned]) {
      if (next.returnOrder >= operation.callOrder) break;
      const proven = provenRevision(next);
      if (proven > witnessRevision) [witness, witnessRevision] = [next, proven];
      returned += 1;
    }
    const { revision } = operation.output;
    if (witness === undefined || revision === undefined) continue;
    const least = hasChanged(operation.input, operation.output)
      ? witnessRevision + 1
      : witnessRevision;
    if (revision < least) return { operation, revision, witness, witnessRevision };
  }
  return undefined;
}

/** The store has come at least this far when the operation answers. */
function provenRevision({ input, output }: AnsweredOperation): number {
  const seen = recordsSeen(input, output).map(({ record }) => record.revision ?? 0);
  return Math.max(output.revision ?? 0, ...seen);
}
