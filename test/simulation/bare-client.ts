/**
 * A client without the client library: it speaks to the replica itself, because the library can not
 * misbehave. But for its bad manners it keeps the rules of sessions (thesis 6.3): every write under
 * a session and a sequence, the same sequence on every retry, the lowest unanswered one told with
 * each, a new session when the old one has expired. It sends to any node, gives up after a while,
 * and never calls an unknown outcome a failure.
 *
 * Each attempt is told to the ledger before it leaves and when it is answered.
 */

import { LIMITS } from "../../clients/contract.ts";
import type { SeededRandom } from "../../raft/index.ts";
import type { WriteOutcome } from "../../server/gateway.ts";
import {
  type Condition,
  type KvResult,
  prefixEnd,
  type SessionStamp,
} from "../../server/kv/index.ts";
import type { Input, RecordedCall } from "../linearizability/index.ts";
import { between, chance, exponential, fork, pick, pickAny } from "./chance.ts";
import type { Client } from "./clientele.ts";
import type { Cluster } from "./cluster.ts";
import type { SimulatedNode } from "./node.ts";
import type { Process } from "./node-parts.ts";
import type { Attempt, Intent } from "./operation.ts";
import { drawPrefix, encode, observed, outputOf } from "./translation.ts";
import { promised, require } from "./violation.ts";
import { drawCondition, drawValue, NO_CONDITION } from "./wishes.ts";

/** What clients do besides what they should (K2 and K3 of the fault matrix). */
export interface Manners {
  /** How often a command is sent twice, or again after its answer. */
  duplicate: number;
  /** How often a sequence is one the session must refuse. */
  badSequence: number;
}

interface Session {
  readonly id: string;
  nextSequence: number;
  /** Sequences without an answer. */
  readonly unanswered: Set<number>;
}

/** What is wanted; the stamp is added with each attempt. */
type Wish =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: string;
      readonly condition: Condition;
    }
  | { readonly kind: "delete"; readonly key: string; readonly condition: Condition };

interface Operation {
  readonly intentOf: () => Intent;
  readonly isRepeatable: boolean;
  readonly floor: number;
  readonly deadlineMs: number;
  readonly finish: (result: KvResult | undefined) => void;
  /** In the history that is checked in the end. */
  readonly call: RecordedCall | undefined;
  tries: number;
  /** Some attempt may take effect without anybody being told. */
  isUnknown: boolean;
}

interface Reading {
  readonly key: string;
  readonly minRevision: number;
  readonly floor: number;
  readonly call: RecordedCall | undefined;
}

const PATIENCE_MS = 4_000;
/** Somewhat longer than a node takes to say that it does not know. */
const ATTEMPT_MS_EXTRA = 400;
const BACKOFF_MS = 40;
const BACKOFF_MS_MAX = 400;

export class BareClient implements Client {
  readonly id: number;
  readonly #cluster: Cluster;
  readonly #manners: Manners;
  readonly #listChance: number;
  /** Of its own, so that seeds without lists stay what they were. */
  readonly #listRandom: SeededRandom;
  readonly #random: SeededRandom;
  /** Of its own, so that bad manners change nothing in what is asked. */
  readonly #mannersRandom: SeededRandom;
  #session: Session | undefined;
  #isOpening = false;
  #underWay = 0;
  #values = 0;
  #isStopped = false;
  /** The newest revision it was told of. */
  #seenRevision = 0;
  #lastNode: SimulatedNode | undefined;

  constructor(id: number, cluster: Cluster, manners: Manners, listChance: number) {
    this.id = id;
    this.#cluster = cluster;
    this.#manners = manners;
    this.#listChance = listChance;
    this.#listRandom = fork(cluster.seed, `lists ${id}`);
    this.#random = fork(cluster.seed, `client ${id}`);
    this.#mannersRandom = fork(cluster.seed, `manners ${id}`);
    this.#next();
  }

