/**
 * The nouns of the Raft paper (Figure 2) and thesis: ids, terms, entries, configurations,
 * hard state, snapshot metadata. Types only; everything is immutable once built.
 *
 * All integers are safe integers (below 2^53), checked once where bytes enter the process.
 */

/** Identifies one member of a group. 1 to 2^53 - 1; 0 means "none". */
export type NodeId = number;
/** A leadership period, counted from 1 (paper section 5.1); 0 is "before the first election". */
export type Term = number;
/** A log position, counted from 1; 0 is "before the first entry". */
export type LogIndex = number;
/** Which Raft group a thing belongs to. One group for now: 0. */
export type GroupId = number;
/** Milliseconds of cluster time: it never runs backwards and follows no wall clock. */
export type ClusterTime = number;
/** A monotonic reading in milliseconds, handed in by the host; may have a fraction. */
export type MonotonicMs = number;

export const NO_NODE: NodeId = 0;

/** The pair that names an entry: two logs that hold the same pair agree up to it (section 5.3). */
export interface EntryId {
  readonly term: Term;
  readonly index: LogIndex;
}

/** A voter counts in every quorum; a learner receives the log and never votes (thesis 4.2.1). */
export type MemberRole = "voter" | "learner";

/**
 * One member of a group. `incarnation` is minted with the data directory and tells a wiped disk
 * from the member it used to be; 0 means "not learned yet" and is only found in the first
 * configuration. Addresses are `host:port`; `raft/` carries them without reading them.
 */
export interface Member {
  readonly id: NodeId;
  readonly incarnation: number;
  readonly role: MemberRole;
  readonly peerAddress: string;
  readonly clientAddress: string;
}

/** The membership of a group, sorted by member id. Effective as soon as it is in the log. */
export interface Configuration {
  readonly members: readonly Member[];
}

interface EntryFields extends EntryId {
  readonly group: GroupId;
  /** Stamped by the proposing leader; never smaller than the stamp of the entry before. */
  readonly time: ClusterTime;
  /**
   * The entry as it stands in the log file and in peer frames, filled in by the first encoder
   * and shared from then on. Opaque to `raft/`.
   */
  encoded?: Uint8Array | undefined;
}

/** What a new leader appends so that entries of older terms can commit (section 5.4.2, 8). */
export interface NoopEntry extends EntryFields {
  readonly type: "noop";
}

/** A state-machine command; `data` is opaque to `raft/` and `storage/`. */
export interface CommandEntry extends EntryFields {
  readonly type: "command";
  readonly data: Uint8Array;
}

/** A whole new configuration, never a difference (thesis 4.1). */
export interface ConfigurationEntry extends EntryFields {
  readonly type: "conf-change";
  readonly configuration: Configuration;
}

/** Carries cluster time forward when a deadline is due and there is no traffic. */
export interface TimeEntry extends EntryFields {
  readonly type: "time";
}

/** Raises the feature level of the group: the newest formats all members understand. */
export interface FeatureLevelEntry extends EntryFields {
  readonly type: "feature-level";
  readonly level: number;
}

export type Entry = NoopEntry | CommandEntry | ConfigurationEntry | TimeEntry | FeatureLevelEntry;

/** Bytes an entry is charged for in windows and limits: its payload plus a fixed header. */
export const ENTRY_OVERHEAD_BYTES = 96;

/**
 * What a node must not forget (Figure 2, "persistent state"). `term` and `vote` are durable before
 * any promise that depends on them leaves; `commitIndex` is a hint and never a reason to sync.
 */
export interface HardState {
  readonly term: Term;
  readonly vote: NodeId;
  readonly commitIndex: LogIndex;
}

/** What is known now and forgotten at a restart. */
export interface SoftState {
  readonly role: Role;
  readonly leaderId: NodeId;
}

export type Role = "follower" | "pre-candidate" | "candidate" | "leader" | "learner";

/** Names a snapshot: the state after applying `index`, and the configuration in force there. */
export interface SnapshotMetadata extends EntryId {
  readonly group: GroupId;
  readonly time: ClusterTime;
  readonly configuration: Configuration;
  /** The newest configuration entry covered by the snapshot; 0 for the first configuration. */
  readonly configurationIndex: LogIndex;
  /** Checksum of the encoded entry at `index`, so that the log's chain goes on; 0 when unknown. */
  readonly entryChecksum: number;
}

/** What storage hands back after a restart. */
export interface RestoredState {
  readonly hardState: HardState;
  /** The newest whole snapshot, or undefined for a log that starts at 1. */
  readonly snapshot: SnapshotMetadata | undefined;
  /**
   * Contiguous entries. They may begin at or before the snapshot's index: compaction keeps a tail
   * for slow followers. They never begin after snapshot.index + 1.
   */
  readonly entries: readonly Entry[];
}
