/** From the options of a replica to those of its RaftNode. */
import { DEFAULT_RAFT_CONFIG, type RaftConfig } from "../../raft/index.ts";
import type { ReplicaOptions } from "./options.ts";

export function raftConfig<Result>(options: ReplicaOptions<Result>, canVote: boolean): RaftConfig {
  const { timing, storage, initialConfiguration, initialTime } = options;
  return {
    ...DEFAULT_RAFT_CONFIG,
    id: storage.identity.nodeId,
    initialConfiguration,
    initialTime,
    tickMs: timing.tickMs,
    heartbeatMs: timing.heartbeatMs,
    electionTimeoutMs: timing.electionTimeoutMs,
    leaseDriftBound: timing.leaseDriftBound,
    // A fresh node asks around first (replica/bootstrap.ts).
    canVote,
    isRecovering: storage.isRecovering,
  };
}
