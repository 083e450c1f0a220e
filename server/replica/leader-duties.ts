/**
 * What only a leader does on a tick, besides what the algorithm itself asks for: give way when its
 * disk is full, and carry cluster time forward when something is due.
 */
import type { LogIndex, MonotonicMs, NodeId, RaftNode } from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import type { ReplicatedMachine } from "./options.ts";

interface Parts<Result> {
  readonly node: RaftNode;
  readonly storage: Storage;
  readonly machine: ReplicatedMachine<Result>;
  /** There is a connection to that member now. */
  readonly isLinked: (id: NodeId) => boolean;
}

export class LeaderDuties<Result> {
  readonly #parts: Parts<Result>;
  #timeIndex: LogIndex = 0;

  constructor(parts: Parts<Result>) {
    this.#parts = parts;
  }

  tick(nowMs: MonotonicMs, appliedIndex: LogIndex): void {
    const { node, storage } = this.#parts;
    if (node.role !== "leader") return;
    if (!storage.hasRoom(0)) this.handOver(nowMs);
    this.#carryTime(nowMs, appliedIndex);
  }

  /** Asks the voter that is furthest along, and can be reached, to take over (thesis 3.10). */
  handOver(nowMs: MonotonicMs): void {
    const { node, isLinked } = this.#parts;
    if (node.role !== "leader") return;
    const { progress, id: self } = node.status();
    let best: { readonly id: number; readonly matchIndex: number } | undefined;
    for (const peer of progress) {
      if (peer.id === self || peer.role !== "voter" || !isLinked(peer.id)) continue;
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
