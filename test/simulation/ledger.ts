/**
 * What the whole cluster agreed on, as seen from outside: the one entry and the one answer of every
 * log index over all nodes and all time, who led which term, and in which order things took effect.
 * Everything a node does is held against it the moment it happens.
 *
 * Every operation has a point in one order: a write where it stands in the log, a read where its
 * node had applied to. The history is linearizable when each point lies behind all that had been
 * answered before the operation was begun, and each answer is what the specification says at that
 * point. So it is checked as it goes, without a search.
 */
import type { CommandEntry, Entry } from "../../raft/index.ts";
import type { WriteOutcome } from "../../server/gateway.ts";
import {
  type KvRecord,
  type KvResult,
  KvStateMachine,
  type SessionLimits,
} from "../../server/kv/index.ts";
import { entryChecksum } from "../../storage/index.ts";
import type { Attempt, Intent } from "./operation.ts";
import {
  isSamePage,
  isSameRecord,
  isSameResult,
  type Page,
  type PageRequest,
  type ShownPage,
  type ShownRecord,
  Specification,
} from "./specification.ts";
import { promised, require, Violation } from "./violation.ts";

interface Line {
  readonly entry: Entry;
  readonly checksum: number;
  /** The store's revision after it. */
  revision: number;
  /** Of the whole state after it, when somebody stopped there. */
  hash: string | undefined;
  result: KvResult | undefined;
}

/** The longest that cluster time may run ahead of a perfect clock, beyond the drift of a leader. */
const CLUSTER_TIME_SLACK_MS = 2;

export class Ledger {
  readonly specification: Specification;
  readonly #limits: SessionLimits;
  readonly #attempts = new Map<number, Attempt>();
  readonly #lines: Line[] = [];
  readonly #leaders = new Map<number, number>();
  readonly #snapshots = new Map<number, string>();
  #seen = 0;
  #judged = 0;

  constructor(limits: SessionLimits) {
    this.#limits = limits;
    this.specification = new Specification(limits);
  }

  /** The newest index that anybody applied. */
  get lastIndex(): number {
    return this.#lines.length;
  }

  /** The newest point that anybody was told of. */
  get seen(): number {
    return this.#seen;
  }

  /** The store's revision at that point. */
  get seenRevision(): number {
    return this.#lines[this.#seen - 1]?.revision ?? 0;
  }

  /** Operations whose answers were held against the order. */
  get judged(): number {
    return this.#judged;
  }

  get terms(): number {
    return this.#leaders.size;
  }

  leaderOf(term: number): number | undefined {
    return this.#leaders.get(term);
  }

  begin(intent: Intent, floor: number): Attempt {
    const id = this.#attempts.size + 1;
    const attempt: Attempt = { id, intent, floor, outcome: "pending", index: 0 };
    this.#attempts.set(id, attempt);
    return attempt;
  }

  /** Election safety (section 5.2): at most one leader in a term, ever. */
  led(nodeId: number, term: number): void {
    const known = this.#leaders.get(term);
    if (known === nodeId) return;
    promised(
      "two-leaders",
      known === undefined,
      () => `nodes ${known} and ${nodeId} both lead term ${term}`,
    );
    this.#leaders.set(term, nodeId);
  }

  /** State-machine safety (section 5.4.3): before a node applies an entry. */
  admit(nodeId: number, entry: Entry): void {
    const { index } = entry;
    const checksum = entryChecksum(entry);
    const known = this.#lines[index - 1];
    if (known !== undefined) {
      // The checksum covers the entry before, so equal ones mean equal logs up to here.
      promised(
        "lost-write",
        known.entry.term === entry.term && known.checksum === checksum,
        () =>
          `node ${nodeId} applies another entry at ${index}: term ${entry.term}, ` +
          `others term ${known.entry.term}`,
      );
      return;
    }
    require(index === this.#lines.length + 1, () =>
      `node ${nodeId} applies ${index}, nobody applied what is before`);
    const before = this.#lines.at(-1);
    require(before === undefined || before.entry.time <= entry.time, () =>
      `cluster time runs back at ${index}: ${before?.entry.time} to ${entry.time}`);
    this.#lines.push({ entry, checksum, revision: 0, hash: undefined, result: undefined });
  }

