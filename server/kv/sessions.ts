/**
 * Replicated client sessions: what makes a retry harmless (thesis 6.3). Owns who has a session and
 * which answers it may still ask for; knows nothing of keys and values.
 *
 * The thesis remembers one answer per client. Here a client has many writes in flight, which reach
 * the log in any order, so a session remembers a window: the answers to all executed sequences
 * from the lowest one the client has no answer to.
 *
 * - A sequence is executed at most once: an executed one stays remembered until the client says
 *   that it has the answer, and what lies below that mark is refused.
 * - An unknown session is never executed, and ids are minted here, so an expired one can not be
 *   mistaken for a new one.
 * - Only cluster time, which stands in the log, ends a session; a full table refuses new ones.
 * - Session records are immutable: a pinned clone of the tree keeps the old ones.
 */
import { type ClusterTime, type LogIndex, unreachable } from "../../raft/index.ts";
import type { SessionStamp } from "./command.ts";
import { LastUseOrder } from "./last-use-order.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { ByteString } from "./record.ts";
import type { KvResult } from "./result.ts";
import type { StateHasher } from "./state-hash.ts";

/** The results a session remembers: those of commands that may change something. */
export type RememberedResult = Extract<
  KvResult,
  { kind: "put" } | { kind: "deleted" } | { kind: "condition-failed" }
>;

export interface Answer {
  readonly sequence: number;
  /** Of the command's body: the same sequence with another body is a client's mistake. */
  readonly fingerprint: number;
  readonly result: RememberedResult;
}

export interface Session {
  /** Who opened it; nobody else may use it. */
  readonly principal: ByteString;
  readonly birth: ClusterTime;
  readonly lastUse: ClusterTime;
  readonly lowestUnanswered: number;
  /** In rising sequence, none below `lowestUnanswered`. */
  readonly answers: readonly Answer[];
}

/** The same on all members: they decide what `apply` does. */
export interface SessionLimits {
  readonly ttlMs: number;
  readonly sessionsMax: number;
  /** How far ahead of the lowest unanswered sequence a client may go. */
  readonly windowMax: number;
}

export const SESSION_LIMITS: SessionLimits = {
  ttlMs: 60 * 60 * 1000,
  sessionsMax: 100_000,
  windowMax: 1024,
};

const EXPIRED: KvResult = { kind: "session-expired" };
const CONFLICT: KvResult = { kind: "session-conflict" };
const FULL: KvResult = { kind: "sessions-full" };
const CLOSED: KvResult = { kind: "session-closed" };

export class Sessions {
  readonly #limits: SessionLimits;
  /** Covers what is in `#sessions`, besides what others put in it. */
  readonly #hasher: StateHasher;
  readonly #sessions: OrderedMap<Session>;
  /** The sessions again, by last use; derived, so it is no part of a snapshot. */
  readonly #order = new LastUseOrder();

