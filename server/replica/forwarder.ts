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
  /** In the order of sending, so the first has the earliest deadline. */
  readonly #outstanding = new Map<number, Outstanding<Result>>();
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
      this.#outstanding.set(id, { to: leaderId, deadlineMs, done });
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
    for (const [id, outstanding] of this.#outstanding) {
      if (outstanding.to === to) this.#settle(id, { kind: "unknown", reason: "link-lost" });
    }
  }

  expire(nowMs: number): void {
    for (const [id, outstanding] of this.#outstanding) {
      if (outstanding.deadlineMs > nowMs) return;
      this.#settle(id, { kind: "unknown", reason: "timeout" });
    }
  }

  abandon(): void {
    for (const { done } of this.#queue.splice(0)) done(NO_LEADER);
    for (const id of this.#outstanding.keys()) {
      this.#settle(id, { kind: "unknown", reason: "link-lost" });
    }
  }

  #settle(id: number, outcome: WriteOutcome<Result>): void {
    const outstanding = this.#outstanding.get(id);
    if (outstanding === undefined) return;
    this.#outstanding.delete(id);
    outstanding.done(outcome);
  }
}

const NO_LEADER = { kind: "not-applied", reason: "no-leader", leader: undefined } as const;

export class ForwardIntake<Result> {
  readonly #self: number;
  /** What was seen from each origin: the process it runs now, and those it ran before. */
  readonly #origins = new Map<number, Origin>();
  readonly #results = new Map<number, Answers<Result>>();

  constructor(self: number) {
    this.#self = self;
  }

  /** True when the batch is new; a copy or a straggler must be dropped without an answer. */
  admit(message: Forward): boolean {
    const origin = this.#origins.get(message.from);
    if (origin === undefined || origin.incarnation !== message.originIncarnation) {
      if (origin?.past.includes(message.originIncarnation)) return false;
      this.#origins.set(message.from, {
        incarnation: message.originIncarnation,
        sequence: message.sequence,
        past: origin === undefined ? [] : [origin.incarnation, ...origin.past].slice(0, 64),
      });
      return true;
    }
    if (message.sequence <= origin.sequence) return false;
    origin.sequence = message.sequence;
    return true;
  }

  answer(to: number, incarnation: number, id: number, outcome: WriteOutcome<Result>): void {
    let answers = this.#results.get(to);
    if (answers === undefined || answers.incarnation !== incarnation) {
      answers = { incarnation, results: [] };
      this.#results.set(to, answers);
    }
    answers.results.push({ id, outcome });
  }

  flush(send: (message: ForwardResults<Result>) => void): void {
    if (this.#results.size === 0) return;
    for (const [to, { incarnation, results }] of this.#results) {
      send({
        kind: "forward-results",
        from: this.#self,
        to,
        originIncarnation: incarnation,
        results,
      });
    }
    this.#results.clear();
  }
}

interface Origin {
  readonly incarnation: number;
  sequence: number;
  /** Processes of this origin that ended; what still arrives from them is a straggler. */
  readonly past: readonly number[];
}

interface Answers<Result> {
  readonly incarnation: number;
  readonly results: { readonly id: number; readonly outcome: WriteOutcome<Result> }[];
}
