/**
 * Writes on their one hop to the leader, seen from both ends.
 *
 * Origin: writes gather during a turn and leave as one Forward; each is answered once, by the
 * leader's results, by a lost link or by time (both: outcome unknown). Nothing is ever sent twice.
 *
 * Leader: a Forward counts only in the term it was meant for, and only when its sequence is above
 * all seen from that incarnation of its origin; so a copy or a straggler is not executed.
 */
import type { WriteOutcome } from "../gateway.ts";
import type { Forward, ForwardResults } from "../peer/index.ts";
import { SlidingWindow } from "./sliding-window.ts";

interface Outstanding<Result> {
  readonly to: number;
  readonly deadlineMs: number;
  readonly done: (outcome: WriteOutcome<Result>) => void;
}

interface Queued<Result> {
  readonly command: Uint8Array;
  readonly deadlineMs: number;
  readonly done: (outcome: WriteOutcome<Result>) => void;
}

export class ForwardOrigin<Result> {
  #queue: Queued<Result>[] = [];
  /** By id, which is the order of sending, so the oldest has the earliest deadline. */
  readonly #outstanding = new SlidingWindow<Outstanding<Result>>();
  readonly #self: { readonly id: number; readonly incarnation: number };
  #nextId = 1;
  #nextSequence = 1;

  constructor(self: { readonly id: number; readonly incarnation: number }) {
    this.#self = self;
  }

  get size(): number {
    return this.#queue.length + this.#outstanding.size;
  }

  queue(
    command: Uint8Array,
    deadlineMs: number,
    done: (outcome: WriteOutcome<Result>) => void,
  ): void {
    this.#queue.push({ command, deadlineMs, done });
  }

  /** Sends what gathered; `send` returns false when nothing left this node. */
  flush(leaderId: number, leaderTerm: number, send: (message: Forward) => boolean): void {
    if (this.#queue.length === 0) return;
    const queued = this.#queue;
    this.#queue = [];
    if (leaderId === 0 || leaderId === this.#self.id) {
      for (const { done } of queued) done(NO_LEADER);
      return;
    }
    const requests = queued.map(({ command, deadlineMs, done }) => {
      const id = this.#nextId++;
      this.#outstanding.add(id, { to: leaderId, deadlineMs, done });
      return { id, command };
    });
    const sent = send({
      kind: "forward",
      from: this.#self.id,
      to: leaderId,
      leaderTerm,
      originIncarnation: this.#self.incarnation,
      sequence: this.#nextSequence++,
      requests,
    });
    if (sent) return;
    for (const { id } of requests) this.#settle(id, NO_LEADER);
  }

  results(message: ForwardResults<Result>): void {
    if (message.originIncarnation !== this.#self.incarnation) return;
    for (const { id, outcome } of message.results) this.#settle(id, outcome);
  }

  linkLost(to: number): void {
    this.#outstanding.forEach((id, outstanding) => {
      if (outstanding.to === to) this.#settle(id, LINK_LOST);
    });
  }

  expire(nowMs: number): void {
    let { oldest } = this.#outstanding;
    while (oldest !== undefined && oldest.value.deadlineMs <= nowMs) {
      this.#settle(oldest.key, TIMEOUT);
      oldest = this.#outstanding.oldest;
    }
  }

  abandon(): void {
    for (const { done } of this.#queue.splice(0)) done(NO_LEADER);
    this.#outstanding.forEach((id) => {
      this.#settle(id, LINK_LOST);
    });
  }

  #settle(id: number, outcome: WriteOutcome<Result>): void {
    this.#outstanding.take(id)?.done(outcome);
  }
}

/** More starts of one node than fit into a term. */
export const PROCESSES_MAX = 64;

const LINK_LOST = { kind: "unknown", reason: "link-lost" } as const;
const TIMEOUT = { kind: "unknown", reason: "timeout" } as const;
const NO_LEADER = { kind: "not-applied", reason: "no-leader", leader: undefined } as const;

export class ForwardIntake<Result> {
  readonly #self: number;
  /** The newest sequence of each process of each origin; the processes heard last stand last. */
  readonly #seen = new Map<number, Map<number, number>>();
  /** Of this turn, by process of origin. */
  #answers: Answers<Result>[] = [];

  constructor(self: number) {
    this.#self = self;
  }

  /** Processes of other nodes whose newest sequence is remembered. */
  get remembered(): number {
    let processes = 0;
    for (const seen of this.#seen.values()) processes += seen.size;
    return processes;
  }

  /**
   * True when the batch is new; a copy or a straggler must be dropped without an answer. Nothing
   * tells which of two processes of an origin is the later one, so each is counted by itself.
   */
  admit({ from, originIncarnation, sequence }: Forward): boolean {
    const seen = this.#seen.get(from) ?? new Map<number, number>();
    this.#seen.set(from, seen);
    if (sequence <= (seen.get(originIncarnation) ?? 0)) return false;
    seen.delete(originIncarnation);
    seen.set(originIncarnation, sequence);
    if (seen.size > PROCESSES_MAX) {
      for (const oldest of seen.keys()) {
        seen.delete(oldest);
        break;
      }
    }
    return true;
  }

  answer(to: number, incarnation: number, id: number, outcome: WriteOutcome<Result>): void {
    let answers = this.#answers.find((one) => one.to === to && one.incarnation === incarnation);
    if (answers === undefined) {
      answers = { to, incarnation, results: [] };
      this.#answers.push(answers);
    }
    answers.results.push({ id, outcome });
  }

  flush(send: (message: ForwardResults<Result>) => void): void {
    if (this.#answers.length === 0) return;
    const answers = this.#answers;
    this.#answers = [];
    for (const { to, incarnation, results } of answers) {
      send({
        kind: "forward-results",
        from: this.#self,
        to,
        originIncarnation: incarnation,
        results,
      });
    }
  }
}

interface Answers<Result> {
  readonly to: number;
  readonly incarnation: number;
  readonly results: { readonly id: number; readonly outcome: WriteOutcome<Result> }[];
}