  /** A node executed a command: its answer is that of the specification and of all others. */
  executed(nodeId: number, entry: CommandEntry, result: KvResult): void {
    const line = this.#lineAt(entry.index);
    if (line.result !== undefined) {
      const expected = line.result;
      promised(
        "state-mismatch",
        isSameResult(expected, result),
        () =>
          `node ${nodeId} answers ${entry.index} with ${show(result)}, others ${show(expected)}`,
      );
      return;
    }
    const attempt = this.#attempts.get(attemptIdOf(entry.data));
    require(attempt !== undefined, () => `the command at ${entry.index} was never sent`);
    promised(
      "duplicate-execution",
      attempt.index === 0,
      () => `attempt ${attempt.id} stands in the log twice: ${attempt.index} and ${entry.index}`,
    );
    promised(
      "not-linearizable",
      attempt.outcome !== "not-applied",
      () =>
        `attempt ${attempt.id} was answered as not applied and stands in the log at ${entry.index}`,
    );
    promised(
      "not-linearizable",
      entry.index > attempt.floor,
      () =>
        `attempt ${attempt.id} takes effect at ${entry.index}, it was begun after ${attempt.floor}`,
    );
    attempt.index = entry.index;
    const expected = this.specification.execute(attempt.intent, entry.time, result);
    promised(
      "not-linearizable",
      isSameResult(expected, result),
      () =>
        `node ${nodeId} answers ${show(attempt.intent)} at ${entry.index} with ${show(result)}, ` +
        `right is ${show(expected)}`,
    );
    line.result = result;
    line.revision = this.specification.revision;
  }

  /** After a node applied entries: what carries no command changes no revision. */
  applied(entries: readonly Entry[]): void {
    for (const { index, type } of entries) {
      if (type === "command") continue;
      this.#lineAt(index).revision = this.#lines[index - 2]?.revision ?? 0;
    }
  }

  /** After a node applied up to `index`. */
  reached(nodeId: number, index: number, revision: number, hash: string): void {
    const line = this.#lineAt(index);
    promised(
      "state-mismatch",
      line.revision === revision,
      () => `node ${nodeId} is at revision ${revision} after ${index}, right is ${line.revision}`,
    );
    const known = line.hash;
    promised(
      "state-mismatch",
      known === undefined || known === hash,
      () => `node ${nodeId} has state ${hash} after ${index}, others ${known}`,
    );
    line.hash = hash;
  }

  /** A node told a client what became of an attempt. */
  told(attempt: Attempt, outcome: WriteOutcome): void {
    attempt.outcome = outcome.kind;
    if (outcome.kind === "applied") this.answered(attempt, outcome.result);
    if (outcome.kind !== "not-applied") return;
    promised(
      "not-linearizable",
      attempt.index === 0,
      () =>
        `attempt ${attempt.id} stands in the log at ${attempt.index} and is answered not-applied`,
    );
  }

  /** A client was answered. */
  answered(attempt: Attempt, result: KvResult): void {
    promised(
      "lost-write",
      attempt.index !== 0,
      () => `attempt ${attempt.id} was answered and never applied`,
    );
    const line = this.#lineAt(attempt.index);
    const expected = line.result;
    promised(
      "not-linearizable",
      expected !== undefined && isSameResult(expected, result),
      () => `attempt ${attempt.id} was answered ${show(result)}, applied as ${show(expected)}`,
    );
    this.#seen = Math.max(this.#seen, attempt.index);
    this.#judged += 1;
  }

  /** A client was shown what a node holds. */
  read(key: string, record: KvRecord | undefined, point: number, revision: number): void {
    const line = this.#lines[point - 1];
    promised(
      "not-linearizable",
      (line?.revision ?? 0) === revision,
      () => `a read at ${point} shows revision ${revision}, right is ${line?.revision}`,
    );
    const expected = this.specification.recordAt(key, revision);
    promised(
      "not-linearizable",
      isSameRecord(expected, record),
      () =>
        `a read of ${key} at revision ${revision} shows ${show(record)}, right is ${show(expected)}`,
    );
    this.#judged += 1;
  }

