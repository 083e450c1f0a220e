/**
 * Asks the other members for what a damaged disk lost, before this node takes any part in Raft: it
 * gives no vote and no acknowledgement until the session has ended.
 *
 * The session works in rounds. Each begins by asking who is there; then every hole is fetched from
 * its top down, each piece from the next member that has not declined it; what nobody holds as
 * entries, a snapshot may cover. It ends
 *
 * - `exact` when no hole is left and the end of the log is proven. Then nothing was forgotten: the
 *   node is what it was before. What a snapshot of a member replaces was committed, or was never
 *   going to be (section 7).
 * - `recovering` when the end of the log is not proven, or when what is missing will not be found:
 *   everybody who can be reached has declined it, and either a leader is known, who then holds all
 *   that was committed, or all voters have declined. What stands above such a hole is given up. No
 *   other member can need it: who does not miss the same entries has a snapshot that covers them,
 *   and while somebody has, this one waits for it.
 *
 * Waiting for a member that is being repaired itself ends: it waits, if at all, for somebody whose
 * snapshot is newer than its own.
 */
import type { Clock, Entry, Member, NodeId, Timer } from "../../raft/index.ts";
import type { LogBase, ReceivedSnapshot, SnapshotDescription } from "../../storage/index.ts";
import type { RepairAnswer, RepairRequest } from "../peer/index.ts";
import { type BrokenLog, type Hole, LOG_ORIGIN } from "./broken-log.ts";

const TICK_MS = 25;
/** How long a round waits for members to say that they are there. */
const GREETING_MS = 300;
const ANSWER_MS = 1_000;
/** A transfer is asked for again after this long, and given up after the other. */
const SNAPSHOT_AGAIN_MS = 2_000;
const SNAPSHOT_MS = 30_000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 1_000;

/** What the disk still holds. */
export interface Remains {
  readonly log: BrokenLog;
  /** Undefined when there never was one, and when it was lost: then all entries are missing. */
  readonly snapshot: SnapshotDescription | undefined;
  /** Nothing was promised beyond the last entry of the log. */
  readonly isTailKnown: boolean;
}

export interface RepairResult {
  readonly kind: "exact" | "recovering";
  /** Contiguous, and going on from the snapshot in force. */
  readonly entries: readonly Entry[];
  /** A member's snapshot that takes the place of the own one. */
  readonly received: ReceivedSnapshot | undefined;
}

export interface RepairProgress {
  readonly missingEntries: number;
  /** Members that answered in this round. */
  readonly helpers: readonly NodeId[];
}

export interface SessionPorts {
  readonly self: NodeId;
  /** They may become more. */
  readonly others: () => readonly Member[];
  readonly clock: Clock;
  readonly ask: (request: RepairRequest) => void;
  readonly discard: (received: ReceivedSnapshot) => void;
  /** A round has found all it could and goes on waiting. */
  readonly waiting: (progress: RepairProgress) => void;
  readonly done: (result: RepairResult) => void;
}

type Activity =
  | { readonly kind: "greeting"; readonly untilMs: number }
  | { readonly kind: "fetching"; readonly from: NodeId; readonly hole: Hole; untilMs: number }
  | {
      readonly kind: "receiving";
      readonly from: NodeId;
      readonly untilMs: number;
      againMs: number;
    }
  | { readonly kind: "pausing"; readonly untilMs: number }
  | { readonly kind: "over" };

export class RepairSession {
  readonly #ports: SessionPorts;
  readonly #remains: Remains;
  readonly #timer: Timer;
  /** The newest answer of this round from each member that is there. */
  readonly #helpers = new Map<NodeId, RepairAnswer>();
  /** Who does not hold the entry at the top of a hole. */
  readonly #declined = new Map<number, Set<NodeId>>();
  /** Whose snapshot did not arrive in this round. */
  readonly #unsent = new Set<NodeId>();
  #received: ReceivedSnapshot | undefined;
  #activity: Activity = { kind: "pausing", untilMs: 0 };
  #pauseMs = PAUSE_MS_MIN;

  constructor(ports: SessionPorts, remains: Remains) {
    this.#ports = ports;
    this.#remains = remains;
    this.#timer = ports.clock.every(TICK_MS, () => this.#tick());
  }

