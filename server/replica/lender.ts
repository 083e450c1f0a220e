/**
 * Answers members that repair a damaged disk, from what a running node holds.
 *
 * Invariant: at most one snapshot is on its way to a member because it asked for one, and the core
 * hears nothing of that transfer: it did not start it.
 */
import { NO_NODE, type NodeId, type RaftNode } from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import type { RepairAnswer, RepairRequest, Transport } from "../peer/index.ts";
import { lendEntries } from "./lend-entries.ts";
import type { ReplicaLog } from "./options.ts";

/**
 * Of the envelope that a lent snapshot travels in. Who lends is not the leader of any term, and
 * what comes late finds the member at work again: its core must not take it for a leader's.
 */
export const LENT_TERM = 0;

interface Parts {
  readonly node: Pick<RaftNode, "entry" | "isRecovering" | "leaderId">;
  readonly storage: Pick<Storage, "snapshot" | "openSnapshot">;
  readonly self: NodeId;
  readonly log: ReplicaLog;
  /** False while the state, and with it the snapshot, may be wrong: it is kept to itself then. */
  readonly trustsState: () => boolean;
}

type Wire<Result> = Pick<Transport<Result>, "tell" | "sendSnapshot">;

export class Lender<Result> {
  readonly #parts: Parts;
  readonly #sendingTo = new Set<NodeId>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  asked(request: RepairRequest, transport: Wire<Result>): void {
    transport.tell(this.#answer(request));
    if (request.wantsSnapshot) this.#sendSnapshot(request.from, transport);
  }

  /** True when the transfer that ended was one of these. */
  snapshotSent(to: NodeId): boolean {
    return this.#sendingTo.delete(to);
  }

  #answer(request: RepairRequest): RepairAnswer {
    const { node, storage, self, trustsState } = this.#parts;
    const snapshot = trustsState() ? storage.snapshot : undefined;
    return {
      kind: "repair-answer",
      from: self,
      to: request.from,
      last: request.last,
      entries: lendEntries(request, (index) => node.entry(index)),
      state: node.isRecovering ? "recovering" : "running",
      // Who asks may be the leader this node has not missed yet.
      hasLeader: node.leaderId !== NO_NODE && node.leaderId !== request.from,
      snapshotIndex: snapshot?.metadata.index ?? 0,
    };
  }

  #sendSnapshot(to: NodeId, transport: Wire<Result>): void {
    const { node, storage, self, log, trustsState } = this.#parts;
    if (this.#sendingTo.has(to) || !trustsState()) return;
    const source = storage.openSnapshot();
    if (source === undefined) return;
    const { metadata } = source.description;
    this.#sendingTo.add(to);
    log.info({ to, index: metadata.index }, "sending a snapshot to a member that lost its own");
    const message = { kind: "install-snapshot", metadata } as const;
    const { isRecovering } = node;
    const { group } = metadata;
    const term = LENT_TERM;
    transport.sendSnapshot({ group, from: self, to, term, isRecovering, message }, source);
  }
}
