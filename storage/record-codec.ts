/**
 * What stands inside a batch: one record after another.
 *
 *  0 kind (1)   1 version (1)   2 zero (2)   4 body length (4)   8 body
 *
 * - `entry`: an encoded entry, verbatim. One at index i replaces all entries from i on.
 * - `hard-state`: term, vote, commit index.
 * - `restart`: the log is empty and goes on after this entry, which a snapshot covers.
 */
import type { Entry, EntryId, HardState } from "../raft/index.ts";
import { assert } from "../raft/index.ts";
import { getUint8, getUint16, getUint32, getUint64, putUint32, putUint64 } from "./bytes.ts";
import { decodeEntry, ENTRY_HEADER_BYTES, placeOf } from "./entry-codec.ts";
import { MalformedError, UnsupportedFormatError } from "./errors.ts";

export const RECORD_HEADER_BYTES = 8;
const RECORD_VERSION = 1;
const KIND_ENTRY = 1;
const KIND_HARD_STATE = 2;
const KIND_RESTART = 3;

const HARD_STATE_BODY_BYTES = 24;
const RESTART_BODY_BYTES = 24;

/** The entry a restarted log goes on after. */
export interface LogStart extends EntryId {
  /** 0 when unknown. */
  readonly checksum: number;
}

export type LogRecord =
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "hard-state"; readonly hardState: HardState }
  | { readonly kind: "restart"; readonly start: LogStart };

/** The header that goes in front of an encoded entry. */
export function entryRecordHeader(encodedBytes: number): Uint8Array {
  const header = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
  putHeader(header, KIND_ENTRY, encodedBytes);
  return header;
}

export function encodeHardStateRecord(hardState: HardState): Uint8Array {
  const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + HARD_STATE_BODY_BYTES);
  putHeader(record, KIND_HARD_STATE, HARD_STATE_BODY_BYTES);
  putUint64(record, 8, hardState.term);
  putUint64(record, 16, hardState.vote);
  putUint64(record, 24, hardState.commitIndex);
  return record;
}

export function encodeRestartRecord(start: LogStart): Uint8Array {
  const record = Buffer.allocUnsafe(RECORD_HEADER_BYTES + RESTART_BODY_BYTES);
  putHeader(record, KIND_RESTART, RESTART_BODY_BYTES);
  putUint64(record, 8, start.term);
  putUint64(record, 16, start.index);
  putUint32(record, 24, start.checksum);
  putUint32(record, 28, 0);
  return record;
}

function putHeader(record: Uint8Array, kind: number, bodyBytes: number): void {
  record[0] = kind;
  record[1] = RECORD_VERSION;
  record[2] = 0;
  record[3] = 0;
  putUint32(record, 4, bodyBytes);
}

/** Decodes the records in `bytes`, which is used up exactly; throws MalformedError otherwise. */
export function decodeRecords(bytes: Uint8Array, onRecord: (record: LogRecord) => void): void {
  forEachRecord(bytes, (kind, bodyAt, end) => {
    onRecord(decodeRecord(kind, bytes.subarray(bodyAt, end)));
  });
}

/**
 * Like `decodeRecords` where a snapshot covers the entries: they are only gone past. Returns the
 * last of them when no restart follows it: the log goes on after that one.
 */
export function decodeCoveredRecords(
  bytes: Uint8Array,
  onRecord: (record: LogRecord) => void,
): LogStart | undefined {
  let lastEntryAt: number | undefined;
  forEachRecord(bytes, (kind, bodyAt, end) => {
    if (kind === KIND_ENTRY) {
      if (end - bodyAt < ENTRY_HEADER_BYTES) throw new MalformedError("an entry header is cut");
      lastEntryAt = bodyAt;
      return;
    }
    if (kind === KIND_RESTART) lastEntryAt = undefined;
    onRecord(decodeRecord(kind, bytes.subarray(bodyAt, end)));
  });
  return lastEntryAt === undefined ? undefined : placeOf(bytes.subarray(lastEntryAt));
}

function forEachRecord(
  bytes: Uint8Array,
  visit: (kind: number, bodyAt: number, end: number) => void,
): void {
  let at = 0;
  while (at < bytes.length) {
    if (at + RECORD_HEADER_BYTES > bytes.length) throw new MalformedError("a record header is cut");
    const bodyBytes = getUint32(bytes, at + 4);
    const bodyAt = at + RECORD_HEADER_BYTES;
    if (bodyAt + bodyBytes > bytes.length) throw new MalformedError("a record is cut");
    const version = getUint8(bytes, at + 1);
    if (version !== RECORD_VERSION) throw new UnsupportedFormatError("record version", version);
    if (getUint16(bytes, at + 2) !== 0) throw new MalformedError("a record has unknown flags");
    visit(getUint8(bytes, at), bodyAt, bodyAt + bodyBytes);
    at = bodyAt + bodyBytes;
  }
}

function decodeRecord(kind: number, body: Uint8Array): LogRecord {
  switch (kind) {
    case KIND_ENTRY:
      return { kind: "entry", entry: decodeEntry(body) };
    case KIND_HARD_STATE: {
      if (body.length !== HARD_STATE_BODY_BYTES) throw new MalformedError("hard state length");
      const term = getUint64(body, 0);
      const vote = getUint64(body, 8);
      return { kind: "hard-state", hardState: { term, vote, commitIndex: getUint64(body, 16) } };
    }
    case KIND_RESTART: {
      if (body.length !== RESTART_BODY_BYTES) throw new MalformedError("restart length");
      const start = { term: getUint64(body, 0), index: getUint64(body, 8) };
      return { kind: "restart", start: { ...start, checksum: getUint32(body, 16) } };
    }
    default:
      throw new UnsupportedFormatError("log record kind", kind);
  }
}

/** The length of a record that is no entry, by its header alone; undefined for anything else. */
export function plainRecordBytes(
  bytes: Uint8Array,
  at: number,
): { readonly bytes: number; readonly isRestart: boolean } | undefined {
  const kind = getUint8(bytes, at);
  if (getUint8(bytes, at + 1) !== RECORD_VERSION || getUint16(bytes, at + 2) !== 0)
    return undefined;
  const bodyBytes = getUint32(bytes, at + 4);
  if (kind === KIND_HARD_STATE && bodyBytes === HARD_STATE_BODY_BYTES) {
    return { bytes: HARD_STATE_RECORD_BYTES, isRestart: false };
  }
  if (kind === KIND_RESTART && bodyBytes === RESTART_BODY_BYTES) {
    return { bytes: RECORD_HEADER_BYTES + RESTART_BODY_BYTES, isRestart: true };
  }
  return undefined;
}

/** Bytes an encoded entry takes as a record. */
export function entryRecordBytes(encoded: Uint8Array): number {
  assert(encoded.length >= ENTRY_HEADER_BYTES, "an encoded entry has a header");
  return RECORD_HEADER_BYTES + encoded.length;
}

export const HARD_STATE_RECORD_BYTES = RECORD_HEADER_BYTES + HARD_STATE_BODY_BYTES;
