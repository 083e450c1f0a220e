/**
 * The linearizability checker: record a history while clients work (`HistoryRecorder`), then
 * demand that it is linearizable (`requireLinearizable`). Histories are files as well
 * (`formatHistory`, `parseHistory`), and verify.ts checks a file.
 */
import { type CheckOptions, checkHistory, type HistoryVerdict } from "./check-history.ts";
import type { HistoryOperation } from "./history.ts";
import { describeVerdict } from "./report.ts";

export { type CheckOptions, checkHistory, type HistoryVerdict } from "./check-history.ts";
export type { Condition, HistoryOperation, Input, ObservedRecord, Output } from "./history.ts";
export { formatHistory, HistoryFormatError, parseHistory } from "./history.ts";
export { HistoryRecorder, type RecordedCall } from "./history-recorder.ts";
export { describeVerdict } from "./report.ts";

export class NotLinearizableError extends Error {
  override readonly name = "NotLinearizableError";
  readonly code = "NOT_LINEARIZABLE";
  readonly verdict: HistoryVerdict;

  constructor(verdict: HistoryVerdict) {
    super(describeVerdict(verdict));
    this.verdict = verdict;
  }
}

/** Throws unless the history is linearizable; an undecided check is a failure. */
export function requireLinearizable(
  history: readonly HistoryOperation[],
  options?: CheckOptions,
): HistoryVerdict {
  const verdict = checkHistory(history, options);
  if (verdict.kind !== "linearizable") throw new NotLinearizableError(verdict);
  return verdict;
}
