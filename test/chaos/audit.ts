/**
 * What must be true in the end, besides a linearizable history: pure comparisons of what the nodes
 * hold with what the clients were told. It does not share a line with the checker.
 */
import type { OwnState } from "../cluster-process.ts";
import type { HistoryOperation } from "../linearizability/index.ts";
import { labelOf } from "./value.ts";
import { ONCE_PREFIX, type OnceKey } from "./workload.ts";

const SHOWN_MAX = 10;

/** All nodes hold the same records with the same revisions. */
export function differences(states: ReadonlyMap<number, OwnState>): readonly string[] {
  const [first, ...others] = [...states];
  if (first === undefined) return [];
  const [firstId, wanted] = first;
  return others.flatMap(([id, state]) => {
    if (state.revision !== wanted.revision) {
      return [`node ${id} is at revision ${state.revision}, node ${firstId} at ${wanted.revision}`];
    }
    return state.text === wanted.text ? [] : [`nodes ${firstId} and ${id} list different records`];
  });
}

/** Keys that were written once, with the condition that they are absent. */
export function onceProblems(
  once: ReadonlyMap<string, OnceKey>,
  { records }: OwnState,
): readonly string[] {
  const problems: string[] = [];
  for (const [key, { label, outcome }] of once) {
    const record = records.get(key);
    if (record === undefined) {
      if (outcome === "ok") problems.push(`${key} was acknowledged and is missing`);
    } else if (outcome === "fail") {
      problems.push(`${key} is there, though its write was refused`);
    } else if (record.version !== 1 || labelOf(record.value) !== label) {
      const what = `version ${record.version} of ${labelOf(record.value)}`;
      problems.push(`${key} is ${what}, though it was written once`);
    }
  }
  for (const key of records.keys()) {
    if (key.startsWith(ONCE_PREFIX) && !once.has(key)) problems.push(`nobody wrote ${key}`);
  }
  return shortened(problems);
}

/**
 * Every change makes one revision. So the store's last revision counts the changes that took
 * effect: all that were acknowledged, and of those whose outcome is unknown each at most once.
 */
export function revisionProblems(
  history: readonly HistoryOperation[],
  revision: number,
): readonly string[] {
  const acknowledged = history.filter(isChange).length;
  const unknown = history.filter(mayBeChange).length;
  if (revision >= acknowledged && revision <= acknowledged + unknown) return [];
  const range = `${acknowledged} to ${acknowledged + unknown}`;
  return [`the store is at revision ${revision}, though ${range} changes took effect`];
}

function isChange(operation: HistoryOperation): boolean {
  if (operation.outcome !== "ok") return false;
  const { output } = operation;
  return output.kind === "put" || (output.kind === "deleted" && output.deleted > 0);
}

function mayBeChange({ outcome, input }: HistoryOperation): boolean {
  return outcome === "unknown" && (input.kind === "put" || input.kind === "delete");
}

export function shortened(problems: readonly string[]): readonly string[] {
  if (problems.length <= SHOWN_MAX) return problems;
  return [...problems.slice(0, SHOWN_MAX), `and ${problems.length - SHOWN_MAX} more like these`];
}
