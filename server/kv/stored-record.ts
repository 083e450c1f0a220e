/**
 * The record as it is held in memory and laid down in snapshots.
 *
 * The only kind of record that changes, so that a write allocates nothing that stays but its value;
 * what leaves this folder is a copy (see record-map.ts).
 *
 * One class with all fields set by its constructor gives a million records one hidden class and no
 * dictionary: 80 bytes each. Numbers above 2^31 leave the pointer-sized field for a heap number of
 * 16 bytes; revisions get there after two billion writes.
 *
 * A record keeps the checksum of its value for the hash of the state, so that overwriting a large
 * value does not read it once more.
 *
 * Bytes: type 1, revision 8, create revision 8, version 8, lease 8, expiry 8, then the value's
 * length 4 and the value.
 */
import { crc32 } from "node:zlib";
import { unreachable } from "../../raft/index.ts";
import { checksumStep } from "../../storage/index.ts";
import { type ByteReader, type ByteWriter, SHORT_BYTES } from "./bytes.ts";
import { SnapshotFormatError } from "./errors.ts";
import type { ByteString, KvRecord, ValueType } from "./record.ts";

const ASCII_MAX = 0x7f;

export class StoredRecord implements KvRecord {
  value: ByteString;
  type: ValueType;
  revision: number;
  readonly createRevision: number;
  version: number;
  readonly lease: number;
  readonly expiresAt: number;
  #valueChecksum: number;

  constructor(
    value: ByteString,
    type: ValueType,
    revision: number,
    createRevision: number,
    version: number,
    lease: number,
    expiresAt: number,
  ) {
    this.value = value;
    this.type = type;
    this.revision = revision;
    this.createRevision = createRevision;
    this.version = version;
    this.lease = lease;
    this.expiresAt = expiresAt;
    this.#valueChecksum = checksumOf(value);
  }

  /** Of the value as it was when it was written. */
  get valueChecksum(): number {
    return this.#valueChecksum;
  }

  /** One more version of the same life of the key. */
  overwrite(value: ByteString, type: ValueType, revision: number): void {
    this.value = value;
    this.type = type;
    this.revision = revision;
    this.version += 1;
    this.#valueChecksum = checksumOf(value);
  }

  /** As it is now, whatever is written later. */
  copy(): KvRecord {
    const { value, type, revision, createRevision, version, lease, expiresAt } = this;
    return { value, type, revision, createRevision, version, lease, expiresAt };
  }
}

/** CRC-32 as a signed integer, which takes no heap number of its own. */
export function checksumOf(value: ByteString): number {
  if (value.length > SHORT_BYTES) return crc32(value) | 0;
  let sum = -1;
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    // Native code sees text, and these as two bytes of UTF-8.
    if (code > ASCII_MAX) return crc32(value) | 0;
    sum = checksumStep(sum, code);
  }
  return ~sum;
}

/** The same numbers in commands and in snapshots. */
export function valueTypeCode(type: ValueType): number {
  switch (type) {
    case "json":
      return 1;
    case "text":
      return 2;
    case "binary":
      return 3;
    default:
      return unreachable(type);
  }
}

export function valueTypeOf(code: number): ValueType | undefined {
  switch (code) {
    case 1:
      return "json";
    case 2:
      return "text";
    case 3:
      return "binary";
    default:
      return undefined;
  }
}

export function writeRecord(writer: ByteWriter, record: KvRecord): void {
  writer.uint8(valueTypeCode(record.type));
  writer.uint64(record.revision);
  writer.uint64(record.createRevision);
  writer.uint64(record.version);
  writer.uint64(record.lease);
  writer.uint64(record.expiresAt);
  writer.uint32(record.value.length);
  writer.bytes(record.value);
}

export function readRecord(reader: ByteReader): StoredRecord {
  const code = reader.uint8();
  const type = valueTypeOf(code);
  if (type === undefined) throw new SnapshotFormatError(`unknown value type ${code}`);
  const revision = reader.uint64();
  const createRevision = reader.uint64();
  const version = reader.uint64();
  const lease = reader.uint64();
  const expiresAt = reader.uint64();
  const value = reader.bytes(reader.uint32());
  return new StoredRecord(value, type, revision, createRevision, version, lease, expiresAt);
}
