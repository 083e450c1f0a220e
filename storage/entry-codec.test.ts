import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../raft/index.ts";
import { putUint32 } from "./bytes.ts";
import { checksum } from "./checksum.ts";
import {
  decodeEntry,
  decodeEntryHeader,
  ENTRY_HEADER_BYTES,
  encodedEntryBytes,
  encodeEntry,
  entryChecksum,
  previousOf,
} from "./entry-codec.ts";
import { UnsupportedFormatError } from "./errors.ts";

const BIGGEST = Number.MAX_SAFE_INTEGER;
const PREVIOUS = { term: 7, checksum: 0xdeadbeef };

function examples(): Entry[] {
  const place = { group: 0, term: 8, index: 12, time: 1_700_000_000_000 };
  const member = { id: 3, incarnation: BIGGEST, peerAddress: "[::1]:7", clientAddress: "höst:8" };
  const configuration = { members: [{ ...member, role: "voter" } as const] };
  return [
    { ...place, type: "noop" },
    { ...place, type: "command", data: Buffer.from("put a=1") },
    { ...place, type: "command", data: Buffer.alloc(0) },
    { ...place, type: "conf-change", configuration },
    { ...place, type: "time", term: BIGGEST, index: BIGGEST, time: BIGGEST, group: 0xffffffff },
    { ...place, type: "feature-level", level: 2 },
  ];
}

test("every type of entry survives the way there and back", () => {
  for (const entry of examples()) {
    const bytes = encodeEntry(entry, PREVIOUS);
    const decoded = decodeEntry(bytes);
    assert.equal(decoded.encoded, bytes);
    const { encoded: _, ...plain } = decoded;
    const { encoded: __, ...expected } = entry;
    assert.deepEqual(plain, expected);
    assert.deepEqual(previousOf(bytes), PREVIOUS);
    assert.equal(encodedEntryBytes(bytes, 0), bytes.length);
  }
});

test("an entry is encoded once and its bytes are shared", () => {
  const entry = examples()[1];
  assert.ok(entry !== undefined);
  const bytes = encodeEntry(entry, PREVIOUS);
  assert.equal(encodeEntry(entry, { term: 1, checksum: 1 }), bytes);
  assert.equal(entry.encoded, bytes);
});

test("the checksum of an entry depends on all entries before it", () => {
  const [a, b] = [examples()[0], examples()[0]];
  assert.ok(a !== undefined && b !== undefined);
  encodeEntry(a, { term: 7, checksum: 1 });
  encodeEntry(b, { term: 7, checksum: 2 });
  assert.notEqual(entryChecksum(a), entryChecksum(b));
});

test("any flipped bit is refused, and a damaged payload keeps its identity", () => {
  for (const entry of examples()) {
    const bytes = Buffer.from(encodeEntry(entry, PREVIOUS));
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      const at = Math.floor(bit / 8);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit % 8));
      assert.throws(() => decodeEntry(flipped), { code: "malformed" }, `bit ${bit}`);
      const header = decodeEntryHeader(flipped);
      if (at < ENTRY_HEADER_BYTES) assert.equal(header, undefined);
      else assert.deepEqual([header?.index, header?.term], [entry.index, entry.term]);
    }
  }
});

test("bytes cut short or too long are refused", () => {
  for (const entry of examples()) {
    const bytes = encodeEntry(entry, PREVIOUS);
    for (let length = 0; length < bytes.length; length += 1) {
      assert.throws(() => decodeEntry(bytes.subarray(0, length)), { code: "malformed" });
    }
    assert.throws(() => decodeEntry(Buffer.concat([bytes, Buffer.alloc(1)])), {
      code: "malformed",
    });
  }
});

test("an unknown type or version stops the node with a message that says what to do", () => {
  for (const [at, value] of [
    [0, 2],
    [1, 99],
  ] as const) {
    const entry = examples()[0];
    assert.ok(entry !== undefined);
    const bytes = Buffer.from(encodeEntry(entry, PREVIOUS));
    bytes[at] = value;
    putUint32(bytes, 52, checksum(bytes.subarray(0, 52)));
    assert.throws(
      () => decodeEntry(bytes),
      (error) => error instanceof UnsupportedFormatError && /upgrade/.test(error.message),
    );
  }
});
