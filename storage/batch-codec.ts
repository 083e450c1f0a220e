/**
 * The batch: what one write makes durable, all or nothing. It begins on a page of its own.
 *
 *   0 chain checksum of the batch before (4)   4 bytes of records (4)
 *   8 newest batch sequence known durable when this was written (8)
 *  16 first entry index (8)                   24 last entry index (8)
 *  32 record count (4)                        36 zero (4)
 *  40 records
 *
 * These bytes are spread over the payloads of `count` sectors; the rest of the last page is zero.
 * A mark is a batch without records. The chain checksum of a batch is the CRC of its sectors, begun
 * with that of the batch before: a batch of another history never fits in.
 */
import { assert } from "../raft/index.ts";
import { getUint32, getUint64, putUint32, putUint64 } from "./bytes.ts";
import { checksum } from "./checksum.ts";
import { MalformedError } from "./errors.ts";
import {
  gatherPayload,
  PAGE_BYTES,
  pagesFor,
  SECTOR_BYTES,
  SECTOR_PAYLOAD_BYTES,
  SECTORS_PER_PAGE,
  type SectorKind,
  SectorPayloadWriter,
  sealSector,
  sectorsFor,
} from "./sector.ts";

export const BATCH_HEADER_BYTES = 40;

export interface BatchHeader {
  readonly previousChain: number;
  readonly durableSequence: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly recordCount: number;
}

export interface BatchPlace {
  readonly kind: Exclude<SectorKind, "segment-header">;
  readonly segment: number;
  readonly sequence: number;
}

/** Bytes on disk, whole pages, of a batch with this many bytes of records. */
export function batchFileBytes(recordBytes: number): number {
  return pagesFor(sectorsFor(BATCH_HEADER_BYTES + recordBytes)) * PAGE_BYTES;
}

/** The most bytes of records that fit into `fileBytes` of whole pages. */
export function recordBytesWithin(fileBytes: number): number {
  const sectors = Math.floor(fileBytes / PAGE_BYTES) * SECTORS_PER_PAGE;
  return sectors * SECTOR_PAYLOAD_BYTES - BATCH_HEADER_BYTES;
}

/** Lays a batch out at `at` of `into`; returns its chain checksum. */
export function encodeBatch(
  into: Buffer,
  at: number,
  place: BatchPlace,
  header: BatchHeader,
  records: readonly Uint8Array[],
  recordBytes: number,
): number {
  const count = sectorsFor(BATCH_HEADER_BYTES + recordBytes);
  const end = at + batchFileBytes(recordBytes);
  assert(end <= into.length, "a batch fits its buffer");
  const writer = new SectorPayloadWriter(into, at);
  writer.write(encodeBatchHeader(header, recordBytes));
  for (const record of records) writer.write(record);
  writer.finish(end);
  const { kind, segment, sequence } = place;
  for (let index = 0; index < count; index += 1) {
    const sector = { kind, segment, batch: sequence, index, count };
    sealSector(into, at + index * SECTOR_BYTES, sector);
  }
  return batchChain(into, at, count, header.previousChain);
}

export function batchChain(bytes: Buffer, at: number, count: number, previous: number): number {
  return checksum(bytes.subarray(at, at + count * SECTOR_BYTES), previous);
}

function encodeBatchHeader(header: BatchHeader, recordBytes: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(BATCH_HEADER_BYTES);
  putUint32(bytes, 0, header.previousChain);
  putUint32(bytes, 4, recordBytes);
  putUint64(bytes, 8, header.durableSequence);
  putUint64(bytes, 16, header.firstIndex);
  putUint64(bytes, 24, header.lastIndex);
  putUint32(bytes, 32, header.recordCount);
  putUint32(bytes, 36, 0);
  return bytes;
}

/** Reads a batch whose sectors have all been found whole. */
export function decodeBatch(
  bytes: Buffer,
  at: number,
  count: number,
): { readonly header: BatchHeader; readonly records: Buffer } {
  const payload = gatherPayload(bytes, at, count);
  const recordBytes = getUint32(payload, 4);
  if (sectorsFor(BATCH_HEADER_BYTES + recordBytes) !== count) {
    throw new MalformedError("a batch's length is not what its sectors say");
  }
  const header = decodeBatchHeader(payload);
  return {
    header,
    records: payload.subarray(BATCH_HEADER_BYTES, BATCH_HEADER_BYTES + recordBytes),
  };
}

export function decodeBatchHeader(payload: Uint8Array): BatchHeader {
  return {
    previousChain: getUint32(payload, 0),
    durableSequence: getUint64(payload, 8),
    firstIndex: getUint64(payload, 16),
    lastIndex: getUint64(payload, 24),
    recordCount: getUint32(payload, 32),
  };
}
