/**
 * Linearizable reads without log entries (thesis 6.4), both sides of them.
 *
 * `LeaderReads`: reads gather until a heartbeat round starts; a round that a quorum acknowledges
 * proves that the node still led when the round began, so every read registered before may be
 * served at the commit index of that moment. Round numbers rise with every broadcast and never
 * repeat within a term, so a late answer to an old round confirms nothing new.
 *
 * `FollowerReads`: a follower gathers its reads and asks the leader once for all of them. Ids of
 * requests rise and never repeat, and a read is only settled by an answer to a request that left
 * after the read was registered.
 *
 * Neither sends anything or counts a quorum; neither knows a clock.
 */
import { assert } from "./assert.ts";
import type { LogIndex, MonotonicMs, NodeId } from "./types.ts";

/** Whoever asked: this node (NO_NODE) or a follower. `context` is the asker's own. */
export interface LeaderRead {
  readonly from: NodeId;
  readonly context: number;
}

export interface ConfirmedRead extends LeaderRead {
  readonly index: LogIndex;
}

interface ReadBatch {
  readonly round: number;
  readonly index: LogIndex;
  readonly reads: readonly LeaderRead[];
}

interface SentRound {
  readonly round: number;
  readonly sentMs: MonotonicMs;
}

export class LeaderReads {
  #gathering: LeaderRead[] = [];
  #batches: ReadBatch[] = [];
  /** Rounds no quorum has acknowledged yet, for the lease. */
  #sent: SentRound[] = [];
  #newestRound = 0;
  #leaseFromMs: MonotonicMs | undefined;
  #isLeaseGivenUp = false;

  /** The newest round that was broadcast. */
  get newestRound(): number {
    return this.#newestRound;
  }

  /** True when reads wait and no round is under way that they could be waiting for. */
  get isRoundDue(): boolean {
    return this.#gathering.length > 0 && this.#batches.length === 0;
  }

  /** When the newest round that a quorum acknowledged was sent; undefined when no lease holds. */
  get leaseFromMs(): MonotonicMs | undefined {
    return this.#isLeaseGivenUp ? undefined : this.#leaseFromMs;
  }

  register(read: LeaderRead): void {
    // A follower that repeats itself has the older of its requests in the newer one.
    if (read.from !== 0) {
      const at = this.#gathering.findIndex((other) => other.from === read.from);
      if (at >= 0) this.#gathering.splice(at, 1);
    }
    this.#gathering.push(read);
  }

  /**
   * A heartbeat broadcast begins; returns its number. Reads go with it when `commitIndex` is given,
   * which it may only be once an entry of the leader's own term is committed: before that the
   * commit index may lag behind what an earlier leader acknowledged (thesis 6.4, step 1).
   */
  startRound(now: MonotonicMs, commitIndex: LogIndex | undefined): number {
    this.#newestRound += 1;
    this.#sent.push({ round: this.#newestRound, sentMs: now });
    if (commitIndex !== undefined && this.#gathering.length > 0) {
      const reads = this.#gathering;
      this.#gathering = [];
      this.#batches.push({ round: this.#newestRound, index: commitIndex, reads });
    }
    return this.#newestRound;
  }

  /** A quorum acknowledged `round`, and with it all rounds before. */
  confirm(round: number): readonly ConfirmedRead[] {
    assert(round <= this.#newestRound, "only rounds that were sent are acknowledged");
    while ((this.#sent[0]?.round ?? Number.POSITIVE_INFINITY) <= round) {
      this.#leaseFromMs = this.#sent.shift()?.sentMs;
    }
    const confirmed: ConfirmedRead[] = [];
    while ((this.#batches[0]?.round ?? Number.POSITIVE_INFINITY) <= round) {
      const batch = this.#batches.shift();
      for (const read of batch?.reads ?? []) {
        confirmed.push({ ...read, index: batch?.index ?? 0 });
      }
    }
    return confirmed;
  }

  /** A leadership transfer began: the next leader may be elected at any moment (thesis 6.4.1). */
  giveUpLease(): void {
    this.#isLeaseGivenUp = true;
  }

  /** Everything that is not confirmed, in the order it came. */
  drain(): readonly LeaderRead[] {
    const drained = [...this.#batches.flatMap((batch) => batch.reads), ...this.#gathering];
    this.#batches = [];
    this.#gathering = [];
    return drained;
  }
}

interface FollowerRead {
  readonly context: number;
  /** The first request that covers this read. */
  readonly coveredBy: number;
}

export class FollowerReads {
  #reads: FollowerRead[] = [];
  #nextRequest: number;
  /** Answers to requests before this one went to another leader or term. */
  #firstValid: number;
  #answeredThrough: number;
  #unansweredMs = 0;

  /** `firstRequest` differs from one life of the process to the next. */
  constructor(firstRequest: number) {
    this.#nextRequest = firstRequest;
    this.#firstValid = firstRequest;
    this.#answeredThrough = firstRequest - 1;
  }

  /** True when reads wait and no request is under way. */
  get isRequestDue(): boolean {
    return this.#reads.length > 0 && this.#answeredThrough === this.#nextRequest - 1;
  }

  register(context: number): void {
    this.#reads.push({ context, coveredBy: this.#nextRequest });
  }

  /** A request for everything registered so far leaves; returns its id. */
  startRequest(): number {
    this.#unansweredMs = 0;
    const request = this.#nextRequest;
    this.#nextRequest += 1;
    return request;
  }

  /** Time passes; an unanswered request counts as lost after `patienceMs`. */
  tick(tickMs: number, patienceMs: number): void {
    if (this.#answeredThrough === this.#nextRequest - 1) return;
    this.#unansweredMs += tickMs;
    if (this.#unansweredMs >= patienceMs) this.#answeredThrough = this.#nextRequest - 1;
  }

  /** The leader answered `request`; returns the contexts it settles. */
  answered(request: number): readonly number[] {
    if (request < this.#firstValid || request >= this.#nextRequest) return [];
    if (request > this.#answeredThrough) this.#answeredThrough = request;
    const settled = this.#reads.filter((read) => read.coveredBy <= request);
    this.#reads = this.#reads.filter((read) => read.coveredBy > request);
    return settled.map((read) => read.context);
  }

  /** Leader or term changed: nothing that was asked will be answered. */
  drain(): readonly number[] {
    const drained = this.#reads.map((read) => read.context);
    this.#reads = [];
    this.#firstValid = this.#nextRequest;
    this.#answeredThrough = this.#nextRequest - 1;
    return drained;
  }
}
