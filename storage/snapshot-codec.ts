/**
 * A snapshot file is a run of frames: one description, the state's chunks in order, one footer.
 *
 *   0 kind (4)   4 frame number (4)   8 payload length (4)   12 payload CRC (4)
 *  16 CRC over bytes 0 to 15 (4)      20 payload
 *
 * The footer's payload holds the chunk count, the bytes of state and the CRC of everything before
 * the footer. Nothing may follow it. So every bit of the file is covered, frames can be neither
 * lost nor swapped, and each chunk can be trusted as soon as it has been read.
 */
import { assert } from "../raft/index.ts";
import { ByteReader, ByteWriter, putUint32 } from "./bytes.ts";
import { checksum, checksumOfFirst } from "./checksum.ts";
import { readConfiguration, writeConfiguration } from "./configuration-codec.ts";
import type { Identity, SnapshotDescription } from "./contract.ts";
import { MalformedError, UnsupportedFormatError } from "./errors.ts";

export const FRAME_HEADER_BYTES = 20;
export const FRAME_DESCRIPTION = 1;
export const FRAME_CHUNK = 2;
export const FRAME_FOOTER = 3;
/** A frame that claims more is damaged or hostile: nothing is allocated for it. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

const MAGIC = "RAFT-SNAPSHOT";
const FORMAT_VERSION = 1;
const FEATURE_LEVEL = 1;

/** Which cluster and node wrote a snapshot, beside what it holds. */
export interface DescribedSnapshot extends SnapshotDescription {
  readonly writer: Identity;
}

export interface SnapshotFooter {
  readonly chunkCount: number;
  readonly stateBytes: number;
  readonly fileChecksum: number;
}

export function encodeFrame(kind: number, number: number, payload: Uint8Array): Buffer {
  assert(payload.length <= FRAME_BYTES_MAX, "a snapshot chunk fits a frame");
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  putUint32(frame, 0, kind);
  putUint32(frame, 4, number);
  putUint32(frame, 8, payload.length);
  putUint32(frame, 12, checksum(payload));
  putUint32(frame, 16, checksumOfFirst(frame, 16));
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

export function encodeDescription(description: SnapshotDescription, writer: Identity): Buffer {
  const { metadata, summary } = description;
  const bytes = new ByteWriter();
  bytes.bytes(Buffer.from(MAGIC, "latin1"));
  bytes.uint32(FORMAT_VERSION);
  bytes.uint32(FEATURE_LEVEL);
  bytes.string(writer.clusterId);
  bytes.uint64(writer.nodeId);
  bytes.uint64(writer.incarnation);
  bytes.uint32(metadata.group);
  bytes.uint64(metadata.term);
  bytes.uint64(metadata.index);
  bytes.uint64(metadata.time);
  bytes.uint64(metadata.configurationIndex);
  bytes.uint32(metadata.entryChecksum);
  writeConfiguration(bytes, metadata.configuration);
  bytes.uint32(summary.length);
  bytes.bytes(summary);
  return bytes.finish();
}

export function decodeDescription(payload: Uint8Array): DescribedSnapshot {
  const bytes = new ByteReader(payload);
  if (Buffer.from(bytes.bytes(MAGIC.length)).toString("latin1") !== MAGIC) {
    throw new MalformedError("this is no snapshot");
  }
  const version = bytes.uint32();
  if (version !== FORMAT_VERSION) throw new UnsupportedFormatError("snapshot version", version);
  const level = bytes.uint32();
  if (level > FEATURE_LEVEL) throw new UnsupportedFormatError("snapshot feature level", level);
  const writer = { clusterId: bytes.string(), nodeId: bytes.uint64(), incarnation: bytes.uint64() };
  const group = bytes.uint32();
  const term = bytes.uint64();
  const index = bytes.uint64();
  const time = bytes.uint64();
  const configurationIndex = bytes.uint64();
  const entryChecksum = bytes.uint32();
  const configuration = readConfiguration(bytes);
  const summary = Uint8Array.from(bytes.bytes(bytes.uint32()));
  bytes.end();
  const entry = { group, term, index, time };
  const metadata = { ...entry, configuration, configurationIndex, entryChecksum };
  return { metadata, summary, writer };
}

export function encodeFooter(footer: SnapshotFooter): Buffer {
  const bytes = new ByteWriter();
  bytes.uint64(footer.chunkCount);
  bytes.uint64(footer.stateBytes);
  bytes.uint32(footer.fileChecksum);
  return bytes.finish();
}

export function decodeFooter(payload: Uint8Array): SnapshotFooter {
  const bytes = new ByteReader(payload);
  const chunkCount = bytes.uint64();
  const stateBytes = bytes.uint64();
  const fileChecksum = bytes.uint32();
  bytes.end();
  return { chunkCount, stateBytes, fileChecksum };
}

const NAME = /^snapshot-(\d{16})-(\d{16})\.snap$/;

export interface SnapshotFile {
  readonly name: string;
  readonly term: number;
  readonly index: number;
}

/** The name sorts by index, then term. */
export function snapshotName(index: number, term: number): string {
  return `snapshot-${String(index).padStart(16, "0")}-${String(term).padStart(16, "0")}.snap`;
}

export function parseSnapshotName(name: string): SnapshotFile | undefined {
  const [, index, term] = NAME.exec(name) ?? [];
  if (index === undefined || term === undefined) return undefined;
  return { name, index: Number(index), term: Number(term) };
}
