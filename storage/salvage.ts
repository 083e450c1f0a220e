/**
 * What can still be read in the records of a damaged batch. Entry headers and payloads have
 * checksums of their own, so each entry is whole, or lost with its identity known, or lost without
 * a trace; in the last case the next record is searched for byte by byte.
 */
import type { Entry } from "../raft/index.ts";
import { BATCH_HEADER_BYTES, decodeBatchHeader } from "./batch-codec.ts";
import { getUint8, getUint32 } from "./bytes.ts";
import { decodeEntry, decodeEntryHeader, ENTRY_HEADER_BYTES } from "./entry-codec.ts";
import { MalformedError } from "./errors.ts";
import { type LogStart, plainRecordBytes, RECORD_HEADER_BYTES } from "./record-codec.ts";
import type { LostEntry } from "./repair-contract.ts";
import { SECTOR_PAYLOAD_BYTES } from "./sector.ts";

/** What a batch did to the log, as far as it can be known. */
export type LogPiece =
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "lost"; readonly lost: LostEntry }
  | { readonly kind: "restart"; readonly start: LogStart }
  /** Something stood here that nobody can name any more. */
  | { readonly kind: "unknown" };

/** `payload` is that of all sectors of the batch, damaged ones included. */
export function salvageBatch(payload: Buffer): readonly LogPiece[] {
  const pieces: LogPiece[] = [];
  const declared = declaredEnd(payload);
  const end = endOfData(payload);
  let records = 0;
  let at = BATCH_HEADER_BYTES;
  while (at < end) {
    if (at === declared.at && records === declared.records) break;
    const found = entryAt(payload, at + RECORD_HEADER_BYTES);
    const plain = found === undefined ? plainRecordBytes(payload, at) : undefined;
    if (found !== undefined) pieces.push(found.piece);
    // A restart has no checksum of its own: what it says is not believed.
    else if (plain?.isRestart !== false) sayUnknown(pieces);
    const bytes = found?.bytes ?? plain?.bytes;
    at += bytes ?? 1;
    records += bytes === undefined ? 0 : 1;
  }
  // The head of the batch says twice where its records end; damage rarely makes one come true.
  if (at !== declared.at && records !== declared.records) sayUnknown(pieces);
  // A batch has no sector to spare: damage that goes on behind its records has swallowed others.
  if (payload.length - declared.at >= SECTOR_PAYLOAD_BYTES) sayUnknown(pieces);
  return pieces;
}

function sayUnknown(pieces: LogPiece[]): void {
  if (pieces.at(-1)?.kind !== "unknown") pieces.push({ kind: "unknown" });
}

function declaredEnd(payload: Buffer): { readonly at: number; readonly records: number } {
  const recordBytes = getUint32(payload, 4);
  try {
    const { recordCount } = decodeBatchHeader(payload);
    return { at: BATCH_HEADER_BYTES + recordBytes, records: recordCount };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { at: BATCH_HEADER_BYTES + recordBytes, records: -1 };
  }
}

function entryAt(
  payload: Buffer,
  at: number,
): { readonly piece: LogPiece; readonly bytes: number } | undefined {
  // Cheap to refuse: this runs at every byte behind damage.
  const type = getUint8(payload, at + 1);
  if (getUint8(payload, at) === 0 || type === 0 || type > 0x0f) return undefined;
  const header = decodeEntryHeader(payload.subarray(at, at + ENTRY_HEADER_BYTES));
  if (header === undefined || header.index === 0) return undefined;
  const entryBytes = ENTRY_HEADER_BYTES + header.payloadBytes;
  const bytes = RECORD_HEADER_BYTES + entryBytes;
  const { index, term, checksum, previous } = header;
  const lost: LogPiece = { kind: "lost", lost: { index, term, checksum, previous } };
  if (at + entryBytes > payload.length) return { piece: lost, bytes };
  try {
    // A copy of its own: the batch's buffer need not live as long as the entry.
    const entry = decodeEntry(Buffer.from(payload.subarray(at, at + entryBytes)));
    return { piece: { kind: "entry", entry }, bytes };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return { piece: lost, bytes };
  }
}

/** Behind the last byte that is not zero: what follows the records is padding. */
function endOfData(payload: Buffer): number {
  let end = payload.length;
  while (end > 0 && payload[end - 1] === 0) end -= 1;
  return end;
}