  /**
   * A client was shown a range of keys: whatever it says its revision is, all of it is the state
   * at that one revision. Keys are checked together, which the search by key can not do. Returns
   * the page as it has to be.
   */
  listed(request: PageRequest, page: ShownPage, revision: number, revisionMin: number): Page {
    const newest = this.specification.revision;
    promised(
      "not-linearizable",
      revision >= revisionMin && revision <= newest,
      () => `a list is of revision ${revision}, right is from ${revisionMin} to ${newest}`,
    );
    const expected = this.specification.pageAt(request, revision);
    promised(
      "not-linearizable",
      isSamePage(expected, page),
      () =>
        `a list ${JSON.stringify(request)} at revision ${revision} shows ${JSON.stringify(page)}, ` +
        `right is ${JSON.stringify(expected)}`,
    );
    this.#judged += 1;
    return expected;
  }

  /** A client was shown a record, without the revision at which it was read. */
  shown(key: string, record: ShownRecord | undefined, revisionMin: number): void {
    promised(
      "not-linearizable",
      this.specification.everHeld(key, record, revisionMin),
      () => `${key} was never ${show(record)} from revision ${revisionMin} on`,
    );
    this.#judged += 1;
  }

  /** A linearizable read sees all that was answered before it was begun. */
  readIsFresh(point: number, floor: number): void {
    promised(
      "not-linearizable",
      point >= floor,
      () => `a read was made at ${point}, it was begun after ${floor}`,
    );
    this.#seen = Math.max(this.#seen, point);
  }

  /** Snapshots of one index are equal on all nodes, and restore to what was saved. */
  snapshot(nodeId: number, index: number, hash: string): void {
    const known = this.#snapshots.get(index);
    promised(
      "state-mismatch",
      known === undefined || known === hash,
      () => `node ${nodeId} has another state at ${index} than others`,
    );
    this.#snapshots.set(index, hash);
  }

  /** How many there are after the newest entry. */
  get sessionCount(): number {
    return this.specification.sessionsAt(this.#lines.at(-1)?.entry.time ?? 0);
  }

  /** What the log entries above `from`, up to `through`, take as they are stored. */
  bytesBetween(from: number, through: number): number {
    let bytes = 0;
    for (let at = Math.max(0, from); at < through; at += 1) {
      bytes += this.#lines[at]?.entry.encoded?.length ?? 0;
    }
    return bytes;
  }

  /** Of an applied entry; undefined when nobody applied it yet. */
  termAt(index: number): number | undefined {
    return this.#lines[index - 1]?.entry.term;
  }

  /** The chain checksum of an applied entry; undefined when nobody applied it yet. */
  checksumAt(index: number): number | undefined {
    return this.#lines[index - 1]?.checksum;
  }

  /** Cluster time follows the leaders' clocks and nothing else (no wall clock after the first). */
  checkClusterTime(elapsedMs: number, rateMax: number): void {
    const first = this.#lines[0];
    const last = this.#lines.at(-1);
    if (first === undefined || last === undefined) return;
    const passedMs = last.entry.time - first.entry.time;
    const mostMs = elapsedMs * rateMax + CLUSTER_TIME_SLACK_MS * this.#leaders.size;
    require(passedMs <= mostMs, () =>
      `cluster time ran ${passedMs} ms in ${elapsedMs} ms, at most ${mostMs} are explained`);
  }

  /** Applies the whole log once more to a new machine: restoring and replaying are the same. */
  replay(): KvStateMachine {
    const machine = new KvStateMachine(this.#limits);
    machine.apply(
      this.#lines.map(({ entry }) => entry),
      () => {},
    );
    return machine;
  }

  #lineAt(index: number): Line {
    const line = this.#lines[index - 1];
    if (line === undefined) throw new Violation(`nobody applied ${index}`);
    return line;
  }
}

/** The request id in a command's header (server/kv/command-layout.ts). */
const REQUEST_ID_AT = 21;

function attemptIdOf(command: Uint8Array): number {
  const view = new DataView(command.buffer, command.byteOffset, command.byteLength);
  return view.getUint32(REQUEST_ID_AT, true) + 2 ** 32 * view.getUint32(REQUEST_ID_AT + 4, true);
}

function show(value: KvResult | ShownRecord | Intent | undefined): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