  get progress(): RepairProgress {
    let missingEntries = 0;
    for (const { first, last } of this.#holes()) missingEntries += last - first + 1;
    return { missingEntries, helpers: [...this.#helpers.keys()] };
  }

  answered(answer: RepairAnswer): void {
    if (this.#activity.kind === "over") return;
    if (!this.#ports.others().some(({ id }) => id === answer.from)) return;
    this.#helpers.set(answer.from, answer);
    // Also what comes late is proven before it is taken.
    const taken = this.#remains.log.offer(answer.entries);
    if (this.#activity.kind === "fetching") {
      const { from, hole } = this.#activity;
      if (from !== answer.from || hole.last !== answer.last) return;
      if (taken === 0) this.#decline(hole.last, from);
      this.#goOn();
    } else if (this.#activity.kind === "greeting") {
      if (this.#helpers.size === this.#ports.others().length) this.#goOn();
    }
  }

  snapshotReceived(received: ReceivedSnapshot): void {
    const { index } = received.description.metadata;
    if (this.#activity.kind === "over" || !this.#isOfUse(index)) {
      this.#ports.discard(received);
      return;
    }
    if (this.#received !== undefined) this.#ports.discard(this.#received);
    this.#received = received;
    this.#goOn();
  }

  /** Ends without a result. */
  cancel(): void {
    this.#activity = { kind: "over" };
    this.#timer.cancel();
  }

  // ---- Rounds ----------------------------------------------------------------------------------

  #tick(): void {
    const activity = this.#activity;
    if (activity.kind === "over") return;
    const nowMs = this.#ports.clock.now();
    if (activity.kind === "receiving" && nowMs >= activity.againMs) {
      activity.againMs = nowMs + SNAPSHOT_AGAIN_MS;
      this.#ask(activity.from, NOTHING, true);
    }
    if (nowMs < activity.untilMs) return;
    if (activity.kind === "pausing") {
      this.#greet(nowMs);
      return;
    }
    if (activity.kind === "fetching") this.#helpers.delete(activity.from);
    if (activity.kind === "receiving") this.#unsent.add(activity.from);
    this.#goOn();
  }

  #greet(nowMs: number): void {
    if (this.#end()) return;
    this.#helpers.clear();
    this.#declined.clear();
    this.#unsent.clear();
    this.#activity = { kind: "greeting", untilMs: nowMs + GREETING_MS };
    for (const { id } of this.#ports.others()) this.#ask(id, NOTHING, false);
  }

  /** The next step of the round. */
  #goOn(): void {
    if (this.#end() || this.#fetch() || this.#fetchSnapshot()) return;
    if (this.#isHopeless()) {
      this.#finish("recovering");
      return;
    }
    this.#ports.waiting(this.progress);
    this.#activity = { kind: "pausing", untilMs: this.#ports.clock.now() + this.#pauseMs };
    this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MS_MAX);
  }

  /** True when nothing is missing that could be asked for. */
  #end(): boolean {
    if (this.#holes().length > 0) return false;
    this.#finish(this.#remains.isTailKnown ? "exact" : "recovering");
    return true;
  }

  #fetch(): boolean {
    for (const hole of this.#holes()) {
      if (!this.#remains.log.isNamed(hole.last)) continue;
      const declined = this.#declined.get(hole.last);
      for (const from of this.#helpers.keys()) {
        if (declined?.has(from)) continue;
        this.#activity = { kind: "fetching", from, hole, untilMs: this.#now + ANSWER_MS };
        this.#ask(from, hole, false);
        return true;
      }
    }
    return false;
  }

  #fetchSnapshot(): boolean {
    let newest: RepairAnswer | undefined;
    for (const answer of this.#helpers.values()) {
      if (answer.state === "repairing" || this.#unsent.has(answer.from)) continue;
      if (!this.#isOfUse(answer.snapshotIndex)) continue;
      if (answer.snapshotIndex > (newest?.snapshotIndex ?? 0)) newest = answer;
    }
    if (newest === undefined) return false;
    const nowMs = this.#now;
    const { from } = newest;
    const untilMs = nowMs + SNAPSHOT_MS;
    this.#activity = { kind: "receiving", from, untilMs, againMs: nowMs + SNAPSHOT_AGAIN_MS };
    this.#ask(from, NOTHING, true);
    return true;
  }

  /** What is missing will not be found by asking again. */
  #isHopeless(): boolean {
    const answers = [...this.#helpers.values()];
    if (answers.some(({ state, hasLeader }) => state !== "repairing" && hasLeader)) return true;
    const isAnybodyAway = this.#ports
      .others()
      .some(({ id, role }) => role === "voter" && !this.#helpers.has(id));
    if (isAnybodyAway) return false;
    return !answers.some(({ snapshotIndex }) => this.#isOfUse(snapshotIndex));
  }

  #finish(kind: RepairResult["kind"]): void {
    this.cancel();
    const entries = this.#remains.log.runFrom(this.#base);
    this.#ports.done({ kind, entries, received: this.#received });
  }

  // ---- What is there ---------------------------------------------------------------------------

  /** Up to here, a snapshot takes the place of entries. */
  get #base(): LogBase {
    const description = this.#received?.description ?? this.#remains.snapshot;
    if (description === undefined) return LOG_ORIGIN;
    const { index, term, entryChecksum } = description.metadata;
    return { index, term, checksum: entryChecksum };
  }

  #holes(): readonly Hole[] {
    return this.#remains.log.holesAbove(this.#base.index);
  }

  /** Whether a snapshot of this index takes the place of something that is missing. */
  #isOfUse(index: number): boolean {
    const lowest = this.#holes().at(-1);
    return lowest !== undefined && index >= lowest.last && index > this.#base.index;
  }

  get #now(): number {
    return this.#ports.clock.now();
  }

  #decline(last: number, from: NodeId): void {
    const declined = this.#declined.get(last);
    if (declined === undefined) this.#declined.set(last, new Set([from]));
    else declined.add(from);
  }

  #ask(to: NodeId, { first, last }: Hole, wantsSnapshot: boolean): void {
    const from = this.#ports.self;
    this.#ports.ask({ kind: "repair-request", from, to, first, last, wantsSnapshot });
  }
}

/** A range without entries: the answer says only who answers. */
const NOTHING: Hole = { first: 1, last: 0 };
