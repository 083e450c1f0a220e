/**
 * The first page of a segment: whose log this is, and which segment and batch come before. It is
 * written together with the segment's first batch, in one write, so a segment has begun when both
 * stand; until then its file is only prepared space under its final name.
 */
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { Identity } from "./contract.ts";
import { MalformedError, UnsupportedFormatError } from "./errors.ts";
import { PAGE_BYTES, SECTOR_BYTES, SECTOR_HEADER_BYTES, sealSector } from "./sector.ts";

const MAGIC = "RAFT-WAL";
const HEADER_VERSION = 1;

export interface SegmentHeader {
  readonly identity: Identity;
  readonly sequence: number;
  /** Bytes of the whole file, fixed when it was allocated. */
  readonly segmentBytes: number;
  /** The segment the log comes from; 0 for the first of all. */
  readonly previousSegment: number;
  /** The chain checksum there, up to but not including `firstBatch`. */
  readonly previousChain: number;
  /** Batches from here on stand in this segment; any left in the one before are void. */
  readonly firstBatch: number;
}

export function encodeSegmentHeader(into: Buffer, header: SegmentHeader): void {
  const writer = new ByteWriter();
  writer.bytes(Buffer.from(MAGIC, "latin1"));
  writer.uint32(HEADER_VERSION);
  writer.uint64(header.segmentBytes);
  writer.uint64(header.previousSegment);
  writer.uint32(header.previousChain);
  writer.uint64(header.identity.nodeId);
  writer.uint64(header.identity.incarnation);
  writer.string(header.identity.clusterId);
  into.fill(0, 0, PAGE_BYTES);
  into.set(writer.finish(), SECTOR_HEADER_BYTES);
  const { sequence, firstBatch } = header;
  const place = { kind: "segment-header", segment: sequence, batch: firstBatch } as const;
  sealSector(into, 0, { ...place, index: 0, count: 1 });
}

/** Decodes a header sector found whole; `firstBatch` is in the sector's own header. */
export function decodeSegmentHeader(
  bytes: Buffer,
  sequence: number,
  firstBatch: number,
): SegmentHeader {
  const reader = new ByteReader(bytes.subarray(SECTOR_HEADER_BYTES, SECTOR_BYTES));
  if (Buffer.from(reader.bytes(MAGIC.length)).toString("latin1") !== MAGIC) {
    throw new MalformedError("the segment header does not begin as it should");
  }
  const version = reader.uint32();
  if (version !== HEADER_VERSION) throw new UnsupportedFormatError("segment version", version);
  const segmentBytes = reader.uint64();
  const previousSegment = reader.uint64();
  const previousChain = reader.uint32();
  const nodeId = reader.uint64();
  const incarnation = reader.uint64();
  const identity = { clusterId: reader.string(), nodeId, incarnation };
  return { identity, sequence, segmentBytes, previousSegment, previousChain, firstBatch };
}

const NAME = /^wal-(\d{16})\.log$/;

export function segmentName(sequence: number): string {
  return `wal-${String(sequence).padStart(16, "0")}.log`;
}

/** Undefined for files that are no segments. */
export function segmentSequence(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
