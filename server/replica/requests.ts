/**
 * What clients wait for: writes proposed here, writes forwarded to the leader or taken for a
 * follower, and reads. Belongs to the loop of server/replica.ts, which tells it when a turn starts
 * and ends and what was applied.
 *
 * Invariant: every callback is called exactly once, with an outcome that is true.
 */
import type {
  Clock,
  CommandEntry,
  Entry,
  LogIndex,
  Member,
  RaftNode,
  Ready,
} from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import type { ReadOutcome, ReadRequest, Refusal, WriteOutcome } from "../gateway.ts";
import type { Forward, ForwardResults, Transport } from "../peer/index.ts";
import { ForwardIntake, ForwardOrigin } from "./forwarder.ts";
import type { ReplicatedMachine } from "./options.ts";
import { PendingProposals, type Waiter } from "./pending-proposals.ts";
import { type Applied, PendingReads } from "./pending-reads.ts";
import type { Standing } from "./state-guard.ts";

interface Parts<Result> {
  readonly node: RaftNode;
  readonly storage: Storage;
  readonly machine: ReplicatedMachine<Result>;
  readonly clock: Clock;
  readonly self: { readonly id: number; readonly incarnation: number };
  readonly requestTimeoutMs: number;
  readonly hasLease: boolean;
  readonly appliedIndex: LogIndex;
  readonly accepts: (command: Uint8Array) => boolean;
  /** Asks the loop for a turn. */
  readonly askTurn: () => void;
}

/** How long a request may wait for a leader to be found before it is refused. */
const LEADER_PATIENCE_MS = 1_000;
/** The read a node does for itself after a start, to learn that it has caught up. */
const OWN_READ_MS = 1_000;
const GRANTED_STALE = { kind: "granted", used: "stale" } as const;

/** What a node keeps for others. At rest nothing waits; what is remembered is bounded anyway. */
export interface Backlog {
  /** Proposed here, or handed to the leader. */
  readonly writes: number;
  readonly reads: number;
  /** Waiting for a leader to be found. */
  readonly held: number;
  /** Processes whose forwarded writes are counted. */
  readonly remembered: number;
}

export class Requests<Result> {
  readonly #parts: Parts<Result>;
  readonly #proposals: PendingProposals<Result>;
  readonly #reads = new PendingReads();
  readonly #origin: ForwardOrigin<Result>;
  readonly #intake: ForwardIntake<Result>;
  /** What came while no leader could be reached: not applied, so it may be tried again. */
  #held: Held[] = [];
  #appliedIndex: LogIndex;
  #isStopping = false;
  /** Why the state here is not to be shown, or not to be changed. */
  #distrust: "disputed" | "fenced" | undefined;
  #isCaughtUp = false;
  #isCatchingUp = false;

  constructor(parts: Parts<Result>) {
    this.#parts = parts;
    this.#appliedIndex = parts.appliedIndex;
    this.#origin = new ForwardOrigin(parts.self);
    this.#intake = new ForwardIntake(parts.self.id);
    this.#proposals = new PendingProposals((waiter, outcome) => this.#answer(waiter, outcome));
  }

