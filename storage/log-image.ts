/**
 * A whole log as one segment file that follows no other: header, hard state, where the log begins,
 * all entries in batches, and a mark that says the last of them was durable.
 */
import type { Entry, HardState } from "../raft/index.ts";
import { assert } from "../raft/index.ts";
import { batchFileBytes, encodeBatch } from "./batch-codec.ts";
import type { Identity } from "./contract.ts";
import type { File } from "./file-system.ts";
import {
  encodeHardStateRecord,
  encodeRestartRecord,
  entryRecordHeader,
  type LogStart,
} from "./record-codec.ts";
import { PAGE_BYTES } from "./sector.ts";
import { encodeSegmentHeader } from "./segment-header.ts";

export interface LogImage {
  readonly identity: Identity;
  readonly sequence: number;
  readonly hardState: HardState;
  /** What stands before the first entry. */
  readonly start: LogStart;
  readonly entries: readonly Entry[];
  readonly batchBytesMax: number;
}

interface ImageBatch {
  readonly records: Uint8Array[];
  bytes: number;
  firstIndex: number;
  lastIndex: number;
  recordCount: number;
}

/** Writes the image into an empty file; durable only when the caller has synced it. */
export function writeLogImage(file: File, image: LogImage): void {
  const batches = batchesOf(image);
  const { identity, sequence } = image;
  let segmentBytes = 2 * PAGE_BYTES;
  for (const batch of batches) segmentBytes += batchFileBytes(batch.bytes);
  const link = { previousSegment: 0, previousChain: 0, firstBatch: 1 } as const;
  const page = Buffer.alloc(PAGE_BYTES);
  encodeSegmentHeader(page, { identity, sequence, segmentBytes, ...link });
  file.writeSync(page, 0);
  let at = PAGE_BYTES;
  let chain = 0;
  for (const [i, batch] of batches.entries()) {
    const bytes = Buffer.alloc(batchFileBytes(batch.bytes));
    const place = { kind: "batch", segment: sequence, sequence: i + 1 } as const;
    const header = { previousChain: chain, durableSequence: i, ...countsOf(batch) };
    chain = encodeBatch(bytes, 0, place, header, batch.records, batch.bytes);
    file.writeSync(bytes, at);
    at += bytes.length;
  }
  const mark = Buffer.alloc(PAGE_BYTES);
  const place = { kind: "mark", segment: sequence, sequence: batches.length + 1 } as const;
  const nothing = { firstIndex: 0, lastIndex: 0, recordCount: 0 };
  const header = { previousChain: chain, durableSequence: batches.length, ...nothing };
  encodeBatch(mark, 0, place, header, [], 0);
  file.writeSync(mark, at);
}

function countsOf({ firstIndex, lastIndex, recordCount }: ImageBatch): {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly recordCount: number;
} {
  return { firstIndex, lastIndex, recordCount };
}

function batchesOf(image: LogImage): readonly ImageBatch[] {
  let batch = emptyBatch();
  const batches = [batch];
  addRecord(batch, encodeHardStateRecord(image.hardState));
  if (image.start.index > 0) addRecord(batch, encodeRestartRecord(image.start));
  for (const { index, encoded } of image.entries) {
    assert(encoded !== undefined, "an entry of a rebuilt log has its bytes");
    if (batch.bytes + encoded.length > image.batchBytesMax) {
      batch = emptyBatch();
      batches.push(batch);
    }
    addRecord(batch, entryRecordHeader(encoded.length), encoded);
    if (batch.firstIndex === 0) batch.firstIndex = index;
    batch.lastIndex = index;
  }
  return batches;
}

function emptyBatch(): ImageBatch {
  return { records: [], bytes: 0, firstIndex: 0, lastIndex: 0, recordCount: 0 };
}

function addRecord(batch: ImageBatch, ...parts: readonly Uint8Array[]): void {
  for (const part of parts) {
    batch.records.push(part);
    batch.bytes += part.length;
  }
  batch.recordCount += 1;
}
