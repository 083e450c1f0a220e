/**
 * The only door of raft/. `RaftNode` (node.ts) is the algorithm; `Ready` (ready.ts) is what a host
 * has to do for it; ports.ts is what a host lends a replica. Inside, a message goes through
 * dispatch.ts to the file of the role that deals with it.
 *
 * Where the paper and the thesis are in the code: elections 5.2, 5.4.1, thesis 4.2.3 and 9.6 in
 * voting, candidate and transitions; replication 5.3 in replication, progress and follower; commit
 * 5.4.2 in leader; snapshots section 7 in log and follower; linearizable reads thesis 6.4 in
 * read-index; membership thesis 4 in membership, configuration-history and proposing; leadership
 * transfer thesis 3.10 in leader. What the paper leaves out, a member whose disk lost a part of
 * its log, is in recovering.
 */
export { assert, InvariantError, unreachable } from "./assert.ts";
export { DEFAULT_RAFT_CONFIG, type RaftConfig, validateRaftConfig } from "./config.ts";
export type { IndexedConfiguration } from "./configuration-history.ts";
export type { TransferStarted } from "./leader.ts";
export { entryBytes } from "./log.ts";
export type { ConfChange } from "./membership.ts";
export type * from "./message.ts";
export { RaftNode, type ReadRequested } from "./node.ts";
export type * from "./ports.ts";
export type { ConfChangeProposed, ConfChangeRefusal, Proposed } from "./proposing.ts";
export type { Election } from "./quorum.ts";
export { type Random, SeededRandom } from "./random.ts";
export type { ReadState, Ready } from "./ready.ts";
export type { ProgressStatus, RaftStatus } from "./status.ts";
export * from "./types.ts";
