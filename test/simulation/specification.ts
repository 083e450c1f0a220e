/**
 * What the log means, told a second time and as plainly as possible: maps, no sharing, no limits of
 * memory. The production state machine must answer every command exactly like this. It also keeps
 * every version of every key, so that a read can be judged by the revision it was made at.
 */
import { unreachable } from "../../raft/index.ts";
import type {
  Condition,
  KvRecord,
  KvResult,
  SessionLimits,
  SessionStamp,
} from "../../server/kv/index.ts";
import { bodyOf, type Intent } from "./operation.ts";
import { promised, require } from "./violation.ts";

interface Version {
  readonly revision: number;
  /** Undefined from a deletion on. */
  readonly record: KvRecord | undefined;
}

interface Remembered {
  readonly body: string;
  readonly result: KvResult;
}

interface Session {
  lastUse: number;
  lowestUnanswered: number;
  readonly answers: Map<number, Remembered>;
}

/** What clients are shown of a record. */
export type ShownRecord = Pick<
  KvRecord,
  "value" | "type" | "revision" | "createRevision" | "version"
>;

/** What clients are shown of a range. */
export interface ShownPage {
  readonly items: readonly { readonly key: string; readonly record: ShownRecord }[];
  readonly isLast: boolean;
}

export interface Page extends ShownPage {
  /** Where the next page begins; undefined after the last one. */
  readonly next: string | undefined;
}

/** The keys that begin with `prefix`, from `start` on, at most `limit` of them. */
export interface PageRequest {
  readonly prefix: string;
  readonly start: string;
  readonly limit: number;
}

type Write = Extract<Intent, { kind: "put" } | { kind: "delete" }>;

export class Specification {
  readonly #limits: SessionLimits;
  readonly #versions = new Map<string, Version[]>();
  readonly #sessions = new Map<string, Session>();
  /** Every execution under a session, ever: none may be there twice. */
  readonly #executed = new Set<string>();
  #revision = 0;

