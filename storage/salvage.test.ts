/** What can be told of a damaged batch, and what must be left open. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../raft/index.ts";
import { BATCH_HEADER_BYTES, type BatchPlace, encodeBatch } from "./batch-codec.ts";
import { ENTRY_HEADER_BYTES, encodeEntry, entryChecksum } from "./entry-codec.ts";
import {
  encodeHardStateRecord,
  encodeRestartRecord,
  entryRecordHeader,
  RECORD_HEADER_BYTES,
} from "./record-codec.ts";
import { salvageBatch } from "./salvage.ts";
import { gatherPayload, PAGE_BYTES, SECTOR_PAYLOAD_BYTES } from "./sector.ts";

const DATA_BYTES = 30;

/** Entries 5, 6 and 7 behind what `before` says, as one sector's payload. */
function batchPayload(before: readonly Uint8Array[] = []): Buffer {
  const records: Uint8Array[] = [...before];
  let previous = { term: 1, checksum: 77 };
  for (let index = 5; index <= 7; index += 1) {
    const data = Buffer.alloc(DATA_BYTES, index);
    const entry: Entry = { type: "command", group: 0, term: 2, index, time: index, data };
    const encoded = encodeEntry(entry, previous);
    previous = { term: 2, checksum: entryChecksum(entry) };
    records.push(entryRecordHeader(encoded.length), encoded);
  }
  const recordBytes = records.reduce((sum, record) => sum + record.length, 0);
  const recordCount = 3 + before.length;
  const bytes = Buffer.alloc(PAGE_BYTES);
  const place: BatchPlace = { kind: "batch", segment: 3, sequence: 9 };
  const header = { previousChain: 1, durableSequence: 8, firstIndex: 5, lastIndex: 7, recordCount };
  encodeBatch(bytes, 0, place, header, records, recordBytes);
  return gatherPayload(bytes, 0, 1);
}

function told(payload: Buffer): string {
  const words = salvageBatch(payload).map((piece) => {
    if (piece.kind === "entry") return `${piece.entry.index}`;
    if (piece.kind === "lost") return `lost ${piece.lost.index}/${piece.lost.term}`;
    return piece.kind;
  });
  return words.join(", ");
}

function flipped(payload: Buffer, at: number): Buffer {
  const bytes = Buffer.from(payload);
  bytes[at] = (bytes[at] ?? 0) ^ 0x20;
  return bytes;
}

const RECORD_BYTES = RECORD_HEADER_BYTES + ENTRY_HEADER_BYTES + DATA_BYTES;
const LAST_RECORD_AT = BATCH_HEADER_BYTES + 2 * RECORD_BYTES;

test("a batch of which only a checksum of a sector is gone has everything", () => {
  const hardState = encodeHardStateRecord({ term: 2, vote: 1, commitIndex: 3 });
  assert.equal(told(batchPayload([hardState])), "5, 6, 7");
});

test("a damaged payload is lost by name, also the last one", () => {
  const at = LAST_RECORD_AT + RECORD_HEADER_BYTES + ENTRY_HEADER_BYTES + 3;
  assert.equal(told(flipped(batchPayload(), at)), "5, 6, lost 7/2");
});

test("a damaged entry header hides that entry alone", () => {
  const at = BATCH_HEADER_BYTES + RECORD_BYTES + RECORD_HEADER_BYTES + 20;
  assert.equal(told(flipped(batchPayload(), at)), "5, unknown, 7");
});

test("behind the damaged header of the last entry the end stays open", () => {
  const at = LAST_RECORD_AT + RECORD_HEADER_BYTES + 20;
  assert.equal(told(flipped(batchPayload(), at)), "5, 6, unknown");
});

test("no single bad byte makes an entry up, or closes an end that is open", () => {
  const payload = batchPayload();
  for (let at = 0; at < SECTOR_PAYLOAD_BYTES; at += 1) {
    const text = told(flipped(payload, at));
    const wrong = text.split(", ").filter((word) => !/^(5|6|7|lost [567]\/2|unknown)$/.test(word));
    assert.deepEqual(wrong, [], `byte ${at}: ${text}`);
    assert.match(text, /(7|lost 7\/2|unknown)$/, `byte ${at}`);
    const bodyAt = BATCH_HEADER_BYTES + RECORD_HEADER_BYTES;
    if (at < bodyAt) assert.match(text, /^5, 6, 7$/, `byte ${at}: the head is said twice`);
  }
});

test("a restart is not believed without a checksum of its own", () => {
  const restart = encodeRestartRecord({ index: 4, term: 1, checksum: 77 });
  assert.equal(told(batchPayload([restart])), "unknown, 5, 6, 7");
});

test("rubbish tells nothing", () => {
  assert.equal(told(Buffer.alloc(SECTOR_PAYLOAD_BYTES, 0xee)), "unknown");
});
