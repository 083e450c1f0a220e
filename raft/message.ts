/**
 * Everything one node says to another: one-way envelopes. An answer is just another message, so a
 * lost answer is just a lost message. RequestVote and AppendEntries are those of Figure 2.
 */
import type { Entry, GroupId, LogIndex, NodeId, SnapshotMetadata, Term } from "./types.ts";

/**
 * Asks for a vote (section 5.2), or in the `pre-vote` phase whether one would be given
 * (thesis 9.6). A pre-vote envelope carries the term the sender would campaign in, which nobody
 * adopts. `transfer` marks an election the leader asked for (thesis 3.10): it overrides
 * leader stickiness.
 */
export interface RequestVote {
  readonly kind: "request-vote";
  readonly phase: "pre-vote" | "vote";
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
  readonly transfer: boolean;
}

export interface RequestVoteResponse {
  readonly kind: "request-vote-response";
  readonly phase: "pre-vote" | "vote";
  readonly granted: boolean;
}

/** Entries right after (prevLogIndex, prevLogTerm); an empty list is a probe or a commit notice. */
export interface AppendEntries {
  readonly kind: "append-entries";
  readonly prevLogIndex: LogIndex;
  readonly prevLogTerm: Term;
  readonly commitIndex: LogIndex;
  readonly entries: readonly Entry[];
}

/**
 * `accepted`: the sender's log matches the leader's up to and including `matchIndex`, durably.
 * `rejected`: it does not hold `prevLogIndex`; `hintIndex`/`hintTerm` say where the leader should
 * look next (section 5.3, fast back-up over whole conflicting terms).
 */
export type AppendEntriesResponse =
  | {
      readonly kind: "append-entries-response";
      readonly result: "accepted";
      readonly matchIndex: LogIndex;
    }
  | {
      readonly kind: "append-entries-response";
      readonly result: "rejected";
      readonly rejectedIndex: LogIndex;
      readonly hintIndex: LogIndex;
      readonly hintTerm: Term;
    };

/**
 * Keeps leadership, never carries entries, travels on its own connection. `commitIndex` is already
 * capped at what this peer is known to hold. `readRound` rises with every broadcast and is unique
 * within a term, so an old answer never confirms a new read.
 */
export interface Heartbeat {
  readonly kind: "heartbeat";
  readonly commitIndex: LogIndex;
  readonly readRound: number;
}

export interface HeartbeatResponse {
  readonly kind: "heartbeat-response";
  readonly readRound: number;
}

/** Announces a snapshot; the bytes travel apart (see Transport). */
export interface InstallSnapshot {
  readonly kind: "install-snapshot";
  readonly metadata: SnapshotMetadata;
}

/** The sender's log and state hold everything up to `matchIndex`, durably. */
export interface InstallSnapshotResponse {
  readonly kind: "install-snapshot-response";
  readonly matchIndex: LogIndex;
}

/** "Start an election at once" (thesis 3.10). */
export interface TimeoutNow {
  readonly kind: "timeout-now";
}

/** A follower asks the leader for a read index (thesis 6.4); `context` is the follower's own. */
export interface ReadIndexRequest {
  readonly kind: "read-index";
  readonly context: number;
}

/** `index` 0: the leader can not serve it now (no commit of its own term yet, or stepped down). */
export interface ReadIndexResponse {
  readonly kind: "read-index-response";
  readonly context: number;
  readonly index: LogIndex;
}

export type Message =
  | RequestVote
  | RequestVoteResponse
  | AppendEntries
  | AppendEntriesResponse
  | Heartbeat
  | HeartbeatResponse
  | InstallSnapshot
  | InstallSnapshotResponse
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse;

/** `isRecovering`: the sender may have forgotten what it promised; it counts in no quorum. */
export interface Envelope {
  readonly group: GroupId;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
  readonly isRecovering: boolean;
  readonly message: Message;
}
