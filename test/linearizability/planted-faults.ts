/**
 * Faults that a checker has to find: the store does one thing that no store does, and one reader,
 * who begins after everybody involved has answered, sees it. So no order can explain it, whatever
 * else is going on.
 */
import type { SeededRandom } from "../../raft/index.ts";
import type { AnsweredOperation, HistoryOperation, Input, Output } from "./history.ts";
import type { HistoryRecorder } from "./history-recorder.ts";
import { type AtomicStore, withoutNumbers } from "./random-history.ts";

export const FAULTS = ["lost write", "duplicate apply", "reordered writes"] as const;
export type Fault = (typeof FAULTS)[number];

/** A put that was answered and did something. */
interface Put extends AnsweredOperation {
  readonly input: Extract<Input, { readonly kind: "put" }>;
  readonly output: Extract<Output, { readonly kind: "put" }>;
}

/** False when there is no place for it yet. */
export function plantFault(
  fault: Fault,
  store: AtomicStore,
  recorder: HistoryRecorder,
  hasVersions: boolean,
): boolean {
  const puts = recorder.history().filter(isPut);
  for (const newest of puts.toReversed()) {
    const { key } = newest.input;
    const record = store.get(key);
    if (record?.value !== newest.input.value) continue;
    const before = puts
      .filter((put) => put.input.key === key && put.returnOrder < newest.callOrder)
      .at(-1);
    if (before === undefined) continue;
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
    const output = store.execute(read);
    recorder.call("witness", read).ok(hasVersions ? output : withoutNumbers(output));
    return true;
  }
  return false;
}

function isPut(operation: HistoryOperation): operation is Put {
  return (
    operation.outcome === "ok" && operation.input.kind === "put" && operation.output.kind === "put"
  );
}

export interface StaleRead {
  readonly read: AnsweredOperation;
  /** What it is to answer. */
  readonly output: Output;
}

/**
 * One read answers what was overwritten before it began; undefined when the history has no such
 * read. The record is the one just before: the hardest to notice.
 */
export function plantStaleRead(
  random: SeededRandom,
  history: readonly HistoryOperation[],
): StaleRead | undefined {
  for (let tries = 0; tries < 1000; tries += 1) {
    const read = history[random.below(history.length)];
    if (read?.outcome !== "ok" || read.input.kind !== "get") continue;
    const output = staleOutput(history, read);
    if (output !== undefined) return { read, output };
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