  get underWay(): number {
    return this.#underWay;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Asks for much at once (K1). */
  burst(operations: number): void {
    for (let i = 0; i < operations; i += 1) this.#begin();
  }

  /** One more write, for the end; told whether it was applied. */
  lastWord(done: (isApplied: boolean) => void): void {
    const value = this.#newValue();
    const wish = { kind: "put", key: `last ${this.id}`, value, condition: NO_CONDITION } as const;
    this.#writeWithoutSession(wish, (result) => done(result?.kind === "put"));
  }

  #next(): void {
    const { scheduler, shape } = this.#cluster;
    scheduler.after(exponential(this.#random, shape.thinkMs), () => {
      if (this.#isStopped) return;
      if (this.#underWay < shape.pipeline) this.#begin();
      this.#next();
    });
  }

  #begin(): void {
    if (chance(this.#listRandom, this.#listChance)) {
      this.#list(chance(this.#listRandom, 0.7) ? "linearizable" : "stale");
      return;
    }
    const dice = this.#random.next();
    if (dice < 0.35) this.#read("linearizable");
    else if (dice < 0.45) this.#read("stale");
    else if (dice < 0.5) this.#writeWithoutSession(this.#drawWish(), () => {});
    else if (dice < 0.505) this.#closeSession();
    else this.#write(this.#drawWish());
  }

  #drawWish(): Wish {
    const { keys } = this.#cluster.shape;
    const key = `key ${this.#random.below(keys)}`;
    const condition = drawCondition(this.#random, this.#seenRevision);
    if (chance(this.#random, 0.12)) return { kind: "delete", key, condition };
    return { kind: "put", key, value: this.#newValue(), condition };
  }

  #newValue(): string {
    this.#values += 1;
    const { valueBytesMax } = this.#cluster.shape;
    return drawValue(this.#random, this.id, this.#values, valueBytesMax);
  }

  // ---- Writes ----------------------------------------------------------------------------------

  #write(wish: Wish): void {
    const session = this.#session;
    if (session === undefined) {
      this.#openSession();
      return;
    }
    const { windowMax } = this.#cluster.shape.sessionLimits;
    if (session.nextSequence - lowestOf(session) >= windowMax) return;
    const sequence = session.nextSequence;
    session.nextSequence += 1;
    session.unanswered.add(sequence);
    const wantPrevious = chance(this.#random, 0.2);
    const intentOf = (): Intent => ({ ...wish, wantPrevious, stamp: stampOf(session, sequence) });
    const original = intentOf();
    const operation = this.#start(intentOf, wish, true, (result) => {
      session.unanswered.delete(sequence);
      if (result?.kind === "session-expired" && this.#session === session) {
        this.#cluster.tally.count("session expired");
        this.#session = undefined;
      }
      if (result !== undefined) this.#repeatLater(original);
    });
    if (this.#misbehave(session, original)) operation.isUnknown = true;
  }

  /** Not to be repeated when the outcome is unknown: it would be another write. */
  #writeWithoutSession(wish: Wish, finish: (result: KvResult | undefined) => void): void {
    const intentOf = (): Intent => ({ ...wish, wantPrevious: false, stamp: undefined });
    this.#start(intentOf, wish, false, finish);
  }

  #openSession(): void {
    if (this.#isOpening) return;
    this.#isOpening = true;
    this.#start(
      () => ({ kind: "open-session" }),
      undefined,
      true,
      (result) => {
        this.#isOpening = false;
        if (result?.kind === "sessions-full") this.#cluster.tally.count("sessions full");
        if (result?.kind !== "session-opened") return;
        this.#session = { id: result.id, nextSequence: 1, unanswered: new Set() };
      },
    );
  }

  #closeSession(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    this.#start(
      () => ({ kind: "close-session", session: session.id }),
      undefined,
      true,
      () => {},
    );
  }

