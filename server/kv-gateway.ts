/** The key-value store on its replica, as the protocols see it. */
import type { Member } from "../raft/index.ts";
import type { Storage } from "../storage/index.ts";
import type {
  Gateway,
  NodeState,
  ReadOutcome,
  ReadRequest,
  ReplicaStatus,
  WriteOutcome,
} from "./gateway.ts";
import type { KvReader, KvResult, KvStateMachine } from "./kv/index.ts";
import type { Standing } from "./replica/state-guard.ts";
import type { Replica } from "./replica.ts";

export class KvGateway implements Gateway {
  readonly #machine: KvStateMachine;
  readonly #replica: Replica<KvResult>;
  readonly #storage: Storage;

  constructor(replica: Replica<KvResult>, machine: KvStateMachine, storage: Storage) {
    this.#replica = replica;
    this.#machine = machine;
    this.#storage = storage;
  }

  get reader(): KvReader {
    return this.#machine;
  }

  submit(command: Uint8Array, forward: boolean, done: (outcome: WriteOutcome) => void): void {
    this.#replica.submit(command, forward, done);
  }

  read(request: ReadRequest, done: (outcome: ReadOutcome) => void): void {
    this.#replica.read(request, done);
  }

  leader(): Member | undefined {
    return this.#replica.leader;
  }

  isReady(): boolean {
    return this.#replica.isReady;
  }

  status(): ReplicaStatus {
    const raft = this.#replica.raft;
    const { identity, statistics, snapshot } = this.#storage;
    return {
      nodeId: identity.nodeId,
      incarnation: identity.incarnation,
      clusterId: identity.clusterId,
      state: stateOf(raft.isRecovering, this.#replica.standing),
      repair: undefined,
      role: raft.role,
      term: raft.term,
      leaderId: raft.leaderId,
      commitIndex: raft.commitIndex,
      lastApplied: raft.appliedIndex,
      lastLogIndex: raft.lastIndex,
      snapshotIndex: snapshot?.metadata.index ?? 0,
      hash: this.#machine.hash,
      revision: this.#machine.revision,
      clusterTime: this.#replica.clusterTime,
      members: raft.configuration.members,
      progress: raft.progress,
      storage: statistics,
      uptimeMs: this.#replica.uptimeMs,
      caughtUp: this.#replica.isCaughtUp,
      stopping: this.#replica.isStopping,
    };
  }
}

function stateOf(isRecovering: boolean, standing: Standing): NodeState {
  if (standing === "disputed") return "disputed";
  if (standing !== "trusted") return "fenced";
  return isRecovering ? "recovering" : "running";
}
