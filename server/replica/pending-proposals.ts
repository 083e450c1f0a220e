/**
 * Who waits for which log entry. A proposal is settled when an entry is applied at its index: with
 * the result when the term matches, as not applied when another leader's entry took the place (by
 * Log Matching ours can never commit then). Losing leadership settles nothing: the entry may still
 * commit, and the answer will be definite in most cases, at the latest when an entry of a newer
 * term is applied; only time or a snapshot that jumps over the index makes the outcome unknown.
 */
import type { LogIndex, Term } from "../../raft/index.ts";
import type { WriteOutcome } from "../gateway.ts";

/** Where the answer goes: to a client of this node, or back over the link it was forwarded on. */
export type Waiter<Result> =
  | { readonly kind: "local"; readonly done: (outcome: WriteOutcome<Result>) => void }
  | {
      readonly kind: "forwarded";
      readonly from: number;
      readonly incarnation: number;
      readonly id: number;
    };

interface Pending<Result> {
  readonly term: Term;
  readonly deadlineMs: number;
  readonly waiter: Waiter<Result>;
}

export class PendingProposals<Result> {
  /** In the order of proposing, so the first entry has the earliest deadline. */
  #byIndex = new Map<LogIndex, Pending<Result>>();
  readonly #settle: (waiter: Waiter<Result>, outcome: WriteOutcome<Result>) => void;

  constructor(settle: (waiter: Waiter<Result>, outcome: WriteOutcome<Result>) => void) {
    this.#settle = settle;
  }

  get size(): number {
    return this.#byIndex.size;
  }

  add(index: LogIndex, term: Term, waiter: Waiter<Result>, deadlineMs: number): void {
    const older = this.#byIndex.get(index);
    if (older !== undefined) {
      // Our earlier entry at this index was cut off; another replica may still hold it.
      this.#byIndex.delete(index);
      this.#settle(older.waiter, { kind: "unknown", reason: "leadership-lost" });
    }
    this.#byIndex.set(index, { term, waiter, deadlineMs });
  }

  /** An entry that carries a command was applied. */
  applied(index: LogIndex, term: Term, result: Result): void {
    const pending = this.#byIndex.get(index);
    if (pending === undefined) return;
    this.#byIndex.delete(index);
    this.#settle(pending.waiter, pending.term === term ? { kind: "applied", result } : OVERWRITTEN);
  }

  /** An entry without a command was applied: whoever waited at its index lost the place to it. */
  replaced(index: LogIndex): void {
    const pending = this.#byIndex.get(index);
    if (pending === undefined) return;
    this.#byIndex.delete(index);
    this.#settle(pending.waiter, OVERWRITTEN);
  }

  /**
   * An entry of `term` was applied, and so was all before it: terms only rise along a log, so what
   * an older term proposed behind that entry can never commit.
   */
  overtaken(term: Term): void {
    for (const [index, pending] of this.#byIndex) {
      if (pending.term >= term) return;
      this.#byIndex.delete(index);
      this.#settle(pending.waiter, OVERWRITTEN);
    }
  }

  /** A snapshot was installed: what happened up to its index is not known one by one. */
  skipped(through: LogIndex): void {
    for (const [index, pending] of this.#byIndex) {
      if (index > through) continue;
      this.#byIndex.delete(index);
      this.#settle(pending.waiter, { kind: "unknown", reason: "leadership-lost" });
    }
  }

  expire(nowMs: number): void {
    for (const [index, pending] of this.#byIndex) {
      if (pending.deadlineMs > nowMs) return;
      this.#byIndex.delete(index);
      this.#settle(pending.waiter, { kind: "unknown", reason: "timeout" });
    }
  }

  /** The process ends: nobody will ever know more than this. */
  abandon(): void {
    for (const [index, pending] of this.#byIndex) {
      this.#byIndex.delete(index);
      this.#settle(pending.waiter, { kind: "unknown", reason: "leadership-lost" });
    }
  }
}

const OVERWRITTEN = { kind: "not-applied", reason: "no-leader", leader: undefined } as const;
