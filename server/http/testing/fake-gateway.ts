/**
 * A Gateway without a cluster: commands apply at once to a real state machine, and outcomes that
 * only a cluster can bring about are asked for by setting the fields below.
 */
import type { Entry, Member } from "../../../raft/index.ts";
import type {
  Gateway,
  ReadOutcome,
  ReadRequest,
  ReplicaStatus,
  WriteOutcome,
} from "../../gateway.ts";
import { type KvResult, KvStateMachine } from "../../kv/index.ts";

export const LEADER: Member = {
  id: 2,
  incarnation: 1,
  role: "voter",
  peerAddress: "127.0.0.1:9002",
  clientAddress: "127.0.0.1:8002",
};

export class FakeGateway implements Gateway {
  readonly reader = new KvStateMachine();
  /** Commands that arrived, applied or not. */
  submitted = 0;
  lastForward: boolean | undefined;
  lastRead: ReadRequest | undefined;
  /** Given to every write instead of applying it. */
  writeOutcome: WriteOutcome | undefined;
  /** Given to every read instead of granting it. */
  readOutcome: ReadOutcome | undefined;
  /** While set, writes are applied only by `release`. */
  isHolding = false;
  ready = true;
  currentLeader: Member | undefined = LEADER;
  statusOverrides: Partial<ReplicaStatus> = {};
  readonly #held: (() => void)[] = [];
  #index = 0;

  submit(command: Uint8Array, forward: boolean, done: (outcome: WriteOutcome) => void): void {
    this.submitted += 1;
    this.lastForward = forward;
    if (this.writeOutcome !== undefined) done(this.writeOutcome);
    else if (this.isHolding) this.#held.push(() => this.#apply(command, done));
    else queueMicrotask(() => this.#apply(command, done));
  }

  release(): void {
    for (const run of this.#held.splice(0)) run();
  }

  read(request: ReadRequest, done: (outcome: ReadOutcome) => void): void {
    this.lastRead = request;
    const granted: ReadOutcome = {
      kind: "granted",
      used: request.consistency === "stale" ? "stale" : "read-index",
    };
    const outcome = this.readOutcome ?? granted;
    // A stale read is granted at once, a linearizable one after a round.
    if (request.consistency === "stale") done(outcome);
    else queueMicrotask(() => done(outcome));
  }

  status(): ReplicaStatus {
    return {
      nodeId: 1,
      incarnation: 1,
      clusterId: "test",
      state: "running",
      repair: undefined,
      role: "follower",
      term: 3,
      leaderId: this.currentLeader?.id ?? 0,
      commitIndex: this.#index,
      lastApplied: this.#index,
      lastLogIndex: this.#index,
      snapshotIndex: 0,
      hash: { version: 1, value: "0123456789abcdef" },
      revision: this.reader.revision,
      clusterTime: 1_000,
      members: [LEADER],
      progress: [],
      storage: {
        fsyncs: 0,
        batches: 0,
        bytesWritten: 0,
        segments: 1,
        logBytes: 0,
        snapshotBytes: 0,
      },
      uptimeMs: 12.5,
      caughtUp: true,
      stopping: false,
      ...this.statusOverrides,
    };
  }

  leader(): Member | undefined {
    return this.currentLeader;
  }

  isReady(): boolean {
    return this.ready;
  }

  #apply(data: Uint8Array, done: (outcome: WriteOutcome) => void): void {
    this.#index += 1;
    const entry: Entry = {
      type: "command",
      group: 0,
      term: 3,
      index: this.#index,
      time: 1_000,
      data,
    };
    this.reader.apply([entry], (_entry, result: KvResult) => done({ kind: "applied", result }));
  }
}
