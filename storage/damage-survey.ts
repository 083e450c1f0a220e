/**
 * What is left of a data directory that can not be opened. Reads everything, changes nothing.
 */
import type { IndexedConfiguration } from "../raft/index.ts";
import type { Identity, SnapshotDescription } from "./contract.ts";
import type { StorageOptions } from "./durable-storage.ts";
import { CorruptionError, HardStateLostError } from "./errors.ts";
import { HARD_STATE_FILE, readHardStateFile } from "./hard-state-file.ts";
import type { ClosedLog } from "./holed-log.ts";
import { readIdentity } from "./identity-file.ts";
import { newerHardState } from "./log-recovery.ts";
import { type LogEnds, surveyLog } from "./log-survey.ts";
import { readPagesSync } from "./page-read.ts";
import type { DamagePlace, DamageSurvey, LogBase, LostEntry } from "./repair-contract.ts";
import { segmentName, segmentSequence } from "./segment-header.ts";
import { type SurveyedSegment, surveySegment } from "./segment-survey.ts";
import { listSnapshots, verifySnapshotSync } from "./snapshot-store.ts";

/**
 * Called after `openStorage` threw CorruptionError. Throws HardStateLostError, and CorruptionError
 * when the identity itself is damaged: then nobody knows whose log this is.
 */
export function surveyDamage(options: StorageOptions): DamageSurvey {
  const { fileSystem, directory } = options;
  const identity = readIdentity(fileSystem, directory, options);
  let isCopyRotten = false;
  const stored = readHardStateFile(fileSystem, directory, identity, (report) => {
    if (report.kind === "hard-state-slot-repaired" && !report.isTorn) isCopyRotten = true;
  });
  if (stored === undefined) {
    throw new HardStateLostError(`${directory}/${HARD_STATE_FILE}`, 0, "the file is missing");
  }
  const places: DamagePlace[] = [];
  const segments = surveySegments(options, places);
  const { log, hardState } = surveyLog(segments, stored);
  noteMissing(directory, segments, stored, places);
  // The copy that is left may be the older one; its successor stood in the log too, but where?
  if (isCopyRotten && places.length > 0) {
    const reason = "one copy is damaged, and so is the log that holds the other";
    throw new HardStateLostError(`${directory}/${HARD_STATE_FILE}`, 0, reason);
  }
  const snapshots = surveySnapshots(options, identity, places);
  const base = baseOf(snapshots.description);
  const { lost: lostSnapshot } = snapshots;
  const closed = log.close(base);
  if (log.start.index > Math.max(base.index, snapshots.lost.index)) {
    const reason = `the log begins after entry ${log.start.index}, but no snapshot reaches it`;
    places.push({ file: directory, offset: 0, reason });
  }
  const lastKnownIndex = Math.max(log.lastIndex, base.index, lostSnapshot.index);
  // A damaged snapshot that nothing else reaches stands for an entry that is lost.
  const isLastLost = lostSnapshot.index > Math.max(log.lastIndex, base.index);
  return {
    identity,
    hardState: newerHardState(hardState, stored.hardState) ?? stored.hardState,
    isRecovering: stored.standing === "recovering",
    places,
    snapshot: snapshots.description,
    snapshotBytes: snapshots.byteLength,
    lostSnapshotIndex: lostSnapshot.index,
    start: log.start,
    prefix: closed.prefix,
    islands: closed.islands,
    lost: isLastLost ? [...closed.lost, lostSnapshot] : closed.lost,
    lastKnownIndex,
    isTailKnown: log.isTailKnown,
    configuration: newestConfiguration(closed) ?? snapshots.configuration,
  };
}

function surveySegments(
  { fileSystem, directory }: StorageOptions,
  places: DamagePlace[],
): readonly SurveyedSegment[] {
  const sequences: number[] = [];
  for (const name of fileSystem.listSync(directory)) {
    const sequence = segmentSequence(name);
    if (sequence !== undefined) sequences.push(sequence);
  }
  return sequences
    .sort((a, b) => a - b)
    .map((sequence) => {
      const path = `${directory}/${segmentName(sequence)}`;
      const segment = surveySegment(readPagesSync(fileSystem, path).bytes, sequence, path);
      places.push(...segment.damage);
      return segment;
    });
}

/** Segments that had begun and are not there any more: others, or the hard state, name them. */
function noteMissing(
  directory: string,
  segments: readonly SurveyedSegment[],
  { newestSegment, oldestSegment }: LogEnds,
  places: DamagePlace[],
): void {
  const present = new Set(segments.map((segment) => segment.sequence));
  const oldest = segments[0]?.sequence ?? 0;
  const named = segments.map((segment) => segment.header?.previousSegment ?? 0);
  const isBeginningLost = oldestSegment > 0 && oldest > oldestSegment;
  const ends = isBeginningLost ? [oldestSegment, newestSegment] : [newestSegment];
  for (const sequence of [...named.filter((found) => found > oldest), ...ends]) {
    if (sequence === 0 || present.has(sequence)) continue;
    const file = `${directory}/${segmentName(sequence)}`;
    places.push({ file, offset: 0, reason: "the segment is missing" });
  }
}

interface SurveyedSnapshots {
  /** The newest whole one. */
  readonly description: SnapshotDescription | undefined;
  readonly byteLength: number;
  /** What the newest damaged one stood for; index 0 when none is damaged. */
  readonly lost: LostEntry;
  readonly configuration: IndexedConfiguration | undefined;
}

function surveySnapshots(
  { fileSystem, directory }: StorageOptions,
  identity: Identity,
  places: DamagePlace[],
): SurveyedSnapshots {
  let lost: LostEntry = { index: 0, term: 0, checksum: 0, previous: undefined };
  for (const file of listSnapshots(fileSystem, directory)) {
    try {
      const { description, byteLength } = verifySnapshotSync(fileSystem, directory, file, identity);
      const { configurationIndex: index, configuration } = description.metadata;
      return { description, byteLength, lost, configuration: { index, configuration } };
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      places.push({ file: error.file, offset: error.offset, reason: error.reason });
      const { index, term } = file;
      if (index > lost.index) lost = { index, term, checksum: 0, previous: undefined };
    }
  }
  return { description: undefined, byteLength: 0, lost, configuration: undefined };
}

function baseOf(snapshot: SnapshotDescription | undefined): LogBase {
  const { index = 0, term = 0, entryChecksum: checksum = 0 } = snapshot?.metadata ?? {};
  return { index, term, checksum };
}

/** In the entries above the snapshot, or linked to it: the highest one holds (thesis 4.1). */
function newestConfiguration({ prefix, islands }: ClosedLog): IndexedConfiguration | undefined {
  for (const run of [...islands.toReversed(), prefix]) {
    const found = run.findLast((entry) => entry.type === "conf-change");
    if (found?.type === "conf-change") return found;
  }
  return undefined;
}