  /** Once a linearizable read of its own was granted: only then may stale reads be answered. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  get hasPendingWrites(): boolean {
    return this.#proposals.size > 0 || this.#origin.size > 0;
  }

  get backlog(): Backlog {
    return {
      writes: this.#proposals.size + this.#origin.size,
      reads: this.#reads.size,
      held: this.#held.length,
      remembered: this.#intake.remembered,
    };
  }

  get leader(): Member | undefined {
    const { leaderId, configuration } = this.#parts.node;
    return leaderId === 0 ? undefined : configuration.members.find(({ id }) => id === leaderId);
  }

  // ---- From clients and peers ------------------------------------------------------------------

  submit(
    command: Uint8Array,
    forward: boolean,
    done: (outcome: WriteOutcome<Result>) => void,
  ): void {
    const { node, clock } = this.#parts;
    const nowMs = clock.now();
    if (this.#isStopping) done(this.#refusal("stopping"));
    else if (this.#distrust !== undefined) done(this.#refusal(this.#distrust));
    else if (node.role === "leader") this.#propose(command, { kind: "local", done }, nowMs);
    else if (!forward) done(this.#refusal("not-leader"));
    else this.#forward(command, nowMs + this.#patienceMs, done);
  }

  /** Until `patientUntilMs` a write that nobody could take waits for the next leader. */
  #forward(
    command: Uint8Array,
    patientUntilMs: number,
    done: (outcome: WriteOutcome<Result>) => void,
  ): void {
    const { node, clock, requestTimeoutMs, askTurn } = this.#parts;
    const nowMs = clock.now();
    const hold = () =>
      this.#held.push({
        untilMs: patientUntilMs,
        again: () => this.#forward(command, patientUntilMs, done),
        refuse: (reason) => done(this.#refusal(reason)),
      });
    if (node.role === "leader") {
      this.#propose(command, { kind: "local", done }, nowMs);
    } else if (node.leaderId === 0) {
      hold();
    } else {
      this.#origin.queue(command, nowMs + requestTimeoutMs, (outcome) => {
        const isLost = outcome.kind === "not-applied" && outcome.reason === "no-leader";
        if (isLost && this.#mayHold(patientUntilMs)) hold();
        else done(outcome);
      });
      askTurn();
    }
  }

  read(request: ReadRequest, done: (outcome: ReadOutcome) => void): void {
    const { node, machine, clock, requestTimeoutMs, hasLease } = this.#parts;
    const { minRevision } = request;
    const nowMs = clock.now();
    const read = { done, minRevision, deadlineMs: nowMs + requestTimeoutMs };
    if (this.#distrust === "fenced") {
      done(this.#readRefusal("fenced"));
    } else if (request.consistency === "stale") {
      if (!this.#isCaughtUp) done(this.#readRefusal("starting"));
      else if (minRevision <= machine.revision) done(GRANTED_STALE);
      else this.#reads.waitForRevision(read, "stale");
    } else if (node.role === "leader") {
      this.#reads.gather(read);
      // A lease answers in this turn, by a reading of the clock taken after the request was read.
      if (hasLease) this.#startReads();
      this.#parts.askTurn();
    } else if (request.forward) {
      this.#readThroughLeader(minRevision, nowMs + this.#patienceMs, done);
    } else {
      done(this.#readRefusal("not-leader"));
    }
  }

  /** Until `patientUntilMs` a read that no leader confirmed waits for the next one. */
  #readThroughLeader(
    minRevision: number,
    patientUntilMs: number,
    done: (outcome: ReadOutcome) => void,
  ): void {
    const { node, clock, requestTimeoutMs, askTurn } = this.#parts;
    const hold = () =>
      this.#held.push({
        untilMs: patientUntilMs,
        again: () => this.#readThroughLeader(minRevision, patientUntilMs, done),
        refuse: (reason) => done(this.#readRefusal(reason)),
      });
    if (node.leaderId === 0) {
      hold();
      return;
    }
    this.#reads.gather({
      minRevision,
      deadlineMs: clock.now() + requestTimeoutMs,
      done: (outcome) => {
        const isLost = outcome.kind === "refused" && outcome.reason === "no-leader";
        if (isLost && this.#mayHold(patientUntilMs)) hold();
        else done(outcome);
      },
    });
    askTurn();
  }

  /** A follower's writes; taken only in the term they were meant for (rule 9 of the design). */
  takeForward(message: Forward): void {
    if (!this.#intake.admit(message)) return;
    const { node, clock, accepts } = this.#parts;
    const { from, originIncarnation: incarnation } = message;
    const nowMs = clock.now();
    const isMeant = node.role === "leader" && node.term === message.leaderTerm;
    for (const { id, command } of message.requests) {
      if (isMeant && this.#distrust === "disputed") {
        this.#intake.answer(from, incarnation, id, this.#refusal("disputed"));
      } else if (isMeant && this.#isServing && accepts(command)) {
        this.#propose(command, { kind: "forwarded", from, incarnation, id }, nowMs);
      } else {
        this.#intake.answer(from, incarnation, id, this.#refusal("no-leader"));
      }
    }
  }

  results(message: ForwardResults<Result>): void {
    this.#origin.results(message);
  }

  linkLost(peer: number): void {
    this.#origin.linkLost(peer);
  }

  // ---- From the loop ---------------------------------------------------------------------------

  tick(nowMs: number): void {
    this.#proposals.expire(nowMs);
    this.#origin.expire(nowMs);
    this.#reads.expire(nowMs);
    if (this.#held.length > 0) this.#releaseHeld(nowMs);
    if (this.#mustCatchUp) this.#parts.askTurn();
  }

  startTurn(transport: Transport<Result>): void {
    this.#startReads();
    if (this.#mustCatchUp) {
      // In a round of its own: it waits less long than a client's read.
      this.#catchUp();
      this.#startReads();
    }
    const { node } = this.#parts;
    this.#origin.flush(node.leaderId, node.term, (message) => transport.forward(message));
  }

  endTurn(transport: Transport<Result>): void {
    this.#intake.flush((message) => transport.forwardResults(message));
  }

  commandApplied(entry: CommandEntry, result: Result): void {
    this.#proposals.applied(entry.index, entry.term, result);
  }

  entriesApplied(entries: readonly Entry[], index: LogIndex): void {
    if (this.#proposals.size > 0) {
      for (const entry of entries) {
        if (entry.type !== "command") this.#proposals.replaced(entry.index);
      }
      this.#proposals.overtaken(entries.at(-1)?.term ?? 0);
    }
    this.#appliedIndex = index;
    this.#reads.applied(this.#applied);
  }

  /** A snapshot put the state at `index`; what happened on the way there is not known. */
  snapshotInstalled(index: LogIndex): void {
    this.#proposals.skipped(index);
    this.#appliedIndex = index;
    this.#reads.applied(this.#applied);
  }

  readsReady({ readStates, abortedReads }: Ready): void {
    for (const { context, index } of readStates) {
      this.#reads.confirmed(context, index, this.#applied, "read-index");
    }
    for (const context of abortedReads) {
      this.#reads.refused(context, this.#readRefusal("no-leader"));
    }
  }

  /** Takes no more writes; what is under way goes on. */
  stop(): void {
    this.#isStopping = true;
    for (const { refuse } of this.#held.splice(0)) refuse("stopping");
  }

  /** What was computed from a state that the majority does not have is told to nobody. */
  standingChanged(standing: Standing): void {
    if (standing === "trusted") this.#distrust = undefined;
    else this.#distrust = standing === "disputed" ? "disputed" : "fenced";
    if (this.#distrust === "fenced") this.abandon("fenced");
  }

  /** Answers all that still wait: the replica ends. */
  abandon(reason: "stopping" | "fenced"): void {
    this.#proposals.abandon();
    this.#origin.abandon();
    this.#reads.abandon(this.#readRefusal(reason));
    for (const { refuse } of this.#held.splice(0)) refuse(reason);
  }

  // ---- Helpers ---------------------------------------------------------------------------------

  #propose(command: Uint8Array, waiter: Waiter<Result>, nowMs: number): void {
    const { node, storage, requestTimeoutMs, askTurn } = this.#parts;
    if (!storage.hasRoom(command.length)) {
      this.#answer(waiter, this.#refusal("disk-full"));
      return;
    }
    const proposed = node.propose(command, nowMs);
    if (proposed.kind === "appended") {
      const { index, term } = proposed.id;
      this.#proposals.add(index, term, waiter, nowMs + requestTimeoutMs);
      askTurn();
      return;
    }
    const reason = proposed.kind === "overloaded" ? "overloaded" : "no-leader";
    this.#answer(waiter, this.#refusal(reason));
  }

  get #isServing(): boolean {
    return !this.#isStopping && this.#distrust === undefined;
  }

  get #patienceMs(): number {
    return Math.min(LEADER_PATIENCE_MS, this.#parts.requestTimeoutMs);
  }

  #mayHold(untilMs: number): boolean {
    return this.#isServing && this.#parts.clock.now() < untilMs;
  }

  #releaseHeld(nowMs: number): void {
    const hasLeader = this.#parts.node.leaderId !== 0;
    for (const held of this.#held.splice(0)) {
      if (held.untilMs <= nowMs) held.refuse("no-leader");
      else if (hasLeader) held.again();
      else this.#held.push(held);
    }
  }

  #startReads(): void {
    if (!this.#reads.hasGathered) return;
    const context = this.#reads.startBatch();
    const requested = this.#parts.node.readIndex(context, this.#parts.clock.now());
    if (requested.kind === "confirmed") {
      this.#reads.confirmed(context, requested.index, this.#applied, "lease");
    } else if (requested.kind === "no-leader") {
      this.#reads.refused(context, this.#readRefusal("no-leader"));
    }
  }

  get #mustCatchUp(): boolean {
    return !this.#isCaughtUp && !this.#isCatchingUp && this.#parts.node.leaderId !== 0;
  }

  /** A linearizable read of its own tells a node that it holds all that was committed before. */
  #catchUp(): void {
    this.#isCatchingUp = true;
    this.#reads.gather({
      minRevision: 0,
      deadlineMs: this.#parts.clock.now() + OWN_READ_MS,
      done: (outcome) => {
        this.#isCatchingUp = false;
        if (outcome.kind === "granted") this.#isCaughtUp = true;
      },
    });
  }

  get #applied(): Applied {
    return { index: this.#appliedIndex, revision: this.#parts.machine.revision };
  }

  #answer(waiter: Waiter<Result>, outcome: WriteOutcome<Result>): void {
    if (waiter.kind === "local") waiter.done(outcome);
    else this.#intake.answer(waiter.from, waiter.incarnation, waiter.id, outcome);
  }

  #refusal(reason: Refusal): NotApplied {
    return { kind: "not-applied", reason, leader: this.leader };
  }

  #readRefusal(reason: Refusal): ReadOutcome {
    return { kind: "refused", reason, leader: this.leader };
  }
}

interface Held {
  readonly untilMs: number;
  readonly again: () => void;
  readonly refuse: (reason: Refusal) => void;
}

interface NotApplied {
  readonly kind: "not-applied";
  readonly reason: Refusal;
  readonly leader: Member | undefined;
}
