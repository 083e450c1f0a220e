/** What the client library takes and tells, in the words of the history and of the ledger. */
import type { ConditionFailed, Deleted, Entry, Written } from "../../clients/index.ts";
import type { AnyCondition } from "../../clients/options.ts";
import { unreachable } from "../../raft/index.ts";
import type { Condition, ObservedRecord, Output } from "../linearizability/index.ts";
import type { ShownRecord } from "./specification.ts";
import { Violation } from "./violation.ts";

export function optionsOf(condition: Condition): AnyCondition {
  switch (condition.kind) {
    case "none":
      return {};
    case "absent":
      return { ifAbsent: true };
    case "exists":
      return { ifExists: true };
    case "revision":
      return { ifRevision: condition.revision };
    default:
      return unreachable(condition);
  }
}

export function outputOf(result: Written | Deleted | ConditionFailed): Output {
  if (!result.ok) return { kind: "condition-failed", current: observedOf(result.current) };
  const { revision, previous } = result;
  // Absent as well when the answer to a repeat did not have it.
  const before = previous === undefined ? {} : { previous: observedOf(previous) };
  if ("deleted" in result) {
    return { kind: "deleted", deleted: result.deleted ? 1 : 0, revision, ...before };
  }
  const { createRevision, version } = result;
  return { kind: "put", revision, createRevision, version, ...before };
}

export function observedOf(entry: Entry | undefined): ObservedRecord | null {
  if (entry === undefined) return null;
  const { value, revision, createRevision, version } = shownOf(entry);
  return { value, revision, createRevision, version };
}

/** Simulated clients write text alone. */
export function shownOf(entry: Entry): ShownRecord {
  if (entry.type !== "text") throw new Violation(`a record of type ${entry.type} is shown`);
  return entry;
}