  constructor(limits: SessionLimits, hasher: StateHasher, sessions = new OrderedMap<Session>()) {
    this.#limits = limits;
    this.#hasher = hasher;
    this.#sessions = sessions;
    const uses: { id: string; lastUse: ClusterTime }[] = [];
    for (const [id, session] of sessions.entries()) uses.push({ id, lastUse: session.lastUse });
    uses.sort((a, b) => a.lastUse - b.lastUse);
    for (const { id, lastUse } of uses) this.#order.touch(id, lastUse);
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** All sessions as they are now, in O(1). */
  pin(): OrderedMap<Session> {
    return this.#sessions.clone();
  }

  /** When the next session expires if nothing is heard of it. */
  nextDeadline(): ClusterTime | undefined {
    const first = this.#order.first;
    return first === undefined ? undefined : first.lastUse + this.#limits.ttlMs;
  }

  /** Ends all sessions whose time has come. Called with the stamp of every applied entry. */
  expire(now: ClusterTime): void {
    let first = this.#order.first;
    while (first !== undefined && first.lastUse + this.#limits.ttlMs <= now) {
      this.#remove(first.id);
      first = this.#order.first;
    }
  }

  /**
   * The id carries the birth and the log index, so no two are ever equal, and the proposer's
   * random bits, so nobody can guess one.
   */
  open(now: ClusterTime, index: LogIndex, random: string, principal: ByteString): KvResult {
    if (this.#sessions.size >= this.#limits.sessionsMax) return FULL;
    const id = `${now.toString(36)}-${index.toString(36)}-${random}`;
    const session = { principal, birth: now, lastUse: now, lowestUnanswered: 1, answers: [] };
    this.#hasher.addSession(id, session);
    this.#store(id, session);
    return { kind: "session-opened", id, ttlMs: this.#limits.ttlMs };
  }

  close(id: string, principal: ByteString): KvResult {
    if (this.#find(id, principal) === undefined) return EXPIRED;
    this.#remove(id);
    return CLOSED;
  }

  /**
   * What a command under this stamp is answered without executing it; undefined when it is to be
   * executed, and its result given to `remember`.
   */
  admit(
    stamp: SessionStamp,
    fingerprint: number,
    principal: ByteString,
    now: ClusterTime,
  ): KvResult | undefined {
    const session = this.#find(stamp.id, principal);
    if (session === undefined) return EXPIRED;
    const lowest = Math.max(session.lowestUnanswered, stamp.lowestUnanswered);
    if (stamp.sequence < lowest || stamp.sequence - lowest >= this.#limits.windowMax) {
      return CONFLICT;
    }
    const answer = findAnswer(session.answers, stamp.sequence);
    if (answer === undefined) return undefined;
    if (answer.fingerprint !== fingerprint) return CONFLICT;
    this.#renew(stamp.id, session, lowest, answersFrom(session.answers, lowest), now);
    return answer.result;
  }

  /** Keeps the result of a command that was admitted; the command's time renews the session. */
  remember(
    stamp: SessionStamp,
    fingerprint: number,
    result: RememberedResult,
    now: ClusterTime,
  ): void {
    const session = this.#sessions.get(stamp.id);
    if (session === undefined) return;
    const lowest = Math.max(session.lowestUnanswered, stamp.lowestUnanswered);
    const answers = answersFrom(session.answers, lowest);
    const answer: Answer = {
      sequence: stamp.sequence,
      fingerprint,
      result: withoutPrevious(result),
    };
    let at = answers.length;
    while (at > 0 && (answers[at - 1]?.sequence ?? 0) > stamp.sequence) at -= 1;
    // Exactly as long as it is: an array that grew keeps room for sixteen more, for each client.
    const remembered = answers.toSpliced(at, 0, answer);
    this.#hasher.addAnswer(stamp.id, answer);
    this.#renew(stamp.id, session, lowest, remembered, now);
  }

  /** Another principal's session is answered like an unknown one, so that probing tells nothing. */
  #find(id: string, principal: ByteString): Session | undefined {
    const session = this.#sessions.get(id);
    return session?.principal === principal ? session : undefined;
  }

  /** `answers` are those of the session from `lowestUnanswered` on, and perhaps a new one. */
  #renew(
    id: string,
    session: Session,
    lowestUnanswered: number,
    answers: readonly Answer[],
    now: ClusterTime,
  ): void {
    const { principal, birth } = session;
    const renewed = { principal, birth, lastUse: now, lowestUnanswered, answers };
    this.#hasher.renewSession(id, session, renewed);
    for (const answer of session.answers) {
      if (answer.sequence >= lowestUnanswered) break;
      this.#hasher.removeAnswer(id, answer);
    }
    this.#store(id, renewed);
  }

  #store(id: string, session: Session): void {
    // The tree keeps the key it is given: always the first string, not one more from each command.
    this.#sessions.set(this.#order.touch(id, session.lastUse), session);
  }

  #remove(id: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#hasher.removeSession(id, session);
    this.#sessions.delete(id);
    this.#order.delete(id);
  }
}

/** From the end, because nearly every command has the highest sequence so far. */
function findAnswer(answers: readonly Answer[], sequence: number): Answer | undefined {
  for (let at = answers.length - 1; at >= 0; at -= 1) {
    const answer = answers[at];
    if (answer === undefined || answer.sequence < sequence) return undefined;
    if (answer.sequence === sequence) return answer;
  }
  return undefined;
}

/** A copy without the answers that the client has by now. */
function answersFrom(answers: readonly Answer[], lowest: number): Answer[] {
  let from = 0;
  while (from < answers.length && (answers[from]?.sequence ?? lowest) < lowest) from += 1;
  return answers.slice(from);
}

/** A repeat answers without the previous record: keeping it would keep every overwritten value. */
function withoutPrevious(result: RememberedResult): RememberedResult {
  switch (result.kind) {
    case "put": {
      const { kind, revision, createRevision, version } = result;
      return { kind, revision, createRevision, version };
    }
    case "deleted": {
      const { kind, deleted, revision } = result;
      return { kind, deleted, revision };
    }
    case "condition-failed":
      return result;
    default:
      return unreachable(result);
  }
}
