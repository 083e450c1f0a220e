/**
 * What storage offers a node that found damage in what was durable, before there is a `RaftNode`:
 * a survey of what is left, a sink for a peer's snapshot, and a rebuilt log. Types only.
 *
 * The order of calls: `openStorage` throws CorruptionError; `surveyDamage`; what is missing comes
 * from peers (`receiveRepairSnapshot`); `rebuildLog`; `openStorage` again. When the log could not
 * be made exactly what it was, `rebuildLog` is given what stands before the first hole and
 * `isRecovering`.
 */
import type { Entry, EntryId, HardState, IndexedConfiguration, LogIndex } from "../raft/index.ts";
import type { Identity, ReceivedSnapshot, SnapshotDescription } from "./contract.ts";
import type { PreviousEntry } from "./entry-codec.ts";

export interface DamagePlace {
  readonly file: string;
  readonly offset: number;
  readonly reason: string;
}

/** An entry whose payload is gone. Index and term name it; the checksum proves a copy of it. */
export interface LostEntry extends EntryId {
  /** What `entryChecksum` of the entry is; 0 when unknown. */
  readonly checksum: number;
  /** What its header says of the entry before it; undefined when the header is gone too. */
  readonly previous: PreviousEntry | undefined;
}

/** Where the log begins: the entry before its first one. Index 0 is the beginning of all. */
export interface LogBase extends EntryId {
  /** 0 when unknown. */
  readonly checksum: number;
}

export interface DamageSurvey {
  readonly identity: Identity;
  /** The better of the copies; both damaged is a HardStateLostError instead of a survey. */
  readonly hardState: HardState;
  /** Already recovering when the damage was found. */
  readonly isRecovering: boolean;
  readonly places: readonly DamagePlace[];

  /** The newest whole snapshot. */
  readonly snapshot: SnapshotDescription | undefined;
  readonly snapshotBytes: number;
  /** A damaged snapshot reached this far; 0 when none is damaged. */
  readonly lostSnapshotIndex: LogIndex;

  /** Where the log on disk began: a snapshot of this index or above belongs before it. */
  readonly start: LogBase;
  /**
   * From the snapshot on, or from entry 1: whole and linked, up to the first hole. Before a hole it
   * is not proven: a lost write may have replaced its end, which then does not fit what fills it.
   */
  readonly prefix: readonly Entry[];
  /** Whole and linked runs behind the first hole, lowest first; only the highest is proven. */
  readonly islands: readonly (readonly Entry[])[];
  /** Those entries between them whose identity is known, lowest first; proven as the runs are. */
  readonly lost: readonly LostEntry[];
  /** The highest index known to have been in the log, or covered by a snapshot. */
  readonly lastKnownIndex: LogIndex;
  /** Nothing durable is missing behind `lastKnownIndex`. */
  readonly isTailKnown: boolean;

  /** The newest configuration found in whole entries and the snapshot. */
  readonly configuration: IndexedConfiguration | undefined;
}

/** Both ends included. */
export interface MissingRange {
  readonly from: LogIndex;
  readonly to: LogIndex;
}

export interface Rebuild {
  /** From a standalone sink; undefined to keep the snapshot on disk. */
  readonly snapshot: ReceivedSnapshot | undefined;
  /**
   * The whole new log: contiguous, from the snapshot (or 1) or some entry before it; none when the
   * log does not reach the snapshot.
   */
  readonly entries: readonly Entry[];
  /**
   * Never older than what is on disk. With `isRecovering` of a higher term, without a vote, and
   * with nothing known committed above the snapshot: a write that is lost may have replaced the
   * last entries before the hole.
   */
  readonly hardState: HardState;
  readonly isRecovering: boolean;
}

/**
 * Files that are no longer part of the data are kept in the directory under `<name>-<old name>`,
 * one set of a name at a time. "damaged": what a rebuild replaced. "diverged": a state that did not
 * agree with the majority's.
 */
export type EvidenceName = "damaged" | "diverged";
