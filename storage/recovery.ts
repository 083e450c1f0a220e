/**
 * The start: puts identity, hard state, snapshots and log back together, and begins the segment
 * this run writes to. Every step is durable before the next relies on it, so that dying anywhere,
 * also on the first boot, leaves something this can start from again.
 */
import type { HardState, LogIndex, RestoredState } from "../raft/index.ts";
import type { Identity } from "./contract.ts";
import { EntryChain } from "./entry-chain.ts";
import { CorruptionError, type FileSystemError, HardStateLostError } from "./errors.ts";
import type { FileSystem } from "./file-system.ts";
import {
  HARD_STATE_FILE,
  HardStateFile,
  INITIAL_HARD_STATE,
  readHardStateFile,
  type StoredSlot,
} from "./hard-state-file.ts";
import { type IdentityExpectation, openIdentity } from "./identity-file.ts";
import { newerHardState, type RecoveredLog, recoverLog } from "./log-recovery.ts";
import type { LogStart } from "./record-codec.ts";
import type { StorageReport } from "./report.ts";
import { segmentName, segmentSequence } from "./segment-header.ts";
import { finishSetAside } from "./set-aside.ts";
import { parseSnapshotName, type SnapshotFile } from "./snapshot-codec.ts";
import { listSnapshots, type StoredSnapshot, verifySnapshotSync } from "./snapshot-store.ts";
import type { LiveSegment, WalPosition } from "./wal.ts";
import { beginWal } from "./wal-begin.ts";

export interface RecoveredStorage {
  readonly identity: Identity;
  readonly restored: RestoredState;
  readonly chain: EntryChain;
  readonly hardStateFile: HardStateFile;
  readonly wal: WalPosition;
  /** Oldest first, with the one that `wal` writes to as the last. */
  readonly segments: readonly LiveSegment[];
  readonly snapshotFiles: readonly SnapshotFile[];
  readonly snapshot: StoredSnapshot | undefined;
}

interface Place extends IdentityExpectation {
  readonly directory: string;
  readonly fileSystem: FileSystem;
}

export function recoverStorage(
  place: Place,
  segmentBytes: number,
  onReport: (report: StorageReport) => void,
  onFailure: (error: FileSystemError) => void,
): RecoveredStorage {
  const { fileSystem, directory } = place;
  fileSystem.makeDirectorySync(directory);
  removeTemporaries(fileSystem, directory, onReport);
  // What is seen now may only be in a cache: names first, then everything that rests on them.
  fileSystem.syncDirectorySync(directory);
  const identity = openIdentity(fileSystem, directory, place, isOurs);
  const stored = settledHardState(fileSystem, directory, identity, onReport);
  const { newestSegment = 0, oldestSegment = 0 } = stored ?? {};
  const ends = { newestSegment, oldestSegment };
  const snapshotFiles = listSnapshots(fileSystem, directory);
  const found = findSnapshot(place, identity, snapshotFiles, onReport);
  const sources = { fileSystem, directory, identity, ...ends };
  const log = recoverLog({ ...sources, coveredIndex: indexOf(found.snapshot), onReport });
  if (stored === undefined && (log.hasBegun || snapshotFiles.length > 0)) {
    throw new HardStateLostError(`${directory}/${HARD_STATE_FILE}`, 0, "the file is missing");
  }
  const { snapshot } = found;
  checkReach(found, log);
  const fitted = fitLog(log, snapshot, directory);
  const promised = newerHardState(stored?.hardState, log.hardState) ?? INITIAL_HARD_STATE;
  const hardState = clampCommit(promised, snapshot, fitted);
  const hardStateFile = new HardStateFile(fileSystem, directory, identity, stored, onFailure);
  const { restart } = fitted;
  const begin = { fileSystem, directory, identity, segmentBytes, hardState, restart };
  const wal = beginWal(begin, log);
  const oldest = log.segments[0]?.sequence ?? wal.sequence;
  hardStateFile.repairSync({ hardState, newestSegment: wal.sequence }, { oldestSegment: oldest });
  removeLeftovers(fileSystem, directory, log);
  const dropped = restart !== undefined;
  const older = log.segments.map((segment) => ({
    ...segment,
    lastIndex: dropped ? 0 : segment.lastIndex,
  }));
  const current = { sequence: wal.sequence, segmentBytes: wal.segmentBytes };
  const segments = [...older, { ...current, lastIndex: wal.lastIndex }];
  const restored = {
    hardState,
    snapshot: snapshot?.description.metadata,
    entries: fitted.entries,
  };
  const kept = snapshotFiles.filter((file) => file.index <= indexOf(snapshot));
  const { chain } = fitted;
  return { identity, restored, chain, hardStateFile, wal, segments, snapshotFiles: kept, snapshot };
}

/** Finishes first what a crash interrupted while the directory was being emptied. */
function settledHardState(
  fileSystem: FileSystem,
  directory: string,
  identity: Identity,
  onReport: (report: StorageReport) => void,
): StoredSlot | undefined {
  const stored = readHardStateFile(fileSystem, directory, identity, onReport);
  if (stored?.standing !== "emptying") return stored;
  const file = new HardStateFile(fileSystem, directory, identity, stored, () => {});
  try {
    finishSetAside(fileSystem, directory, file, stored);
  } finally {
    file.closeSync();
  }
  return readHardStateFile(fileSystem, directory, identity, onReport);
}

