/**
 * What can still be said about the entries of a damaged batch. Nothing here is trusted for reading;
 * it names identities, so that lost entries can be fetched from a peer by (index, term).
 */
import type { EntryId } from "../raft/index.ts";
import { decodeBatchHeader } from "./batch-codec.ts";
import {
  type DamagedEntries,
  MalformedError,
  NO_DAMAGED_ENTRIES,
  UnsupportedFormatError,
} from "./errors.ts";
import { salvageBatch } from "./salvage.ts";
import { classifySector, gatherPayload, SECTOR_BYTES } from "./sector.ts";

/** `count` is a hint: the sectors of the batch that are whole say how many there are. */
export function describeDamage(
  bytes: Buffer,
  batchAt: number,
  count: number,
  segment: number,
): DamagedEntries {
  if (batchAt >= bytes.length) return NO_DAMAGED_ENTRIES;
  try {
    return describe(bytes, batchAt, countOf(bytes, batchAt, count, segment), segment);
  } catch (error) {
    if (error instanceof MalformedError || error instanceof UnsupportedFormatError) {
      return NO_DAMAGED_ENTRIES;
    }
    throw error;
  }
}

function countOf(bytes: Buffer, batchAt: number, hint: number, segment: number): number {
  for (let at = batchAt; at < bytes.length; at += SECTOR_BYTES) {
    const sector = classifySector(bytes, at, segment);
    if (sector.state !== "ours") continue;
    const inPlace = batchAt + sector.index * SECTOR_BYTES === at;
    return inPlace && at + SECTOR_BYTES * (sector.count - sector.index) <= bytes.length
      ? sector.count
      : hint;
  }
  return hint;
}

function describe(bytes: Buffer, batchAt: number, count: number, segment: number): DamagedEntries {
  const payload = gatherPayload(bytes, batchAt, count);
  const headIsWhole = classifySector(bytes, batchAt, segment).state === "ours";
  const head = headIsWhole ? decodeBatchHeader(payload) : undefined;
  const lost: EntryId[] = [];
  const readable: EntryId[] = [];
  for (const piece of salvageBatch(payload)) {
    if (piece.kind === "lost") lost.push(idOf(piece.lost));
    if (piece.kind === "entry") readable.push(idOf(piece.entry));
  }
  const firstIndex = head?.firstIndex ?? 0;
  const lastIndex = head?.lastIndex ?? 0;
  return { lost, readable, firstIndex, lastIndex };
}

function idOf({ index, term }: EntryId): EntryId {
  return { term, index };
}
