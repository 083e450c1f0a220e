/** The key-value store on its replica, as the protocols see it. */
import type { Member } from "../raft/index.ts";
import type { Storage } from "../storage/index.ts";
import type { Gateway, ReadOutcome, ReadRequest, ReplicaStatus, WriteOutcome } from "./gateway.ts";
import type { KvReader, KvResult } from "./kv/index.ts";
import type { Replica } from "./replica.ts";

export class KvGateway implements Gateway {
  readonly reader: KvReader;
  readonly #replica: Replica<KvResult>;
  readonly #storage: Storage;

  constructor(replica: Replica<KvResult>, reader: KvReader, storage: Storage) {
    this.#replica = replica;
    this.reader = reader;
    this.#storage = storage;
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
      role: raft.role,
      term: raft.term,
      leaderId: raft.leaderId,
      commitIndex: raft.commitIndex,
      lastApplied: raft.appliedIndex,
      lastLogIndex: raft.lastIndex,
      snapshotIndex: snapshot?.metadata.index ?? 0,
      revision: this.reader.revision,
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
