/**
 * An entry as bytes: the same in the log file and in peer frames, encoded once by the leader that
 * proposed it and stored verbatim by everyone else.
 *
 *   0 format version (1)   1 type (1)   2 zero (2)     4 group (4)
 *   8 term (8)            16 index (8)                24 cluster time (8)
 *  32 previous term (8)   40 previous checksum (4)    44 payload length (4)
 *  48 payload CRC (4)     52 header CRC over bytes 0 to 51 (4)
 *  56 payload
 *
 * - The header has a CRC of its own, so a damaged payload keeps its identity and can be fetched
 *   again by (index, term).
 * - The header CRC is the entry's checksum. It covers the payload CRC and the checksum of the entry
 *   before, so equal checksums mean equal prefixes: the Log Matching Property (section 5.3) as a
 *   number that can be checked.
 */
import type { ConfigurationEntry, Entry, EntryId, Term } from "../raft/index.ts";
import { assert, unreachable } from "../raft/index.ts";
import {
  ByteReader,
  ByteWriter,
  getUint8,
  getUint16,
  getUint32,
  getUint64,
  putUint32,
  putUint64,
} from "./bytes.ts";
import { checksum, checksumOfFirst } from "./checksum.ts";
import { readConfiguration, writeConfiguration } from "./configuration-codec.ts";
import { MalformedError, UnsupportedFormatError } from "./errors.ts";

export const ENTRY_HEADER_BYTES = 56;
const ENTRY_FORMAT_VERSION = 1;
const HEADER_CHECKSUM_AT = 52;

const TYPE_NOOP = 1;
const TYPE_COMMAND = 2;
const TYPE_CONF_CHANGE = 3;
const TYPE_TIME = 4;
const TYPE_FEATURE_LEVEL = 5;

const NO_PAYLOAD = Buffer.alloc(0);

/** The entry before; checksum 0 means it is not known (or there is none). */
export interface PreviousEntry {
  readonly term: Term;
  readonly checksum: number;
}

export const NO_PREVIOUS_ENTRY: PreviousEntry = { term: 0, checksum: 0 };

/** What an intact header tells, also when the payload is damaged. */
export interface EntryHeader extends EntryId {
  readonly group: number;
  readonly time: number;
  readonly type: number;
  readonly previous: PreviousEntry;
  readonly payloadBytes: number;
  readonly payloadChecksum: number;
  readonly checksum: number;
}

/** Fills `entry.encoded` at the first call and hands out the same bytes from then on. */
export function encodeEntry(entry: Entry, previous: PreviousEntry): Uint8Array {
  if (entry.encoded !== undefined) return entry.encoded;
  const payload = entryPayload(entry);
  const bytes = Buffer.allocUnsafe(ENTRY_HEADER_BYTES + payload.length);
  bytes[0] = ENTRY_FORMAT_VERSION;
  bytes[1] = typeCode(entry);
  bytes[2] = 0;
  bytes[3] = 0;
  putUint32(bytes, 4, entry.group);
  putUint64(bytes, 8, entry.term);
  putUint64(bytes, 16, entry.index);
  putUint64(bytes, 24, entry.time);
  putUint64(bytes, 32, previous.term);
  putUint32(bytes, 40, previous.checksum);
  putUint32(bytes, 44, payload.length);
  putUint32(bytes, 48, checksum(payload));
  putUint32(bytes, HEADER_CHECKSUM_AT, checksumOfFirst(bytes, HEADER_CHECKSUM_AT));
  bytes.set(payload, ENTRY_HEADER_BYTES);
  entry.encoded = bytes;
  return bytes;
}

/** The checksum of an encoded entry: what the next entry names as its previous checksum. */
export function entryChecksum(entry: Entry): number {
  assert(entry.encoded !== undefined, "only an encoded entry has a checksum");
  return getUint32(entry.encoded, HEADER_CHECKSUM_AT);
}

/** What an encoded entry says about the entry before it. */
export function previousOf(encoded: Uint8Array): PreviousEntry {
  return { term: getUint64(encoded, 32), checksum: getUint32(encoded, 40) };
}

/** Where an encoded entry stands in the log, of which only the header is looked at. */
export function placeOf(encoded: Uint8Array): EntryId & { readonly checksum: number } {
  const checksum = getUint32(encoded, HEADER_CHECKSUM_AT);
  return { term: getUint64(encoded, 8), index: getUint64(encoded, 16), checksum };
}