  constructor(limits: SessionLimits) {
    this.#limits = limits;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Sessions that live at a moment of cluster time; here they end with the next command. */
  sessionsAt(timeMs: number): number {
    const sessions = [...this.#sessions.values()];
    return sessions.filter(({ lastUse }) => lastUse + this.#limits.ttlMs > timeMs).length;
  }

  /** What a key held at a revision of the store. */
  recordAt(key: string, revision: number): KvRecord | undefined {
    const versions = this.#versions.get(key) ?? [];
    for (let at = versions.length - 1; at >= 0; at -= 1) {
      const version = versions[at];
      if (version !== undefined && version.revision <= revision) return version.record;
    }
    return undefined;
  }

  /** What a list shows at a revision of the store. */
  pageAt({ prefix, start, limit }: PageRequest, revision: number): Page {
    const items: { key: string; record: ShownRecord }[] = [];
    const keys = [...this.#versions.keys()].sort((a, b) => (a < b ? -1 : 1));
    for (const key of keys) {
      if (!key.startsWith(prefix) || key < start) continue;
      const record = this.recordAt(key, revision);
      if (record === undefined) continue;
      if (items.length === limit) return { items, isLast: false, next: key };
      items.push({ key, record });
    }
    return { items, isLast: true, next: undefined };
  }

  /** Whether a key held this at some revision not below `revisionMin`. */
  everHeld(key: string, record: ShownRecord | undefined, revisionMin: number): boolean {
    if (isSameRecord(this.recordAt(key, revisionMin), record)) return true;
    const versions = this.#versions.get(key) ?? [];
    return versions.some(
      (version) => version.revision > revisionMin && isSameRecord(version.record, record),
    );
  }

  /** Keys that exist now. */
  get keys(): readonly string[] {
    const held = [...this.#versions].filter(
      ([, versions]) => versions.at(-1)?.record !== undefined,
    );
    return held.map(([key]) => key);
  }

  /** Executes a command; `answered` is what production said, where only it can know (a new id). */
  execute(intent: Intent, timeMs: number, answered: KvResult): KvResult {
    this.#expire(timeMs);
    switch (intent.kind) {
      case "open-session":
        return this.#open(timeMs, answered);
      case "close-session":
        return {
          kind: this.#sessions.delete(intent.session) ? "session-closed" : "session-expired",
        };
      case "put":
      case "delete":
        return intent.stamp === undefined
          ? this.#write(intent)
          : this.#writeOnce(intent, intent.stamp, timeMs);
      default:
        return unreachable(intent);
    }
  }

  #expire(timeMs: number): void {
    for (const [id, session] of this.#sessions) {
      if (session.lastUse + this.#limits.ttlMs <= timeMs) this.#sessions.delete(id);
    }
  }

  #open(timeMs: number, answered: KvResult): KvResult {
    if (this.#sessions.size >= this.#limits.sessionsMax) return { kind: "sessions-full" };
    require(answered.kind === "session-opened", () =>
      `a session was refused with ${answered.kind}, there was room`);
    const { id } = answered;
    require(!this.#sessions.has(id), () => `session ${id} was opened twice`);
    this.#sessions.set(id, { lastUse: timeMs, lowestUnanswered: 1, answers: new Map() });
    return { kind: "session-opened", id, ttlMs: this.#limits.ttlMs };
  }

  #writeOnce(intent: Write, stamp: SessionStamp, timeMs: number): KvResult {
    const session = this.#sessions.get(stamp.id);
    if (session === undefined) return { kind: "session-expired" };
    const lowest = Math.max(session.lowestUnanswered, stamp.lowestUnanswered);
    const isInWindow = stamp.sequence >= lowest && stamp.sequence - lowest < this.#limits.windowMax;
    if (!isInWindow) return { kind: "session-conflict" };
    const body = bodyOf(intent);
    const known = session.answers.get(stamp.sequence);
    if (known !== undefined && known.body !== body) return { kind: "session-conflict" };
    session.lastUse = timeMs;
    session.lowestUnanswered = lowest;
    for (const sequence of session.answers.keys()) {
      if (sequence < lowest) session.answers.delete(sequence);
    }
    if (known !== undefined) return withoutPrevious(known.result);
    const name = `${stamp.id} ${stamp.sequence}`;
    promised(
      "duplicate-execution",
      !this.#executed.has(name),
      () => `session and sequence ${name} executed twice`,
    );
    this.#executed.add(name);
    const result = this.#write(intent);
    session.answers.set(stamp.sequence, { body, result });
    return result;
  }

  #write(intent: Write): KvResult {
    const current = this.recordAt(intent.key, this.#revision);
    if (!isMet(intent.condition, current)) {
      return { kind: "condition-failed", revision: this.#revision, current };
    }
    const previous = intent.wantPrevious ? { previous: current } : {};
    if (intent.kind === "delete") {
      if (current === undefined) return { kind: "deleted", deleted: 0, revision: this.#revision };
      this.#revision += 1;
      this.#store(intent.key, undefined);
      return { kind: "deleted", deleted: 1, revision: this.#revision, ...previous };
    }
    this.#revision += 1;
    const revision = this.#revision;
    const createRevision = current?.createRevision ?? revision;
    const version = (current?.version ?? 0) + 1;
    const numbers = { revision, createRevision, version, lease: 0, expiresAt: 0 };
    this.#store(intent.key, { value: intent.value, type: "text", ...numbers });
    return { kind: "put", revision, createRevision, version, ...previous };
  }

  #store(key: string, record: KvRecord | undefined): void {
    const versions = this.#versions.get(key);
    const version = { revision: this.#revision, record };
    if (versions === undefined) this.#versions.set(key, [version]);
    else versions.push(version);
  }
}

function isMet(condition: Condition, current: KvRecord | undefined): boolean {
  switch (condition.kind) {
    case "none":
      return true;
    case "exists":
      return current !== undefined;
    case "absent":
      return current === undefined;
    case "revision":
      return current?.revision === condition.revision;
    default:
      return unreachable(condition);
  }
}

function withoutPrevious(result: KvResult): KvResult {
  if (result.kind === "put" || result.kind === "deleted") {
    const { previous: _previous, ...rest } = result;
    return rest;
  }
  return result;
}

export function isSameRecord(a: ShownRecord | undefined, b: ShownRecord | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.revision === b.revision &&
    a.value === b.value &&
    a.type === b.type &&
    a.createRevision === b.createRevision &&
    a.version === b.version
  );
}

export function isSameResult(a: KvResult, b: KvResult): boolean {
  switch (a.kind) {
    case "put":
      return (
        b.kind === "put" &&
        a.revision === b.revision &&
        a.createRevision === b.createRevision &&
        a.version === b.version &&
        isSameRecord(a.previous, b.previous)
      );
    case "deleted":
      return (
        b.kind === "deleted" &&
        a.revision === b.revision &&
        a.deleted === b.deleted &&
        isSameRecord(a.previous, b.previous)
      );
    case "condition-failed":
      return (
        b.kind === "condition-failed" &&
        a.revision === b.revision &&
        isSameRecord(a.current, b.current)
      );
    case "session-opened":
      return b.kind === "session-opened" && a.id === b.id && a.ttlMs === b.ttlMs;
    default:
      return a.kind === b.kind;
  }
}

export function isSamePage(a: ShownPage, b: ShownPage): boolean {
  if (a.isLast !== b.isLast || a.items.length !== b.items.length) return false;
  return a.items.every(({ key, record }, at) => {
    const other = b.items[at];
    return other !== undefined && key === other.key && isSameRecord(record, other.record);
  });
}
