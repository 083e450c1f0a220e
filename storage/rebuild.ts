/**
 * Puts a repaired log (or what is left of one) in the place of a damaged one.
 *
 * The whole new log is one segment that follows no other. Its rename is the one moment at which the
 * log changes: before it the old files still are the log and still are damaged, after it recovery
 * passes them over. What the rename relies on is durable before, in this order:
 *
 * 1. term and vote, and for a log that is cut the standing "recovering" in the same slot: whatever
 *    a crash leaves from here on, no cut log is ever opened without it;
 * 2. the snapshot that the log goes on behind;
 * 3. damaged snapshots out of the way. Where one was needed, the log still begins behind a snapshot
 *    that is not there, so the node still refuses to start.
 */
import type { Entry, HardState } from "../raft/index.ts";
import { assert } from "../raft/index.ts";
import type { Identity, ReceivedSnapshot, SnapshotSink, SnapshotSource } from "./contract.ts";
import { DEFAULT_BATCH_BYTES, type StorageOptions } from "./durable-storage.ts";
import { entryChecksum, previousOf } from "./entry-codec.ts";
import { CorruptionError, HardStateLostError } from "./errors.ts";
import { keepAsEvidence, removeEvidence } from "./evidence.ts";
import type { FileSystem } from "./file-system.ts";
import { HARD_STATE_FILE, HardStateFile, readHardStateFile } from "./hard-state-file.ts";
import { readIdentity } from "./identity-file.ts";
import { type LogImage, writeLogImage } from "./log-image.ts";
import type { LogStart } from "./record-codec.ts";
import type { DamageSurvey, Rebuild } from "./repair-contract.ts";
import { segmentName, segmentSequence } from "./segment-header.ts";
import { snapshotName } from "./snapshot-codec.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";
import {
  listSnapshots,
  openSnapshotFile,
  type StoredSnapshot,
  verifySnapshotSync,
} from "./snapshot-store.ts";

/** Takes in a peer's snapshot while the directory can not be opened. One at a time. */
export function receiveRepairSnapshot(options: StorageOptions, identity: Identity): SnapshotSink {
  const { fileSystem, directory } = options;
  const taken = new Set(fileSystem.listSync(directory));
  let number = 1;
  while (taken.has(temporaryName(number))) number += 1;
  const path = `${directory}/${temporaryName(number)}`;
  return new SnapshotReceiver(fileSystem, path, identity, () => {});
}

/** The snapshot a survey found whole, for a peer that needs one too. */
export function openRepairSnapshot(
  options: StorageOptions,
  survey: DamageSurvey,
): SnapshotSource | undefined {
  if (survey.snapshot === undefined) return undefined;
  const { index, term } = survey.snapshot.metadata;
  const path = `${options.directory}/${snapshotName(index, term)}`;
  const { snapshot: description, snapshotBytes: byteLength } = survey;
  return openSnapshotFile(options.fileSystem, path, { description, byteLength });
}

/**
 * After this `openStorage` succeeds. The directory must not be open. Throws FileSystemError when
 * the disk refuses; whatever the moment, a new survey finds all there is.
 */
export function rebuildLog(options: StorageOptions, rebuild: Rebuild): void {
  const { fileSystem, directory } = options;
  const identity = readIdentity(fileSystem, directory, options);
  const stored = readHardStateFile(fileSystem, directory, identity, options.onReport ?? (() => {}));
  if (stored === undefined) {
    throw new HardStateLostError(`${directory}/${HARD_STATE_FILE}`, 0, "the file is missing");
  }
  const { whole, damaged } = judgeSnapshots(options, identity, rebuild);
  const base = baseOf(rebuild, whole);
  const start = startOf(rebuild.entries, base);
  checkPromises(stored.hardState, rebuild, base);
  const { hardState, entries } = rebuild;
  removeEvidence(fileSystem, directory, "damaged");
  const file = new HardStateFile(fileSystem, directory, identity, stored, () => {});
  try {
    const { newestSegment } = stored;
    const standing = rebuild.isRecovering ? "recovering" : stored.standing;
    file.repairSync({ hardState, newestSegment }, { standing });
    publishSnapshot(options, rebuild);
    keepAsEvidence(fileSystem, directory, "damaged", damaged);
    const old = segmentsOf(fileSystem, directory);
    const sequence = Math.max(newestSegment, ...old) + 1;
    const batchBytesMax = options.batchBytesMax ?? DEFAULT_BATCH_BYTES;
    const image = { identity, sequence, hardState, start, entries, batchBytesMax };
    writeSegment(options, sequence, image);
    file.repairSync({ hardState, newestSegment: sequence }, { oldestSegment: sequence });
    keepAsEvidence(fileSystem, directory, "damaged", old.map(segmentName));
  } finally {
    file.closeSync();
  }
}