/** How many bytes the encoded entry at `at` takes; needs its header only, checks only bounds. */
export function encodedEntryBytes(bytes: Uint8Array, at: number): number {
  if (at + ENTRY_HEADER_BYTES > bytes.length) throw new MalformedError("an entry header is cut");
  return ENTRY_HEADER_BYTES + getUint32(bytes, at + 44);
}

/** Undefined when the header itself is damaged. */
export function decodeEntryHeader(bytes: Uint8Array): EntryHeader | undefined {
  if (bytes.length < ENTRY_HEADER_BYTES) return undefined;
  const stored = getUint32(bytes, HEADER_CHECKSUM_AT);
  if (checksumOfFirst(bytes, HEADER_CHECKSUM_AT) !== stored) return undefined;
  const version = getUint8(bytes, 0);
  if (version !== ENTRY_FORMAT_VERSION) {
    throw new UnsupportedFormatError("entry format version", version);
  }
  if (getUint16(bytes, 2) !== 0) throw new MalformedError("an entry has unknown flags");
  return {
    type: getUint8(bytes, 1),
    group: getUint32(bytes, 4),
    term: getUint64(bytes, 8),
    index: getUint64(bytes, 16),
    time: getUint64(bytes, 24),
    previous: previousOf(bytes),
    payloadBytes: getUint32(bytes, 44),
    payloadChecksum: getUint32(bytes, 48),
    checksum: stored,
  };
}

/**
 * Decodes exactly one entry, checking both CRCs; keeps `bytes` as `entry.encoded`, and a command's
 * data as a view of them. MalformedError for damage, UnsupportedFormatError for a newer format.
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  const header = decodeEntryHeader(bytes);
  if (header === undefined) throw new MalformedError("an entry header fails its checksum");
  if (bytes.length !== ENTRY_HEADER_BYTES + header.payloadBytes) {
    throw new MalformedError("an entry's length is not what its header says");
  }
  if (header.index === 0 || header.term === 0) throw new MalformedError("an entry counts from 1");
  const payload = bytes.subarray(ENTRY_HEADER_BYTES);
  if (checksum(payload) !== header.payloadChecksum) {
    throw new MalformedError("an entry payload fails its checksum");
  }
  return buildEntry(header, payload, bytes);
}

function buildEntry(header: EntryHeader, payload: Uint8Array, encoded: Uint8Array): Entry {
  const { group, term, index, time } = header;
  switch (header.type) {
    case TYPE_COMMAND:
      return { type: "command", group, term, index, time, data: payload, encoded };
    case TYPE_NOOP:
      expectEmpty(payload);
      return { type: "noop", group, term, index, time, encoded };
    case TYPE_TIME:
      expectEmpty(payload);
      return { type: "time", group, term, index, time, encoded };
    case TYPE_CONF_CHANGE: {
      const reader = new ByteReader(payload);
      const configuration = readConfiguration(reader);
      reader.end();
      return { type: "conf-change", group, term, index, time, configuration, encoded };
    }
    case TYPE_FEATURE_LEVEL: {
      const reader = new ByteReader(payload);
      const level = reader.uint32();
      reader.end();
      return { type: "feature-level", group, term, index, time, level, encoded };
    }
    default:
      throw new UnsupportedFormatError("entry type", header.type);
  }
}

function expectEmpty(payload: Uint8Array): void {
  if (payload.length > 0) throw new MalformedError("an entry without payload carries one");
}

function entryPayload(entry: Entry): Uint8Array {
  switch (entry.type) {
    case "command":
      return entry.data;
    case "noop":
    case "time":
      return NO_PAYLOAD;
    case "conf-change":
      return configurationPayload(entry);
    case "feature-level": {
      const writer = new ByteWriter();
      writer.uint32(entry.level);
      return writer.finish();
    }
    default:
      return unreachable(entry);
  }
}

function configurationPayload(entry: ConfigurationEntry): Uint8Array {
  const writer = new ByteWriter();
  writeConfiguration(writer, entry.configuration);
  return writer.finish();
}

function typeCode(entry: Entry): number {
  switch (entry.type) {
    case "noop":
      return TYPE_NOOP;
    case "command":
      return TYPE_COMMAND;
    case "conf-change":
      return TYPE_CONF_CHANGE;
    case "time":
      return TYPE_TIME;
    case "feature-level":
      return TYPE_FEATURE_LEVEL;
    default:
      return unreachable(entry);
  }
}
