/**
 * Changes of the membership that wait for their commit. The core decides whether one may be
 * proposed (thesis 4.1, 4.2); here is only who is told what came of it.
 *
 * Invariant: every callback is called exactly once. "Committed" and "refused" are certain; a change
 * whose leader lost its place is neither before an entry is applied at its index, or behind it one
 * of a later term (Log Matching, section 5.3). When no such entry comes in time, it is unknown.
 */
import type {
  ConfChange,
  ConfChangeRefusal,
  Entry,
  LogIndex,
  Member,
  MonotonicMs,
  NodeId,
  RaftNode,
  RaftStatus,
  Term,
} from "../../raft/index.ts";

export type MembershipRefusal =
  | ConfChangeRefusal
  | "not-leader"
  | "transferring"
  | "overloaded"
  | "disk-full"
  | "stopping"
  /** Its state is not known to be right (replica/state-guard.ts). */
  | "distrusted"
  /** It was appended, and another leader's entry took its place. */
  | "overwritten"
  /** Too few of those that would vote are known to be there. */
  | "majority-away";

export type MembershipOutcome =
  | { readonly kind: "committed"; readonly index: LogIndex }
  | {
      readonly kind: "refused";
      readonly reason: MembershipRefusal;
      readonly leader: Member | undefined;
    }
  /** It may have been committed, or be committed later. */
  | { readonly kind: "unknown" };

interface Parts {
  readonly node: Pick<RaftNode, "proposeConfChange" | "role"> & {
    status(): Pick<RaftStatus, "id" | "configuration" | "progress">;
  };
  readonly timeoutMs: number;
  readonly leader: () => Member | undefined;
  /** Why this replica takes no change now, whatever the core says. */
  readonly refusal: () => MembershipRefusal | undefined;
}

interface Pending {
  readonly index: LogIndex;
  readonly term: Term;
  readonly deadlineMs: MonotonicMs;
  readonly done: (outcome: MembershipOutcome) => void;
}

export class MembershipChanges {
  readonly #parts: Parts;
  /** One that was left behind by a lost leadership may still wait beside the newest. */
  #pending: Pending[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  propose(
    change: ConfChange,
    nowMs: MonotonicMs,
    done: (outcome: MembershipOutcome) => void,
  ): void {
    const { node, timeoutMs, refusal } = this.#parts;
    const isLeader = node.role === "leader";
    const isRisky = isLeader && !leavesMajority(node.status(), change);
    const reason = refusal() ?? (isRisky ? "majority-away" : undefined);
    if (reason !== undefined) {
      done(this.#refused(reason));
      return;
    }
    const proposed = node.proposeConfChange(change, nowMs);
    if (proposed.kind === "appended") {
      this.#pending.push({ ...proposed.id, deadlineMs: nowMs + timeoutMs, done });
    } else {
      done(this.#refused(proposed.kind === "refused" ? proposed.reason : proposed.kind));
    }
  }

  applied(entries: readonly Entry[]): void {
    if (this.#pending.length === 0) return;
    const lastTerm = entries.at(-1)?.term ?? 0;
    this.#settle(({ index, term }) => {
      const applied = entries.find((entry) => entry.index === index);
      if (applied?.term === term) return { kind: "committed", index };
      const isOvertaken = applied !== undefined || lastTerm > term;
      return isOvertaken ? this.#refused("overwritten") : undefined;
    });
  }

  /** What happened on the way to the state of a snapshot is not known. */
  snapshotInstalled(through: LogIndex): void {
    this.#settle(({ index }) => (index <= through ? UNKNOWN : undefined));
  }

  expire(nowMs: MonotonicMs): void {
    if (this.#pending.length === 0) return;
    this.#settle(({ deadlineMs }) => (deadlineMs <= nowMs ? UNKNOWN : undefined));
  }

  /** The replica ends. */
  abandon(): void {
    this.#settle(() => UNKNOWN);
  }

  #settle(outcomeOf: (pending: Pending) => MembershipOutcome | undefined): void {
    for (const pending of this.#pending.splice(0)) {
      const outcome = outcomeOf(pending);
      if (outcome === undefined) this.#pending.push(pending);
      else pending.done(outcome);
    }
  }

  #refused(reason: MembershipRefusal): MembershipOutcome {
    return { kind: "refused", reason, leader: this.#parts.leader() };
  }
}

/**
 * True when most of those who would vote are heard and hold a part of the log. A leader that
 * removes one of the few that are there can not commit that any more, and leads no longer; and who
 * never held an entry gives no vote to help it out (replica/bootstrap.ts).
 */
function leavesMajority(
  { id: self, configuration, progress }: Pick<RaftStatus, "id" | "configuration" | "progress">,
  change: ConfChange,
): boolean {
  if (change.kind !== "promote" && change.kind !== "remove") return true;
  const isKept = (id: NodeId) => change.kind !== "remove" || id !== change.id;
  const isRaised = (id: NodeId) => change.kind === "promote" && id === change.id;
  const voters = configuration.members.filter(
    ({ id, role }) => isRaised(id) || (role === "voter" && isKept(id)),
  );
  const able = voters.filter(({ id }) => {
    const peer = progress.find((candidate) => candidate.id === id);
    // Whether the one that is raised has caught up is for the core to judge.
    return id === self || isRaised(id) || (peer?.active === true && peer.matchIndex > 0);
  });
  return voters.length === 0 || 2 * able.length > voters.length;
}

const UNKNOWN = { kind: "unknown" } as const;