function checkPromises(promised: HardState, rebuild: Rebuild, base: LogStart): void {
  const { hardState, isRecovering } = rebuild;
  assert(hardState.term >= promised.term, "a term never goes back");
  if (!isRecovering) return;
  assert(hardState.term > promised.term, "a cut log is of a term without promises");
  assert(hardState.vote === 0, "a node with a cut log has not voted");
  const isCertain = hardState.commitIndex <= base.index;
  assert(isCertain, "of a cut log only what the snapshot covers is known committed");
}

interface Snapshots {
  /** The newest one, if any. */
  readonly whole: StoredSnapshot | undefined;
  readonly damaged: readonly string[];
}

function judgeSnapshots(
  { fileSystem, directory }: StorageOptions,
  identity: Identity,
  { snapshot: received }: Rebuild,
): Snapshots {
  let whole: StoredSnapshot | undefined;
  const damaged: string[] = [];
  for (const file of listSnapshots(fileSystem, directory)) {
    try {
      const snapshot = verifySnapshotSync(fileSystem, directory, file, identity);
      whole ??= snapshot;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      // One of the same name is replaced by the received one.
      if (received === undefined || file.name !== nameOf(received)) damaged.push(file.name);
    }
  }
  return { whole, damaged };
}

/** What the snapshot covers that the new log goes on behind. */
function baseOf({ snapshot }: Rebuild, whole: StoredSnapshot | undefined): LogStart {
  const received = snapshot?.description.metadata;
  const onDisk = whole?.description.metadata;
  const metadata = (received?.index ?? 0) > (onDisk?.index ?? 0) ? received : onDisk;
  if (metadata === undefined) return { index: 0, term: 0, checksum: 0 };
  return { index: metadata.index, term: metadata.term, checksum: metadata.entryChecksum };
}

/** Checks that snapshot and entries make one log without a hole, and says what it begins behind. */
function startOf(entries: readonly Entry[], base: LogStart): LogStart {
  const start = startOfEntries(entries);
  if (start === undefined) return base;
  assert(start.index <= base.index, "the log begins no later than the snapshot ends");
  const held =
    start.index === base.index ? start.term : entries[base.index - start.index - 1]?.term;
  assert(held === base.term, "snapshot and log are of one history");
  return start;
}

function startOfEntries(entries: readonly Entry[]): LogStart | undefined {
  let start: LogStart | undefined;
  let before: { readonly index: number; readonly checksum: number } | undefined;
  for (const entry of entries) {
    const { index, encoded } = entry;
    assert(encoded !== undefined, "an entry of a rebuilt log has its bytes");
    const previous = previousOf(encoded);
    start ??= { index: index - 1, ...previous };
    if (before !== undefined) {
      assert(index === before.index + 1, "a rebuilt log has no hole");
      const known = previous.checksum !== 0;
      assert(!known || previous.checksum === before.checksum, "each entry names the one before");
    }
    before = { index, checksum: entryChecksum(entry) };
  }
  return start;
}

function publishSnapshot({ fileSystem, directory }: StorageOptions, { snapshot }: Rebuild): void {
  if (snapshot === undefined) return;
  fileSystem.renameSync(snapshot.path, `${directory}/${nameOf(snapshot)}`);
  fileSystem.syncDirectorySync(directory);
}

function nameOf({ description }: ReceivedSnapshot): string {
  return snapshotName(description.metadata.index, description.metadata.term);
}

/** Beside its final name, where a crash may have left an earlier try. */
function writeSegment(options: StorageOptions, sequence: number, image: LogImage): void {
  const { fileSystem, directory } = options;
  const path = `${directory}/${segmentName(sequence)}`;
  const temporary = `${path}.tmp`;
  if (fileSystem.listSync(directory).includes(`${segmentName(sequence)}.tmp`)) {
    fileSystem.unlinkSync(temporary);
  }
  const file = fileSystem.openSync(temporary, { access: "create" });
  try {
    writeLogImage(file, image);
    file.syncSync();
  } finally {
    file.closeSync();
  }
  fileSystem.renameSync(temporary, path);
  fileSystem.syncDirectorySync(directory);
}

function segmentsOf(fileSystem: FileSystem, directory: string): readonly number[] {
  const sequences: number[] = [];
  for (const name of fileSystem.listSync(directory)) {
    const sequence = segmentSequence(name);
    if (sequence !== undefined) sequences.push(sequence);
  }
  return sequences;
}

function temporaryName(number: number): string {
  return `snapshot-repair-${number}.tmp`;
}
