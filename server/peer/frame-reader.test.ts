import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import { PeerProtocolError } from "./errors.ts";
import { beginFrame, endFrame, FRAME_BYTES_MAX, FRAME_KINDS } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";

/** Frames whose payloads have these lengths, back to back. */
function frames(payloadLengths: readonly number[]): Buffer {
  const writer = new ByteWriter();
  for (const [at, length] of payloadLengths.entries()) {
    const start = beginFrame(writer, FRAME_KINDS.forward);
    writer.bytes(Buffer.alloc(length, at + 1));
    endFrame(writer, start);
  }
  return Buffer.from(writer.take());
}

/** The payload lengths read from `bytes` cut into chunks of the given sizes. */
function readLengths(bytes: Buffer, nextChunkBytes: () => number): number[] {
  const reader = new FrameReader();
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const chunkBytes = Math.max(1, nextChunkBytes());
    reader.push(Buffer.from(bytes.subarray(at, at + chunkBytes)));
    at += chunkBytes;
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      lengths.push(frame.length - 6);
    }
  }
  assert.equal(reader.isAtBoundary, true);
  return lengths;
}

test("frames come out whole however the stream is cut", () => {
  const lengths = [0, 1, 3, 900, 0, 70_000, 5];
  const bytes = frames(lengths);
  for (const chunkBytes of [7, 8, 9, 10, 11, 64, 1_000, 65_536, bytes.length]) {
    const cut = readLengths(bytes, () => chunkBytes);
    assert.deepEqual(cut, lengths, `chunks of ${chunkBytes}`);
  }
  const byteByByte = readLengths(frames([0, 1, 300]), () => 1);
  assert.deepEqual(byteByByte, [0, 1, 300]);
  const seed = 7;
  const random = new SeededRandom(seed);
  for (let run = 0; run < 50; run += 1) {
    const cut = readLengths(bytes, () => random.below(5_000));
    assert.deepEqual(cut, lengths, `seed ${seed}, run ${run}`);
  }
});

test("a frame inside one chunk is not copied", () => {
  const bytes = frames([10, 20]);
  const reader = new FrameReader();
  reader.push(bytes);
  assert.equal(reader.next()?.buffer, bytes.buffer);
});

test("a length beyond the limit is refused at once, and nothing is allocated for it", () => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(FRAME_BYTES_MAX, 0);
  const reader = new FrameReader();
  reader.push(bytes);
  assert.throws(() => reader.next(), PeerProtocolError);
  const short = Buffer.alloc(8);
  short.writeUInt32LE(1, 0);
  const other = new FrameReader();
  other.push(short);
  assert.throws(() => other.next(), PeerProtocolError);
});

test("a claimed length costs no more memory than what has arrived", () => {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt32LE(FRAME_BYTES_MAX - 8, 0);
  const before = process.memoryUsage().arrayBuffers;
  const readers = Array.from({ length: 50 }, () => {
    const reader = new FrameReader();
    reader.push(Buffer.from(bytes));
    assert.equal(reader.next(), undefined);
    return reader;
  });
  const grownBytes = process.memoryUsage().arrayBuffers - before;
  assert.ok(grownBytes < 1_000_000, `${readers.length} readers hold ${grownBytes} bytes`);
});

test("raw bytes can follow the last frame", () => {
  const reader = new FrameReader();
  reader.push(Buffer.concat([frames([4]), Buffer.from("raw")]));
  assert.ok(reader.next() !== undefined);
  assert.equal(reader.rest().toString(), "raw");
  assert.equal(reader.isAtBoundary, true);
});

test("no changed byte is ever accepted: 100,000 damaged streams", () => {
  const seed = 991;
  const random = new SeededRandom(seed);
  const sound = frames([40, 3]);
  for (let run = 0; run < 100_000; run += 1) {
    const bytes = Buffer.from(sound);
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 + random.below(255));
    const accepted = acceptedFrames(bytes, random);
    const isFirstDamaged = at < 8 + 46;
    assert.ok(accepted <= (isFirstDamaged ? 0 : 1), `seed ${seed}, run ${run}, byte ${at}`);
  }
});

/** How many frames are accepted before the stream is refused or ends. */
function acceptedFrames(bytes: Buffer, random: SeededRandom): number {
  const reader = new FrameReader();
  let accepted = 0;
  const cut = random.below(bytes.length);
  try {
    for (const chunk of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      reader.push(chunk);
      while (reader.next() !== undefined) accepted += 1;
    }
  } catch (error) {
    assert.ok(error instanceof PeerProtocolError, String(error));
  }
  return accepted;
}
