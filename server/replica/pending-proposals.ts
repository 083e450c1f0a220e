/**
 * Who waits for which log entry. A proposal is settled when an entry is applied at its index: with
 * the result when the term matches, as not applied when another leader's entry took the place (by
 * Log Matching ours can never commit then). Losing leadership settles nothing: the entry may still
 * commit, and the answer will be definite in most cases, at the latest when an entry of a newer
 * term is applied; only time or a snapshot that jumps over the index makes the outcome unknown.
 */
import type { LogIndex, Term } from "../../raft/index.ts";
import type { WriteOutcome } from "../gateway.ts";
import { SlidingWindow } from "./sliding-window.ts";

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
  readonly #byIndex = new SlidingWindow<Pending<Result>>();
  /** None of those that wait has a lower term. */
  #lowestTerm: Term = 0;
  readonly #settle: (waiter: Waiter<Result>, outcome: WriteOutcome<Result>) => void;

  constructor(settle: (waiter: Waiter<Result>, outcome: WriteOutcome<Result>) => void) {
    this.#settle = settle;
  }

  get size(): number {
    return this.#byIndex.size;
  }

  add(index: LogIndex, term: Term, waiter: Waiter<Result>, deadlineMs: number): void {
    // Our earlier entry at this index was cut off; another replica may still hold it.
    this.#end(index, LEADERSHIP_LOST);
    if (this.#byIndex.size === 0) this.#lowestTerm = term;
    this.#byIndex.add(index, { term, waiter, deadlineMs });
  }

  /** An entry that carries a command was applied. */
  applied(index: LogIndex, term: Term, result: Result): void {
    const pending = this.#byIndex.take(index);
    if (pending === undefined) return;
    this.#settle(pending.waiter, pending.term === term ? { kind: "applied", result } : OVERWRITTEN);
  }

  /** An entry without a command was applied: whoever waited at its index lost the place to it. */
  replaced(index: LogIndex): void {
    this.#end(index, OVERWRITTEN);
  }

  /**
   * An entry of `term` was applied, and so was all before it: terms only rise along a log, so what
   * an older term proposed behind that entry can never commit.
   */
  overtaken(term: Term): void {
    if (term <= this.#lowestTerm) return;
    this.#lowestTerm = term;
    this.#endAll((_, pending) => pending.term < term, OVERWRITTEN);
  }

  /** A snapshot was installed: what happened up to its index is not known one by one. */
  skipped(through: LogIndex): void {
    this.#endAll((index) => index <= through, LEADERSHIP_LOST);
  }

  expire(nowMs: number): void {
    this.#endAll((_, { deadlineMs }) => deadlineMs <= nowMs, TIMEOUT);
  }

  /** The process ends: nobody will ever know more than this. */
  abandon(): void {
    this.#endAll(() => true, LEADERSHIP_LOST);
  }

  #endAll(
    isOver: (index: LogIndex, pending: Pending<Result>) => boolean,
    outcome: WriteOutcome<Result>,
  ): void {
    this.#byIndex.forEach((index, pending) => {
      if (isOver(index, pending)) this.#end(index, outcome);
    });
  }

  #end(index: LogIndex, outcome: WriteOutcome<Result>): void {
    const pending = this.#byIndex.take(index);
    if (pending !== undefined) this.#settle(pending.waiter, outcome);
  }
}

const OVERWRITTEN = { kind: "not-applied", reason: "no-leader", leader: undefined } as const;
const LEADERSHIP_LOST = { kind: "unknown", reason: "leadership-lost" } as const;
const TIMEOUT = { kind: "unknown", reason: "timeout" } as const;
