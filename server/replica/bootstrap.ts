/**
 * Who the members really are (rule 8 of the design).
 *
 * A first configuration knows no incarnations; the leader records them, one change at a time, as
 * it meets its peers, so that a wiped disk is refused under its old name from then on. And a node
 * with an empty log does not vote once it met a member that has a past: it may be a wiped disk
 * that has forgotten its own.
 */
import {
  type Configuration,
  NO_NODE,
  type RaftNode,
  type RestoredState,
} from "../../raft/index.ts";
import type { PeerInfo } from "../peer/index.ts";

export class Bootstrap {
  readonly #node: RaftNode;
  readonly #self: { readonly id: number; readonly incarnation: number };
  readonly #peers = new Map<number, PeerInfo>();
  readonly #graceEndsMs: number;
  readonly #remember: (done: () => void) => void;
  #mayVote: boolean;

  /** `remember` makes durable that this node may vote, so that no later start asks again. */
  constructor(
    node: RaftNode,
    self: { readonly id: number; readonly incarnation: number },
    mayVote: boolean,
    graceEndsMs: number,
    remember: (done: () => void) => void,
  ) {
    this.#node = node;
    this.#self = self;
    this.#graceEndsMs = graceEndsMs;
    this.#mayVote = mayVote;
    this.#remember = remember;
  }

  peerUp(info: PeerInfo): void {
    this.#peers.set(info.id, info);
  }

  tick(nowMs: number): void {
    if (!this.#mayVote) this.#considerVoting(nowMs);
    if (this.#node.role === "leader") this.#identifyOne(nowMs);
  }

  #considerVoting(nowMs: number): void {
    const hasLog = this.#node.lastIndex > 0;
    if (!hasLog) {
      const others = this.#node.configuration.members.filter(({ id }) => id !== this.#self.id);
      const known = others.map(({ id }) => this.#peers.get(id));
      if (known.some((peer) => peer !== undefined && !peer.fresh)) return;
      if (known.some((peer) => peer === undefined) && nowMs < this.#graceEndsMs) return;
    }
    this.#mayVote = true;
    this.#remember(() => this.#node.allowVoting());
  }

  #identifyOne(nowMs: number): void {
    for (const { id, incarnation: recorded } of this.#node.configuration.members) {
      const incarnation = this.#incarnationOf(id);
      if (recorded !== 0 || incarnation === undefined) continue;
      // A refusal (a change under way, no commit of the own term yet) is tried again next tick.
      this.#node.proposeConfChange({ kind: "identify", id, incarnation }, nowMs);
      return;
    }
  }

  #incarnationOf(id: number): number | undefined {
    return id === this.#self.id ? this.#self.incarnation : this.#peers.get(id)?.incarnation;
  }
}

/**
 * A disk that holds a log, or the vote its node once gave, has been through the questions above,
 * as has one that remembers the answer (`Storage.mayVote`). When everybody stops between the first
 * election and its first commit, only the leader's disk holds an entry, and the others, whose vote
 * a later term may have wiped out, must be able to elect it again.
 */
export function mayVoteAtOnce({ entries, snapshot, hardState }: RestoredState): boolean {
  return entries.length > 0 || snapshot !== undefined || hardState.vote !== NO_NODE;
}

/** Whether a caller may speak as this member: the handshake's question. */
export function checkMember(
  configuration: Configuration,
  id: number,
  incarnation: number,
): "member" | "unknown" | "wrong-incarnation" {
  const member = configuration.members.find((candidate) => candidate.id === id);
  if (member === undefined) return "unknown";
  if (member.incarnation !== 0 && member.incarnation !== incarnation) return "wrong-incarnation";
  return "member";
}
