/**
 * Reads on their way: gathered during a turn, confirmed together by one read index, held until the
 * state machine has applied it. Also the reads that wait for a revision.
 *
 * Invariant: a read joins a context before that context is handed to `readIndex`, never after: the
 * confirmation must be newer than the read (thesis 6.4).
 */
import type { LogIndex } from "../../raft/index.ts";
import type { ReadOutcome } from "../gateway.ts";
import { SlidingWindow } from "./sliding-window.ts";

export interface WaitingRead {
  readonly done: (outcome: ReadOutcome) => void;
  readonly minRevision: number;
  readonly deadlineMs: number;
}

interface Batch {
  readonly reads: readonly WaitingRead[];
  readonly deadlineMs: number;
}

interface Unapplied {
  readonly index: LogIndex;
  readonly batch: Batch;
  readonly used: Confirmation;
}

/** How far the state machine is. */
export interface Applied {
  readonly index: LogIndex;
  readonly revision: number;
}

type Confirmation = "read-index" | "lease";

const TIMED_OUT = { kind: "refused", reason: "timeout", leader: undefined } as const;
const BEHIND = { kind: "refused", reason: "behind", leader: undefined } as const;

export class PendingReads {
  #gathering: WaitingRead[] = [];
  /** By read context, waiting for a quorum; the oldest has the earliest deadline. */
  readonly #unconfirmed = new SlidingWindow<Batch>();
  /** Confirmed at an index that is not applied yet. */
  #unapplied: Unapplied[] = [];
  #forRevision: { readonly read: WaitingRead; readonly used: Confirmation | "stale" }[] = [];
  #nextContext = 1;

  /** Reads without an answer. */
  get size(): number {
    let size = this.#gathering.length + this.#forRevision.length;
    this.#unconfirmed.forEach((_, { reads }) => {
      size += reads.length;
    });
    for (const { batch } of this.#unapplied) size += batch.reads.length;
    return size;
  }

  get hasGathered(): boolean {
    return this.#gathering.length > 0;
  }

  gather(read: WaitingRead): void {
    this.#gathering.push(read);
  }

  /** Closes the gathered batch under a new context. */
  startBatch(): number {
    const reads = this.#gathering;
    this.#gathering = [];
    const context = this.#nextContext++;
    // All reads share one timeout, so the last one's deadline bounds the batch.
    const deadlineMs = reads[reads.length - 1]?.deadlineMs ?? 0;
    this.#unconfirmed.add(context, { reads, deadlineMs });
    return context;
  }

  /** A quorum (or the lease) stands behind reading `index`. */
  confirmed(context: number, index: LogIndex, now: Applied, used: Confirmation): void {
    const batch = this.#unconfirmed.take(context);
    if (batch === undefined) return;
    if (index <= now.index) this.#grant(batch, now.revision, used);
    else this.#unapplied.push({ index, batch, used });
  }

  refused(context: number, outcome: ReadOutcome): void {
    for (const read of this.#unconfirmed.take(context)?.reads ?? []) read.done(outcome);
  }

  waitForRevision(read: WaitingRead, used: Confirmation | "stale"): void {
    this.#forRevision.push({ read, used });
  }

  applied({ index: appliedIndex, revision }: Applied): void {
    if (this.#unapplied.length > 0) {
      const ready = this.#unapplied.filter((waiting) => waiting.index <= appliedIndex);
      if (ready.length > 0) {
        this.#unapplied = this.#unapplied.filter((waiting) => waiting.index > appliedIndex);
        for (const { batch, used } of ready) this.#grant(batch, revision, used);
      }
    }
    if (this.#forRevision.length > 0) {
      const ready = this.#forRevision.filter(({ read }) => read.minRevision <= revision);
      if (ready.length === 0) return;
      this.#forRevision = this.#forRevision.filter(({ read }) => read.minRevision > revision);
      for (const { read, used } of ready) read.done({ kind: "granted", used });
    }
  }

  expire(nowMs: number): void {
    let { oldest } = this.#unconfirmed;
    while (oldest !== undefined && oldest.value.deadlineMs <= nowMs) {
      this.refused(oldest.key, TIMED_OUT);
      oldest = this.#unconfirmed.oldest;
    }
    const late = this.#unapplied.filter(({ batch }) => batch.deadlineMs <= nowMs);
    if (late.length > 0) {
      this.#unapplied = this.#unapplied.filter(({ batch }) => batch.deadlineMs > nowMs);
      for (const { batch } of late) for (const read of batch.reads) read.done(TIMED_OUT);
    }
    const behind = this.#forRevision.filter(({ read }) => read.deadlineMs <= nowMs);
    if (behind.length > 0) {
      this.#forRevision = this.#forRevision.filter(({ read }) => read.deadlineMs > nowMs);
      for (const { read } of behind) read.done(BEHIND);
    }
  }

  /** The process ends. */
  abandon(outcome: ReadOutcome): void {
    const reads = [
      ...this.#gathering,
      ...this.#unapplied.flatMap(({ batch }) => batch.reads),
      ...this.#forRevision.map(({ read }) => read),
    ];
    this.#gathering = [];
    this.#unapplied = [];
    this.#forRevision = [];
    this.#unconfirmed.forEach((context) => {
      this.refused(context, outcome);
    });
    for (const read of reads) read.done(outcome);
  }

  #grant(batch: Batch, revision: number, used: Confirmation): void {
    for (const read of batch.reads) {
      if (read.minRevision <= revision) read.done({ kind: "granted", used });
      else this.waitForRevision(read, used);
    }
  }
}
