/** What clients are told while this node repairs its log: that it is there, and serves nothing. */
import { basename } from "node:path";
import type { Clock, Member } from "../raft/index.ts";
import type { DamageSurvey } from "../storage/index.ts";
import type { Gateway, ReadOutcome, ReadRequest, ReplicaStatus, WriteOutcome } from "./gateway.ts";
import { type KvReader, KvStateMachine } from "./kv/index.ts";
import type { RepairingReplica } from "./replica/repairing-replica.ts";

const REASON = { reason: "repairing", leader: undefined } as const;
/** Enough for a person to see what happened. */
const PLACES_MAX = 16;

export class RepairGateway<Result> implements Gateway {
  /** Empty, and never read: nothing is granted. */
  readonly reader: KvReader = new KvStateMachine();
  readonly #survey: DamageSurvey;
  readonly #replica: RepairingReplica<Result>;
  readonly #clock: Clock;
  readonly #startedAtMs: number;

  constructor(survey: DamageSurvey, replica: RepairingReplica<Result>, clock: Clock) {
    this.#survey = survey;
    this.#replica = replica;
    this.#clock = clock;
    this.#startedAtMs = clock.now();
  }

  submit(_command: Uint8Array, _forward: boolean, done: (outcome: WriteOutcome) => void): void {
    done({ kind: "not-applied", ...REASON });
  }

  read(_request: ReadRequest, done: (outcome: ReadOutcome) => void): void {
    done({ kind: "refused", ...REASON });
  }

  leader(): Member | undefined {
    return undefined;
  }

  isReady(): boolean {
    return false;
  }

  status(): ReplicaStatus {
    const { identity, hardState, places, snapshot, prefix, snapshotBytes } = this.#survey;
    return {
      nodeId: identity.nodeId,
      incarnation: identity.incarnation,
      clusterId: identity.clusterId,
      state: "repairing",
      repair: {
        damage: places.slice(0, PLACES_MAX).map(({ file, offset }) => ({
          file: basename(file),
          offset,
        })),
        ...this.#replica.progress,
      },
      role: "follower",
      term: hardState.term,
      leaderId: 0,
      commitIndex: hardState.commitIndex,
      lastApplied: 0,
      lastLogIndex: prefix.at(-1)?.index ?? 0,
      snapshotIndex: snapshot?.metadata.index ?? 0,
      hash: { version: 0, value: "" },
      revision: 0,
      clusterTime: 0,
      members: this.#replica.configuration.members,
      progress: [],
      storage: { ...NOTHING_STORED, snapshotBytes },
      uptimeMs: this.#clock.now() - this.#startedAtMs,
      caughtUp: false,
      stopping: false,
    };
  }
}

const NOTHING_STORED = { fsyncs: 0, batches: 0, bytesWritten: 0, segments: 0, logBytes: 0 };
