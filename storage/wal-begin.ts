/**
 * The first segment of a run. Every start begins one: the batch that was last on disk may exist in
 * a cache only (after a failed sync the kernel calls lost pages clean), so it is written again, as
 * part of the new segment's first batch, before anybody relies on it. Nothing is ever appended to a
 * segment of an earlier run, so its remains can not be mixed up with new batches.
 */
import type { HardState } from "../raft/index.ts";
import { batchFileBytes, encodeBatch } from "./batch-codec.ts";
import type { Identity } from "./contract.ts";
import { CorruptionError } from "./errors.ts";
import type { File, FileSystem } from "./file-system.ts";
import type { RecoveredLog } from "./log-recovery.ts";
import {
  encodeHardStateRecord,
  encodeRestartRecord,
  entryRecordHeader,
  type LogRecord,
  type LogStart,
} from "./record-codec.ts";
import { PAGE_BYTES } from "./sector.ts";
import { encodeSegmentHeader, segmentName } from "./segment-header.ts";
import type { WalPosition } from "./wal.ts";
import { ZEROS } from "./zeros.ts";

export interface FirstSegment {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly identity: Identity;
  readonly segmentBytes: number;
  readonly hardState: HardState;
  /** Set when the log has to go on behind a snapshot that it does not reach. */
  readonly restart: LogStart | undefined;
}

export interface BegunWal extends WalPosition {
  /** The highest index taken over from the segment before. */
  readonly lastIndex: number;
}

export function beginWal(options: FirstSegment, log: RecoveredLog): BegunWal {
  const { fileSystem, directory, identity, hardState, restart } = options;
  const records: Uint8Array[] = [encodeHardStateRecord(hardState)];
  const carried = restart === undefined ? log.unproven : [];
  let lastIndex = 0;
  let recordCount = 1;
  for (const record of carried) {
    if (record.kind === "hard-state") continue;
    records.push(...encodeRecord(record));
    recordCount += 1;
    if (record.kind === "entry") lastIndex = Math.max(lastIndex, record.entry.index);
  }
  if (restart !== undefined) {
    records.push(encodeRestartRecord(restart));
    recordCount += 1;
  }
  const recordBytes = records.reduce((sum, record) => sum + record.length, 0);
  const usedBytes = PAGE_BYTES + batchFileBytes(recordBytes);
  const sequence = log.nextSegment;
  const wanted = Math.max(options.segmentBytes, usedBytes);
  const { file, segmentBytes } = allocate(fileSystem, directory, log, sequence, wanted);
  const bytes = Buffer.alloc(usedBytes);
  const { nextBatch, chain: previousChain, previousSegment } = log;
  const link = { previousSegment, previousChain, firstBatch: nextBatch };
  encodeSegmentHeader(bytes, { identity, sequence, segmentBytes, ...link });
  const place = { kind: "batch", segment: sequence, sequence: nextBatch } as const;
  const first = lastIndex === 0 ? 0 : firstIndexOf(carried);
  const header = { previousChain, durableSequence: nextBatch - 1, firstIndex: first, lastIndex };
  const chain = encodeBatch(
    bytes,
    PAGE_BYTES,
    place,
    { ...header, recordCount },
    records,
    recordBytes,
  );
  file.writeSync(bytes, 0);
  const position = { file, sequence, segmentBytes, offset: usedBytes };
  return { ...position, nextBatch: nextBatch + 1, chain, lastIndex };
}

/** A prepared file of the right size takes the new number; otherwise zeros are written. */
function allocate(
  fileSystem: FileSystem,
  directory: string,
  log: RecoveredLog,
  sequence: number,
  wantedBytes: number,
): { readonly file: File; readonly segmentBytes: number } {
  const path = `${directory}/${segmentName(sequence)}`;
  const spare = log.spares.find((found) => found.segmentBytes >= wantedBytes);
  if (spare !== undefined) fileSystem.renameSync(`${directory}/${spare.name}`, path);
  else fillWithZeros(fileSystem, path, wantedBytes);
  fileSystem.syncDirectorySync(directory);
  const file = fileSystem.openSync(path, { access: "write", durable: true });
  const segmentBytes = spare?.segmentBytes ?? wantedBytes;
  if (file.sizeSync() !== segmentBytes) {
    throw new CorruptionError(path, file.sizeSync(), "the prepared file changed its size");
  }
  return { file, segmentBytes };
}

function fillWithZeros(fileSystem: FileSystem, path: string, segmentBytes: number): void {
  const temporary = `${path}.tmp`;
  const file = fileSystem.openSync(temporary, { access: "create" });
  try {
    for (let at = 0; at < segmentBytes; at += ZEROS.length) {
      file.writeSync(ZEROS.subarray(0, Math.min(ZEROS.length, segmentBytes - at)), at);
    }
    file.syncSync();
  } finally {
    file.closeSync();
  }
  fileSystem.renameSync(temporary, path);
}

function encodeRecord(record: LogRecord): readonly Uint8Array[] {
  switch (record.kind) {
    case "hard-state":
      return [encodeHardStateRecord(record.hardState)];
    case "restart":
      return [encodeRestartRecord(record.start)];
    case "entry": {
      const encoded = record.entry.encoded;
      return encoded === undefined ? [] : [entryRecordHeader(encoded.length), encoded];
    }
  }
}

function firstIndexOf(records: readonly LogRecord[]): number {
  for (const record of records) {
    if (record.kind === "entry") return record.entry.index;
  }
  return 0;
}
