/**
 * Faults that a checker has to find: the store does one thing that no store does, and one reader,
 * who begins after everybody involved has answered, sees it. So no order can explain it, whatever
 * else is going on.
 */
import type { SeededRandom } from "../../raft/index.ts";
import type { AnsweredOperation, HistoryOperation, Input, Output } from "./history.ts";
import type { HistoryRecorder } from "./history-recorder.ts";
import type { AtomicStore } from "./random-history.ts";

export const FAULTS = ["lost write", "duplicate apply", "reordered writes"] as const;
export type Fault = (typeof FAULTS)[number];

/** A put that was answered and did something. */
interface Put extends AnsweredOperation {
  readonly input: Extract<Input, { readonly kind: "put" }>;
  readonly output: Extract<Output, { readonly kind: "put" }>;
}

/** False when there is no place for it yet. */
export function plantFault(fault: Fault, store: AtomicStore, recorder: HistoryRecorder): boolean {
  const puts = recorder.history().filter(isPut);
  for (const newest of puts.toReversed()) {
    const { key } = newest.input;
    const record = store.get(key);
    if (record === undefined || record.revision !== newest.output.revision) continue;
    const { previous } = newest.output;
    const before = puts.find(
      (put) => put.input.key === key && put.output.revision === previous?.revision,
    );
    if (before === undefined || before.returnOrder >= newest.callOrder) continue;
    const { revision = 0, createRevision = 0, version = 0 } = before.output;
    const { value } = before.input;
    switch (fault) {
      case "lost write":
        store.tamper(key, { value, revision, createRevision, version });
        break;
      case "duplicate apply":
        store.execute({ kind: "put", key, value });
        break;
      default:
        store.tamper(key, { ...record, value });
    }
    const read: Input = { kind: "get", key };
    recorder.call("witness", read).ok(store.execute(read));
    return true;
  }
  return false;
}

function isPut(operation: HistoryOperation): operation is Put {
  return (
    operation.outcome === "ok" && operation.input.kind === "put" && operation.output.kind === "put"
  );
}

/**
 * One read answers what was overwritten before it began; undefined when the history has no such
 * read. The record is the one just before: the hardest to notice.
 */
export function plantStaleRead(
  random: SeededRandom,
  history: readonly HistoryOperation[],
): { readonly history: readonly HistoryOperation[]; readonly key: string } | undefined {
  const staleReads = history.flatMap((read, at) => {
    if (read.outcome !== "ok" || read.input.kind !== "get") return [];
    const { key } = read.input;
    return [{ read, at, key }];
  });
  for (let tries = 0; tries < 100 && staleReads.length > 0; tries += 1) {
    const chosen = staleReads[random.below(staleReads.length)];
    if (chosen === undefined) continue;
    const { read, at, key } = chosen;
    const output = staleOutput(history, read);
    if (output !== undefined) return { history: history.with(at, { ...read, output }), key };
  }
  return undefined;
}

function staleOutput(
  history: readonly HistoryOperation[],
  read: AnsweredOperation,
): Output | undefined {
  const puts = history
    .filter(isPut)
    .filter(({ input }) => read.input.kind === "get" && input.key === read.input.key);
  const newest = puts.filter(({ returnOrder }) => returnOrder < read.callOrder).at(-1);
  if (newest === undefined) return undefined;
  const stale = puts.filter(({ returnOrder }) => returnOrder < newest.callOrder).at(-1);
  if (stale === undefined) return undefined;
  const { revision, createRevision, version } = stale.output;
  const { value } = stale.input;
  return { kind: "record", record: { value, revision, createRevision, version } };
}