function isOurs(name: string): boolean {
  const isData = segmentSequence(name) !== undefined || parseSnapshotName(name) !== undefined;
  return isData || name === HARD_STATE_FILE;
}

function removeTemporaries(
  fileSystem: FileSystem,
  directory: string,
  onReport: (report: StorageReport) => void,
): void {
  for (const name of fileSystem.listSync(directory)) {
    if (!name.endsWith(".tmp")) continue;
    fileSystem.unlinkSync(`${directory}/${name}`);
    onReport({ kind: "leftover-removed", file: `${directory}/${name}` });
  }
}

/** Segment files that are no part of the log any more. */
function removeLeftovers(fileSystem: FileSystem, directory: string, log: RecoveredLog): void {
  const leftovers = log.spares.map((spare) => spare.name);
  if (log.superseded !== undefined) leftovers.push(log.superseded);
  const present = new Set(fileSystem.listSync(directory));
  for (const name of leftovers) {
    if (present.has(name) && name !== segmentName(log.nextSegment)) {
      fileSystem.unlinkSync(`${directory}/${name}`);
    }
  }
  fileSystem.syncDirectorySync(directory);
}

interface FoundSnapshot {
  /** The newest one that is whole. */
  readonly snapshot: StoredSnapshot | undefined;
  /** Of the newest one that is not, when one was passed over. */
  readonly damage: CorruptionError | undefined;
  /** The index of the newest one that was passed over. */
  readonly mustReach: LogIndex;
}

function findSnapshot(
  { fileSystem, directory }: Place,
  identity: Identity,
  files: readonly SnapshotFile[],
  onReport: (report: StorageReport) => void,
): FoundSnapshot {
  let damage: CorruptionError | undefined;
  let mustReach = 0;
  for (const file of files) {
    try {
      const snapshot = verifySnapshotSync(fileSystem, directory, file, identity);
      return { snapshot, damage, mustReach };
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      damage ??= error;
      mustReach = Math.max(mustReach, file.index);
      onReport({ kind: "snapshot-skipped", file: `${directory}/${file.name}`, error });
    }
  }
  return { snapshot: undefined, damage, mustReach };
}

/**
 * A damaged snapshot may be passed over only when an older one and the log, without a hole between
 * them, reach at least as far: else something acknowledged is lost.
 */
function checkReach({ snapshot, damage, mustReach }: FoundSnapshot, log: RecoveredLog): void {
  if (damage !== undefined && !reaches(log, indexOf(snapshot), mustReach)) throw damage;
}

function indexOf(snapshot: StoredSnapshot | undefined): LogIndex {
  return snapshot?.file.index ?? 0;
}

function reaches(log: RecoveredLog, from: number, to: number): boolean {
  const start = log.start?.index;
  return start !== undefined && start <= from && start + log.entries.length >= to;
}

interface FittedLog {
  readonly entries: RecoveredLog["entries"];
  readonly chain: EntryChain;
  readonly restart: LogStart | undefined;
}

/** Makes the log fit the snapshot (section 7, Figure 13): keep what agrees, else restart. */
function fitLog(
  log: RecoveredLog,
  snapshot: StoredSnapshot | undefined,
  directory: string,
): FittedLog {
  const start = log.start ?? { index: 0, term: 0, checksum: 0 };
  const last = start.index + log.entries.length;
  if (snapshot === undefined) {
    if (start.index > 0) throw gap(directory, start.index, 0);
    return { entries: log.entries, chain: log.entryChain, restart: undefined };
  }
  const { index, term, entryChecksum: checksum } = snapshot.description.metadata;
  // Also an empty log: it was begun behind a snapshot that is not there any more.
  if (start.index > index) throw gap(directory, start.index, index);
  const held = index === start.index ? start.term : log.entries[index - start.index - 1]?.term;
  const { entries, entryChain: kept } = log;
  const agrees = start.index <= index && last >= index && held === term;
  if (agrees) return { entries, chain: kept, restart: undefined };
  const restart = { index, term, checksum };
  const chain = new EntryChain();
  chain.restart(index, restart);
  return { entries: [], chain, restart };
}

function gap(directory: string, start: number, snapshotIndex: number): CorruptionError {
  const found =
    snapshotIndex === 0 ? "no snapshot is whole" : `the snapshot ends at ${snapshotIndex}`;
  const reason = `the log begins after entry ${start}, but ${found}`;
  return new CorruptionError(directory, 0, reason);
}

/** The commit index is a hint: a snapshot proves more, and no more than the log holds is known. */
function clampCommit(
  hardState: HardState,
  snapshot: StoredSnapshot | undefined,
  fitted: FittedLog,
): HardState {
  const covered = snapshot?.description.metadata.index ?? 0;
  const known = Math.min(hardState.commitIndex, fitted.chain.lastIndex);
  return { ...hardState, commitIndex: Math.max(known, covered) };
}
