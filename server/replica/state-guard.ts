/**
 * Keeps a replica with a wrong state from being believed (rule 12 of the design). Members take a
 * hash of their state at the same log indexes and report it to the leader, which compares.
 *
 * - Hashes are taken at fixed multiples of the index, and wherever the log comes to rest, so that a
 *   quiet cluster is compared as well.
 * - A member that the majority outvotes is told and fences itself: from then on it says nothing.
 *   What it had promised is on its disk and stays true; only its state is not to be shown.
 * - An outvoted leader answers nobody any more, hands leadership to a member of the majority, and
 *   then fences itself.
 * - Without a majority nobody knows who is right: no writes, no snapshots, and nobody gives up its
 *   state, until a hash has a majority.
 */
import type { Entry, LogIndex, MonotonicMs, NodeId, RaftNode } from "../../raft/index.ts";
import type { StateHash } from "../kv/index.ts";
import type { ReplicaMessage, StateReport, StateVerdict } from "../peer/index.ts";
import { HashComparison, type StatePoint } from "./hash-comparison.ts";
import type { ReplicaLog } from "./options.ts";

/** Hashes are taken after every entry whose index is a multiple of this. */
export const POINT_EVERY_ENTRIES = 1024;
/** A node that keeps coming to rest takes no more than one hash in this time. */
const REST_MS = 1_000;
/** The newest hash is reported again: a report, or the answer to one, may have been lost. */
const REPEAT_MS = 10_000;
const POINTS_MAX = 64;

/** What a fenced replica knew: its own hash, and that of the majority. */
export interface Divergence {
  readonly index: LogIndex;
  readonly own: string;
  readonly majority: string;
}

/** `outvoted` is a leader on its way out. */
export type Standing = "trusted" | "disputed" | "outvoted" | "fenced";

interface Leaving {
  readonly divergence: Divergence;
  readonly untilMs: MonotonicMs;
}

interface Parts {
  readonly node: RaftNode;
  readonly self: NodeId;
  /** How long an outvoted leader tries to hand over before it just falls silent. */
  readonly handOverMs: number;
  readonly log: ReplicaLog;
  readonly hash: () => StateHash;
  readonly tell: (message: ReplicaMessage) => void;
  readonly handOver: (nowMs: MonotonicMs, candidates: ReadonlySet<NodeId>) => void;
  /** Clients are to be refused, or not any more, according to the standing. */
  readonly standingChanged: () => void;
  readonly fence: (divergence: Divergence) => void;
}

export class StateGuard {
  readonly #parts: Parts;
  /** By rising index. */
  readonly #points = new Map<LogIndex, StateHash>();
  #newest: StatePoint | undefined;
  #restIndex: LogIndex = 0;
  #restedAtMs: MonotonicMs = 0;
  #comparison: HashComparison | undefined;
  #standing: Standing = "trusted";
  #leaving: Leaving | undefined;
  /** The leader that was last reported to, and when that is to be repeated. */
  #reportedTo: NodeId = 0;
  #reportedTerm = 0;
  #repeatAtMs: MonotonicMs = 0;
  #disputedIndex: LogIndex = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** After applying entries up to `index`, which end where `cutAtPoints` says. */
  applied(index: LogIndex, nowMs: MonotonicMs): void {
    if (index % POINT_EVERY_ENTRIES === 0) this.#takePoint(index, nowMs);
  }

  /** A snapshot took the place of the state: what was hashed before is not what is there now. */
  restored(): void {
    this.#points.clear();
    this.#newest = undefined;
  }

