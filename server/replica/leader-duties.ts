/**
 * What only a leader does on a tick, besides what the algorithm itself asks for: give way when its
 * disk is full, and carry cluster time forward when something is due.
 */
import type {
  LogIndex,
  MonotonicMs,
  NodeId,
  RaftNode,
  RaftStatus,
  Term,
} from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import type { ReplicatedMachine } from "./options.ts";

type Leader = Pick<
  RaftNode,
  "role" | "term" | "lastIndex" | "clusterTime" | "proposeTime" | "transferLeadership"
> & { status(): Pick<RaftStatus, "id" | "progress"> };

interface Parts<Result> {
  readonly node: Leader;
  readonly storage: Pick<Storage, "hasRoom">;
  readonly machine: Pick<ReplicatedMachine<Result>, "nextDeadline">;
  /** There is a connection to that member now. */
  readonly isLinked: (id: NodeId) => boolean;
}

export class LeaderDuties<Result> {
  readonly #parts: Parts<Result>;
  #timeIndex: LogIndex = 0;
  /** The term in which it began to give way; 0 while there is room. */
  #gaveWayIn: Term = 0;

  constructor(parts: Parts<Result>) {
    this.#parts = parts;
  }

  tick(nowMs: MonotonicMs, appliedIndex: LogIndex): void {
    const { node, storage } = this.#parts;
    const hasRoom = storage.hasRoom(0);
    if (hasRoom) this.#gaveWayIn = 0;
    if (node.role !== "leader") return;
    if (hasRoom) this.#carryTime(nowMs, appliedIndex);
    else this.#giveWay(nowMs);
  }

  /**
   * In one term for each time the disk is full: every election takes space from all logs, and when
   * all disks are full, leadership that went round and round would use up what elections need. By
   * the term, because it may come back within a tick.
   */
  #giveWay(nowMs: MonotonicMs): void {
    const { term } = this.#parts.node;
    if (this.#gaveWayIn === 0) this.#gaveWayIn = term;
    if (this.#gaveWayIn === term) this.handOver(nowMs);
  }

  /** Asks the voter, of these, that is furthest along and can be reached to take over (3.10). */
  handOver(nowMs: MonotonicMs, candidates?: ReadonlySet<NodeId>): void {
    const { node, isLinked } = this.#parts;
    if (node.role !== "leader") return;
    const { progress, id: self } = node.status();
    let best: { readonly id: number; readonly matchIndex: number } | undefined;
    for (const peer of progress) {
      if (peer.id === self || peer.role !== "voter" || !isLinked(peer.id)) continue;
      if (candidates?.has(peer.id) === false) continue;
      if (best === undefined || peer.matchIndex > best.matchIndex) best = peer;
    }
    if (best !== undefined) node.transferLeadership(best.id, nowMs);
  }

  /** One time entry at a time, when a deadline is due and no other entry brought the time. */
  #carryTime(nowMs: MonotonicMs, appliedIndex: LogIndex): void {
    const { node, machine } = this.#parts;
    const deadline = machine.nextDeadline();
    if (deadline === undefined || deadline > node.clusterTime(nowMs)) return;
    if (this.#timeIndex > appliedIndex && this.#timeIndex <= node.lastIndex) return;
    const proposed = node.proposeTime(nowMs);
    if (proposed.kind === "appended") this.#timeIndex = proposed.id.index;
  }
}