  #start(
    intentOf: () => Intent,
    input: Input | undefined,
    isRepeatable: boolean,
    finish: (result: KvResult | undefined) => void,
  ): Operation {
    const { scheduler, ledger, history } = this.#cluster;
    this.#underWay += 1;
    const operation: Operation = {
      intentOf,
      isRepeatable,
      floor: ledger.seen,
      deadlineMs: scheduler.nowMs + PATIENCE_MS,
      finish,
      call: input === undefined ? undefined : history.call(`${this.id}`, input),
      tries: 0,
      isUnknown: false,
    };
    this.#try(operation);
    return operation;
  }

  #try(operation: Operation): void {
    const { scheduler, shape } = this.#cluster;
    operation.tries += 1;
    let isOver = false;
    const once = (outcome: WriteOutcome): void => {
      if (isOver) return;
      isOver = true;
      this.#concluded(operation, outcome);
    };
    this.#send(operation.intentOf(), operation.floor, this.#chooseNode(operation.tries), once);
    scheduler.after(shape.timing.requestTimeoutMs + ATTEMPT_MS_EXTRA, () =>
      once({ kind: "unknown", reason: "timeout" }),
    );
  }

  #concluded(operation: Operation, outcome: WriteOutcome): void {
    const { scheduler, tally } = this.#cluster;
    if (outcome.kind === "applied") {
      this.#finish(operation, outcome.result);
      return;
    }
    if (outcome.kind === "unknown") operation.isUnknown = true;
    else tally.count(`refused: ${outcome.reason}`);
    const isLate = scheduler.nowMs >= operation.deadlineMs;
    const mayRepeat = operation.isRepeatable || outcome.kind === "not-applied";
    if (isLate || !mayRepeat) {
      this.#finish(operation, undefined);
      return;
    }
    const backoffMs = Math.min(BACKOFF_MS * 2 ** operation.tries, BACKOFF_MS_MAX);
    scheduler.after(between(this.#random, backoffMs / 2, backoffMs), () => this.#try(operation));
  }

  #finish(operation: Operation, result: KvResult | undefined): void {
    this.#underWay -= 1;
    const { tally } = this.#cluster;
    if (result !== undefined) {
      tally.count("write answered");
      if ("revision" in result) this.#saw(result.revision);
    } else tally.count(operation.isUnknown ? "write unknown" : "write failed");
    conclude(operation, result);
    operation.finish(result);
  }

  /** One attempt; whatever is answered, at whatever time, must be true. */
  #send(
    intent: Intent,
    floor: number,
    node: SimulatedNode,
    done: (outcome: WriteOutcome) => void,
  ): void {
    const { ledger, trace } = this.#cluster;
    const attempt = ledger.begin(intent, floor);
    const command = encode(intent, attempt.id, this.#random);
    if (trace.keepsLines) {
      trace.line(`client ${this.id} sends ${attempt.id} to ${node.id}: ${JSON.stringify(intent)}`);
    }
    const forward = chance(this.#random, 0.9);
    this.#cluster.submit(node, command, forward, (outcome) => {
      this.#answered(attempt, outcome);
      if (outcome.kind === "applied") this.#lastNode = node;
      done(outcome);
    });
  }

  #answered(attempt: Attempt, outcome: WriteOutcome): void {
    const { ledger, trace } = this.#cluster;
    if (trace.keepsLines) {
      trace.line(`client ${this.id} is told of ${attempt.id}: ${JSON.stringify(outcome)}`);
    }
    ledger.told(attempt, outcome);
  }

  // ---- Bad manners -----------------------------------------------------------------------------

  /**
   * The same command at once to another node (K2), or a stamp that must be refused (K3). True when
   * the command itself was sent once more.
   */
  #misbehave(session: Session, intent: Intent): boolean {
    const random = this.#mannersRandom;
    const { tally } = this.#cluster;
    const isDuplicate = chance(random, this.#manners.duplicate);
    if (isDuplicate) {
      tally.count("duplicate-request");
      this.#sendAside(intent);
    }
    if (!chance(random, this.#manners.badSequence) || intent.kind !== "put") return isDuplicate;
    tally.count("bad-sequence");
    const stamp = stampOf(session, session.nextSequence - 1);
    const { sequence, lowestUnanswered } = stamp;
    const { windowMax } = this.#cluster.shape.sessionLimits;
    const badStamp = pick<SessionStamp>(random, [
      { ...stamp, sequence },
      { ...stamp, sequence: Math.max(1, lowestUnanswered - 1) },
      { ...stamp, sequence: lowestUnanswered + windowMax },
      { ...stamp, id: `${stamp.id}0` },
    ]);
    // Should it overtake the good one it takes its place: another write, of which nothing is known.
    const { key, condition } = intent;
    const value = this.#newValue();
    this.#cluster.history.call(`${this.id}`, { kind: "put", key, value, condition });
    this.#sendAside({ ...intent, value, stamp: badStamp });
    return isDuplicate;
  }

  /** The same command again, after its answer: after a failover, a snapshot, a restart. */
  #repeatLater(intent: Intent): void {
    if (!chance(this.#mannersRandom, this.#manners.duplicate)) return;
    const delayMs = exponential(this.#mannersRandom, 500);
    this.#cluster.scheduler.after(delayMs, () => {
      if (this.#isStopped) return;
      this.#cluster.tally.count("duplicate-request");
      this.#sendAside(intent);
    });
  }

  #sendAside(intent: Intent): void {
    const { ledger, nodes } = this.#cluster;
    const node = pickAny(this.#mannersRandom, nodes);
    if (node !== undefined) this.#send(intent, ledger.seen, node, () => {});
  }

  // ---- Reads -----------------------------------------------------------------------------------

  #read(consistency: "linearizable" | "stale"): void {
    const { ledger, shape, tally, history } = this.#cluster;
    const key = `key ${this.#random.below(shape.keys)}`;
    const call =
      consistency === "stale" ? undefined : history.call(`${this.id}`, { kind: "get", key });
    const minRevision = chance(this.#random, 0.7) ? this.#seenRevision : 0;
    const floor = ledger.seen;
    this.#underWay += 1;
    const forward = chance(this.#random, 0.9);
    const request = { consistency, minRevision, forward };
    this.#cluster.read(this.#chooseNode(1), request, (outcome, process) => {
      this.#underWay -= 1;
      tally.count(`${consistency} read ${outcome.kind}`);
      const isMade = outcome.kind === "granted" && process !== undefined;
      if (!isMade) call?.fail();
      else this.#judgeRead({ key, minRevision, floor, call }, outcome.used, process);
    });
  }

  #judgeRead({ key, minRevision, floor, call }: Reading, used: string, process: Process): void {
    const { ledger, tally } = this.#cluster;
    const { appliedIndex, revision, reader } = process.machine;
    tally.count(`read by ${used}`);
    const record = reader.get(key);
    ledger.read(key, record, appliedIndex, revision);
    promised(
      "not-linearizable",
      revision >= minRevision,
      () => `a read at revision ${revision} was to wait for revision ${minRevision}`,
    );
    if (used !== "stale") ledger.readIsFresh(appliedIndex, floor);
    call?.ok({ kind: "record", record: observed(record), revision });
    this.#saw(revision);
  }

  #list(consistency: "linearizable" | "stale"): void {
    const { ledger, tally } = this.#cluster;
    const prefix = drawPrefix(this.#listRandom);
    const request = { prefix, start: prefix, limit: 1 + this.#listRandom.below(6) };
    const minRevision = chance(this.#listRandom, 0.7) ? this.#seenRevision : 0;
    const isLinearizable = consistency === "linearizable";
    const revisionMin = isLinearizable ? Math.max(minRevision, ledger.seenRevision) : minRevision;
    const floor = ledger.seen;
    this.#underWay += 1;
    const asked = { consistency, minRevision, forward: true };
    this.#cluster.read(this.#chooseNode(1), asked, (outcome, process) => {
      this.#underWay -= 1;
      tally.count(`${consistency} list ${outcome.kind}`);
      if (outcome.kind !== "granted" || process === undefined) return;
      const { appliedIndex, revision, reader } = process.machine;
      const query = { ...request, end: prefixEnd(prefix), bytesMax: LIMITS.listBytesMax };
      const { items, next } = reader.list(query);
      ledger.listed(request, { items, isLast: next === undefined }, revision, revisionMin);
      if (isLinearizable) ledger.readIsFresh(appliedIndex, floor);
      this.#saw(revision);
    });
  }

  #saw(revision: number): void {
    this.#seenRevision = Math.max(this.#seenRevision, revision);
  }

  /** Where it went well before; after a failure anywhere. */
  #chooseNode(tries: number): SimulatedNode {
    const { endpoints } = this.#cluster;
    const last = this.#lastNode;
    if (last !== undefined && tries === 1 && chance(this.#random, 0.5)) return last;
    const node = pickAny(this.#random, endpoints);
    require(node !== undefined, () => "a cluster has nodes");
    return node;
  }
}

/** A refused write has no effect, unless one of its attempts may still have. */
function conclude({ call, isUnknown }: Operation, result: KvResult | undefined): void {
  const output = result === undefined ? undefined : outputOf(result);
  if (output !== undefined) call?.ok(output);
  else if (isUnknown) call?.unknown();
  else call?.fail();
}

function lowestOf(session: Session): number {
  let lowest = session.nextSequence;
  for (const sequence of session.unanswered) lowest = Math.min(lowest, sequence);
  return lowest;
}

function stampOf(session: Session, sequence: number): SessionStamp {
  return { id: session.id, sequence, lowestUnanswered: Math.min(lowestOf(session), sequence) };
}