  tick(nowMs: MonotonicMs, appliedIndex: LogIndex): void {
    if (this.#standing === "fenced") return;
    if (this.#leaving !== undefined) {
      this.#leave(this.#leaving, nowMs);
      return;
    }
    this.#followLeadership(nowMs);
    const isAtRest = appliedIndex > 0 && appliedIndex === this.#restIndex;
    this.#restIndex = appliedIndex;
    if (isAtRest && appliedIndex !== this.#newest?.index && nowMs - this.#restedAtMs >= REST_MS) {
      this.#restedAtMs = nowMs;
      this.#takePoint(appliedIndex, nowMs);
    } else if (nowMs >= this.#repeatAtMs) {
      this.#report(nowMs);
    }
  }

  /** A member told what it has. */
  reported(message: StateReport, appliedIndex: LogIndex, nowMs: MonotonicMs): void {
    if (this.#standing === "fenced" || this.#leaving !== undefined) return;
    this.#followLeadership(nowMs);
    if (this.#comparison === undefined) return;
    const { from, index, hash } = message;
    if (index === appliedIndex && !this.#points.has(index)) this.#takePoint(index, nowMs);
    this.#comparison.report(from, { index, hash });
    this.#judge(index, nowMs);
  }

  /** The leader told what the majority has. */
  judged({ from, index, hash }: StateVerdict, nowMs: MonotonicMs): void {
    if (this.#standing === "fenced" || from !== this.#parts.node.leaderId) return;
    const own = this.#points.get(index);
    // Of another life of this node, or of another way of hashing.
    if (own === undefined || own.version !== hash.version || own.value === hash.value) return;
    this.#outvoted({ index, own: own.value, majority: hash.value }, nowMs);
  }

  // ---- Points and reports ----------------------------------------------------------------------

  #takePoint(index: LogIndex, nowMs: MonotonicMs): void {
    const point: StatePoint = { index, hash: this.#parts.hash() };
    this.#newest = point;
    this.#points.set(index, point.hash);
    for (const oldest of this.#points.keys()) {
      if (this.#points.size <= POINTS_MAX) break;
      this.#points.delete(oldest);
    }
    this.#report(nowMs);
  }

  #report(nowMs: MonotonicMs): void {
    const { node, self, tell } = this.#parts;
    const point = this.#newest;
    this.#repeatAtMs = nowMs + REPEAT_MS;
    if (point === undefined) return;
    if (this.#comparison !== undefined) {
      this.#comparison.report(self, point);
      this.#judge(point.index, nowMs);
    } else if (node.leaderId !== 0) {
      tell({ kind: "state-report", from: self, to: node.leaderId, ...point });
    }
  }

  /** A new leader starts with what it has itself; followers report to it anew. */
  #followLeadership(nowMs: MonotonicMs): void {
    const { node, self } = this.#parts;
    const leader = node.role === "leader" ? self : node.leaderId;
    if (leader === this.#reportedTo && node.term === this.#reportedTerm) return;
    this.#reportedTo = leader;
    this.#reportedTerm = node.term;
    this.#comparison = undefined;
    if (leader === self) {
      this.#comparison = new HashComparison(this.#parts.hash().version);
      for (const [index, hash] of this.#points) this.#comparison.report(self, { index, hash });
    } else if (this.#standing === "disputed") {
      // Whoever leads now finds it out as well, and refuses in this node's place.
      this.#stand("trusted");
    }
    this.#report(nowMs);
  }

  // ---- Judging ---------------------------------------------------------------------------------

  #judge(index: LogIndex, nowMs: MonotonicMs): void {
    const comparison = this.#comparison;
    if (comparison === undefined) return;
    const { self, tell } = this.#parts;
    const voters = this.#voters();
    const judgement = comparison.judge(index, voters);
    if (judgement.kind === "settled") {
      const { value, minority } = judgement;
      const hash = { version: this.#parts.hash().version, value };
      for (const id of minority) {
        if (id !== self) tell({ kind: "state-verdict", from: self, to: id, index, hash });
      }
      const own = this.#points.get(index)?.value;
      if (own !== undefined && minority.includes(self)) {
        this.#outvoted({ index, own, majority: value }, nowMs);
        return;
      }
    }
    this.#considerDispute(comparison, voters);
  }

  /** A dispute ends when a hash has a majority at the same index or a later one. */
  #considerDispute(comparison: HashComparison, voters: readonly NodeId[]): void {
    const { log } = this.#parts;
    const { index, judgement } = comparison.newest(voters);
    if (judgement.kind === "settled" && this.#standing === "disputed") {
      log.warn({ index }, "a majority of the replicas agrees again: taking writes");
      this.#stand("trusted");
    }
    if (judgement.kind !== "disputed") return;
    if (this.#standing === "disputed" && index === this.#disputedIndex) return;
    this.#disputedIndex = index;
    const message = "the replicas' states differ and none has a majority: refusing writes";
    log.error({ index, hashes: judgement.reports }, message);
    this.#stand("disputed");
  }

  #outvoted(divergence: Divergence, nowMs: MonotonicMs): void {
    const { node, log, handOverMs } = this.#parts;
    log.error({ ...divergence }, "this replica's state is not that of the majority");
    this.#leaving = { divergence, untilMs: nowMs + handOverMs };
    this.#stand("outvoted");
    if (node.role !== "leader") this.#fence(divergence);
    else this.#leave(this.#leaving, nowMs);
  }

  #leave(leaving: Leaving, nowMs: MonotonicMs): void {
    const { node, self, handOver } = this.#parts;
    if (node.role !== "leader" || nowMs >= leaving.untilMs) {
      this.#fence(leaving.divergence);
      return;
    }
    const { index } = leaving.divergence;
    const voters = this.#voters();
    const judgement = this.#comparison?.judge(index, voters);
    const minority = judgement?.kind === "settled" ? judgement.minority : [self];
    handOver(nowMs, new Set(voters.filter((id) => !minority.includes(id))));
  }

  #fence(divergence: Divergence): void {
    this.#stand("fenced");
    this.#parts.log.error({ ...divergence }, "fenced: no votes, no acknowledgements, no answers");
    this.#parts.fence(divergence);
  }

  #stand(standing: Standing): void {
    this.#standing = standing;
    this.#parts.standingChanged();
  }

  #voters(): readonly NodeId[] {
    const { members } = this.#parts.node.configuration;
    return members.filter(({ role }) => role === "voter").map(({ id }) => id);
  }
}

/** In pieces that end where a hash is due, so that every replica takes it of the same state. */
export function cutAtPoints(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const firstIndex = entries[0]?.index ?? 0;
  const untilPoint = POINT_EVERY_ENTRIES - ((firstIndex - 1) % POINT_EVERY_ENTRIES);
  // Nearly always, so it should cost nothing.
  if (entries.length <= untilPoint) return [entries];
  const pieces: (readonly Entry[])[] = [];
  let from = 0;
  for (const [at, { index }] of entries.entries()) {
    if (index % POINT_EVERY_ENTRIES !== 0) continue;
    pieces.push(entries.slice(from, at + 1));
    from = at + 1;
  }
  if (from < entries.length) pieces.push(entries.slice(from));
  return pieces;
}
