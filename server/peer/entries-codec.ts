/** Entries in frames: as they stand on disk, each behind its length. */
import { assert, type Entry, InvariantError } from "../../raft/index.ts";
import { decodeEntry } from "../../storage/index.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { PeerProtocolError } from "./errors.ts";

export function writeEntries(writer: ByteWriter, entries: readonly Entry[]): void {
  writer.u32(entries.length);
  for (const entry of entries) {
    assert(entry.encoded !== undefined, "an entry is encoded before it is sent");
    writer.bytes(entry.encoded);
  }
}

export function readEntries(reader: ByteReader): Entry[] {
  const count = reader.count(4);
  const entries: Entry[] = [];
  for (let at = 0; at < count; at += 1) {
    entries.push(readEntry(reader.bytes()));
  }
  return entries;
}

/** Whatever storage finds wrong with the bytes: they came from a peer, so the peer is to blame. */
function readEntry(bytes: Buffer): Entry {
  try {
    return decodeEntry(bytes);
  } catch (cause) {
    if (cause instanceof InvariantError) throw cause;
    throw new PeerProtocolError("an entry can not be decoded", { cause });
  }
}
