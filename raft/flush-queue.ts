/**
 * What was handed out to be persisted and is not durable yet, oldest first. Several flushes may be
 * under way; they complete in order. Knows what each one will prove once it is done.
 *
 * Invariant: no flush proves an index that a later truncation took away. A flush of entry (10, 1)
 * may be followed by one that replaces it and by a third that brings the same entry back; when the
 * first completes, the disk is about to lose the entry again (ABA), although index and term match.
 * So a truncation lowers what all flushes under way can prove.
 */
import { assert } from "./assert.ts";
import type { LogIndex, NodeId, Term } from "./types.ts";

/** What is durable once the flush is done. */
export interface Durable {
  readonly sequence: number;
  readonly lastIndex: LogIndex;
  readonly term: Term;
  readonly vote: NodeId;
}

export class FlushQueue {
  #queue: Durable[] = [];
  #newest = 0;

  /** The newest sequence handed out. */
  get newest(): number {
    return this.#newest;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Hands out the next sequence. */
  issue(lastIndex: LogIndex, term: Term, vote: NodeId): number {
    this.#newest += 1;
    this.#queue.push({ sequence: this.#newest, lastIndex, term, vote });
    return this.#newest;
  }

  /** Entries at `from` and after were replaced. */
  truncated(from: LogIndex): void {
    if (this.#queue.every((flush) => flush.lastIndex < from)) return;
    this.#queue = this.#queue.map((flush) =>
      flush.lastIndex < from ? flush : { ...flush, lastIndex: from - 1 },
    );
  }

  /** Returns the newest flush that is done with `sequence`, or undefined for a repeat. */
  complete(sequence: number): Durable | undefined {
    assert(sequence <= this.#newest, "only sequences that were issued complete");
    let done: Durable | undefined;
    while ((this.#queue[0]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence) {
      done = this.#queue.shift();
    }
    return done;
  }
}
