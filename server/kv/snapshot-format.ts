/**
 * The state machine's part of a snapshot, as one stream of bytes:
 *
 *     magic 4   format version 1   summary 41   number of sections 1
 *     then each section, in rising type:
 *         type 1   version 1   number of items 8
 *         then each item, in the order of its key: length 4, bytes
 *
 * Checksums and file layout belong to storage. A build that does not know a type or version stops:
 * to skip a section would be to forget a part of the state.
 *
 * - The same state gives the same bytes on every replica, cut at the same places.
 */
import { asBuffer, ByteReader, ByteWriter } from "./bytes.ts";
import { SnapshotFormatError } from "./errors.ts";
import type { ByteString, KvRecord } from "./record.ts";
import { hexadecimal, type StateHash } from "./state-hash.ts";
import { readRecord, type StoredRecord, writeRecord } from "./stored-record.ts";

/** "RKVS" in file order. */
export const STATE_MAGIC = 0x53564b52;
export const STATE_FORMAT_VERSION = 1;
/** Version 1, revision 8, compacted revision 8, feature level 4, time 8, hash version 4, hash 8. */
const SUMMARY_BYTES = 41;
export const STATE_HEADER_BYTES = 5 + SUMMARY_BYTES + 1;
export const SECTION_HEADER_BYTES = 10;

/** Pieces handed to storage; also what a capture produces without letting the loop turn. */
export const CHUNK_BYTES = 256 * 1024;

export const SECTION_KEYS = 1;
export const SECTION_HISTORY = 2;
export const SECTION_SESSIONS = 3;
export const SECTION_LEASES = 4;
export const SECTION_LOCKS = 5;
export const SECTION_COUNT = 5;

/** In this version the sections for history, leases and locks have no items. */
export const SECTION_VERSION = 1;

/** The numbers about the whole state. */
export interface StateNumbers {
  readonly revision: number;
  /** Revisions below this one can not be read any more; 0 while no history is kept. */
  readonly compactedRevision: number;
  readonly featureLevel: number;
  /** The stamp of the last applied entry. */
  readonly clusterTime: number;
}

export interface StateSummary extends StateNumbers {
  readonly hash: StateHash;
}

const SUMMARY_VERSION = 1;

/** Small enough for a snapshot's header, where it can be read without the state. */
export function encodeSummary(summary: StateSummary): Uint8Array {
  const writer = new ByteWriter(SUMMARY_BYTES);
  writeSummary(writer, summary);
  return writer.take(writer.length);
}

export function writeSummary(writer: ByteWriter, summary: StateSummary): void {
  writer.uint8(SUMMARY_VERSION);
  writer.uint64(summary.revision);
  writer.uint64(summary.compactedRevision);
  writer.uint32(summary.featureLevel);
  writer.uint64(summary.clusterTime);
  writer.uint32(summary.hash.version);
  writer.uint32(Number.parseInt(summary.hash.value.slice(0, 8), 16));
  writer.uint32(Number.parseInt(summary.hash.value.slice(8), 16));
}

export function decodeSummary(bytes: Uint8Array): StateSummary {
  const reader = new ByteReader();
  reader.reset(asBuffer(bytes), 0, bytes.length);
  const summary = readSummary(reader);
  reader.finish();
  return summary;
}

export function readSummary(reader: ByteReader): StateSummary {
  const version = reader.uint8();
  if (version !== SUMMARY_VERSION) {
    throw new SnapshotFormatError(`unknown summary version ${version}`);
  }
  return {
    revision: reader.uint64(),
    compactedRevision: reader.uint64(),
    featureLevel: reader.uint32(),
    clusterTime: reader.uint64(),
    hash: {
      version: reader.uint32(),
      value: hexadecimal(reader.uint32()) + hexadecimal(reader.uint32()),
    },
  };
}

/** An item of the keys section: key length 2, key, record. */
export function writeKeyItem(writer: ByteWriter, key: ByteString, record: KvRecord): void {
  writer.uint16(key.length);
  writer.bytes(key);
  writeRecord(writer, record);
}

export function readKeyItem(reader: ByteReader): { key: ByteString; record: StoredRecord } {
  const key = reader.bytes(reader.uint16());
  return { key, record: readRecord(reader) };
}
