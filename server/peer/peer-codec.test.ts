import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { SeededRandom } from "../../raft/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import { PeerProtocolError } from "./errors.ts";
import { FRAME_BYTES_MAX, FRAME_PREFIX_BYTES } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import {
  decodeFrame,
  encodeEnvelope,
  encodeForward,
  encodeForwardResults,
  encodeKeepAlive,
} from "./peer-codec.ts";
import type { ForwardResults, PeerMessage } from "./peer-message.ts";
import { encodeReplicaMessage } from "./replica-message-codec.ts";
import { commandEntry, envelope } from "./testing/loopback.ts";
import { PEER_MESSAGES } from "./testing/sample-messages.ts";

function encode(message: PeerMessage): Buffer {
  const writer = new ByteWriter();
  assert.ok(encodeInto(writer, message), "the message fits a frame");
  return Buffer.from(writer.take());
}

function encodeInto(writer: ByteWriter, message: PeerMessage): boolean {
  switch (message.kind) {
    case "raft":
      return encodeEnvelope(writer, message.envelope);
    case "forward":
      return encodeForward(writer, message);
    case "forward-results":
      return encodeForwardResults(writer, message);
    default:
      return encodeReplicaMessage(writer, message);
  }
}

function decodeAll(bytes: Buffer): (PeerMessage | undefined)[] {
  const reader = new FrameReader();
  reader.push(bytes);
  const messages: (PeerMessage | undefined)[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    messages.push(decodeFrame(frame));
  }
  return messages;
}

/** Puts the right CRC on a frame whose body was changed. */
function resealed(frame: Buffer): Buffer {
  frame.writeUInt32LE(crc32(frame.subarray(FRAME_PREFIX_BYTES)), 4);
  return frame;
}

for (const [at, message] of PEER_MESSAGES.entries()) {
  const name = message.kind === "raft" ? message.envelope.message.kind : message.kind;
  test(`a ${name} survives encoding and decoding (sample ${at})`, () => {
    assert.deepEqual(plain(decodeAll(encode(message))), plain([message]));
  });
}

/** Buffers and byte arrays compare by content. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return new Map(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

test("a keep-alive decodes to nothing", () => {
  const writer = new ByteWriter();
  encodeKeepAlive(writer);
  assert.deepEqual(decodeAll(writer.take()), [undefined]);
});

test("an integer of 2^53 is refused wherever it stands", () => {
  for (const message of PEER_MESSAGES) {
    if (message.kind !== "raft") continue;
    for (const field of [0, 1, 2, 3]) {
      const frame = encode(message);
      frame.writeBigUInt64LE(2n ** 53n, FRAME_PREFIX_BYTES + 2 + 8 * field);
      assert.throws(() => decodeAll(resealed(frame)), PeerProtocolError);
    }
  }
});

test("the largest safe integer is taken", () => {
  const message = { kind: "heartbeat", commitIndex: 0, readRound: 0 } as const;
  const writer = new ByteWriter();
  encodeEnvelope(writer, envelope(1, 2, message, Number.MAX_SAFE_INTEGER));
  const [decoded] = decodeAll(writer.take());
  assert.equal(decoded?.kind, "raft");
  assert.equal(decoded.envelope.term, Number.MAX_SAFE_INTEGER);
});

test("a count or length beyond the frame is refused without allocating for it", () => {
  const frames = PEER_MESSAGES.map(encode);
  for (const frame of frames) {
    for (let at = FRAME_PREFIX_BYTES + 2; at + 4 <= frame.length && at < 200; at += 1) {
      const changed = Buffer.from(frame);
      changed.writeUInt32LE(0xffff_ffff, at);
      attempt(() => decodeAll(resealed(changed)), `0xffffffff at ${at}`);
    }
  }
});

test("an unknown kind, an unknown version and left-over bytes are refused", () => {
  const [first] = PEER_MESSAGES;
  assert.ok(first !== undefined);
  const kind = encode(first);
  kind[FRAME_PREFIX_BYTES + 1] = 200;
  assert.throws(() => decodeAll(resealed(kind)), PeerProtocolError);
  const version = encode(first);
  version[FRAME_PREFIX_BYTES] = 2;
  assert.throws(() => decodeAll(resealed(version)), PeerProtocolError);
  const longer = Buffer.concat([encode(first), Buffer.alloc(1)]);
  longer.writeUInt32LE(longer.length - FRAME_PREFIX_BYTES, 0);
  assert.throws(() => decodeAll(resealed(longer)), PeerProtocolError);
});

test("a damaged entry inside an intact frame is refused", () => {
  const entries = [commandEntry(5, 100)];
  const message = {
    kind: "append-entries",
    prevLogIndex: 4,
    prevLogTerm: 7,
    commitIndex: 4,
  } as const;
  const writer = new ByteWriter();
  encodeEnvelope(writer, envelope(1, 2, { ...message, entries }));
  const frame = Buffer.from(writer.take());
  const last = frame.length - 1;
  frame[last] = (frame[last] ?? 0) ^ 1;
  assert.throws(() => decodeAll(resealed(frame)), PeerProtocolError);
});

test("what does not fit a frame is refused and leaves the output as it was", () => {
  const writer = new ByteWriter();
  encodeKeepAlive(writer);
  const before = writer.length;
  const command = Buffer.alloc(FRAME_BYTES_MAX);
  const sent = encodeForward(writer, {
    kind: "forward",
    from: 1,
    to: 2,
    leaderTerm: 1,
    originIncarnation: 1,
    sequence: 1,
    requests: [{ id: 1, command }],
  });
  assert.equal(sent, false);
  assert.equal(writer.length, before);
});

test("a large batch of results becomes several frames with every result once", () => {
  const value = "x".repeat(100_000);
  const record = { value, type: "text", revision: 1, createRevision: 1, version: 1 } as const;
  const current = { ...record, lease: 0, expiresAt: 0 };
  const results: ForwardResults["results"] = Array.from({ length: 100 }, (_, id) => ({
    id,
    outcome: { kind: "applied", result: { kind: "condition-failed", revision: 1, current } },
  }));
  const whole = { kind: "forward-results", from: 1, to: 2, originIncarnation: 9, results } as const;
  const frames = decodeAll(encode(whole));
  assert.ok(frames.length > 10);
  const ids = frames.flatMap((frame) =>
    frame?.kind === "forward-results" ? frame.results.map((result) => result.id) : [],
  );
  assert.deepEqual(
    ids,
    results.map((result) => result.id),
  );
});

test("a kept entry does not pin a chunk of unrelated traffic", () => {
  const small = { kind: "heartbeat", commitIndex: 1, readRound: 1 } as const;
  const entries = [commandEntry(5, 20)];
  const append = {
    kind: "append-entries",
    prevLogIndex: 4,
    prevLogTerm: 7,
    commitIndex: 4,
  } as const;
  const writer = new ByteWriter();
  for (let at = 0; at < 200; at += 1) encodeEnvelope(writer, envelope(1, 2, small));
  encodeEnvelope(writer, envelope(1, 2, { ...append, entries }));
  const last = decodeAll(Buffer.from(writer.take())).at(-1);
  assert.ok(last?.kind === "raft" && last.envelope.message.kind === "append-entries");
  const encoded = last.envelope.message.entries[0]?.encoded;
  assert.ok(encoded !== undefined);
  assert.ok(encoded.buffer.byteLength < 1_000, `it pins ${encoded.buffer.byteLength} bytes`);
});

/** Any outcome but a crash: a message or the one coded error. */
function attempt(run: () => void, what: string): void {
  try {
    run();
  } catch (error) {
    if (error instanceof PeerProtocolError) return;
    assert.fail(`${what}: ${String(error)}`);
  }
}

test("100,000 mutated and random frames give a message or a coded error, never a crash", () => {
  const seed = 20_240_611;
  const random = new SeededRandom(seed);
  const samples = PEER_MESSAGES.map(encode).filter((sample) => sample.length < 2_000);
  for (let run = 0; run < 100_000; run += 1) {
    const sample = samples[random.below(samples.length)];
    assert.ok(sample !== undefined);
    const bytes = run % 4 === 0 ? randomBytes(random, 64) : mutated(random, sample);
    const body = bytes.subarray(Math.min(FRAME_PREFIX_BYTES, bytes.length - 2));
    if (run % 2 === 0) body[0] = 1;
    attempt(() => decodeFrame(body), `seed ${seed}, run ${run}`);
  }
});

function mutated(random: SeededRandom, sample: Buffer): Buffer {
  const bytes = Buffer.from(sample);
  for (let change = random.below(4); change >= 0; change -= 1) {
    const at = random.below(bytes.length);
    bytes[at] =
      random.below(2) === 0 ? random.below(256) : (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  if (random.below(4) > 0) return bytes;
  return bytes.subarray(0, 2 + random.below(bytes.length - 2));
}

function randomBytes(random: SeededRandom, lengthMax: number): Buffer {
  const bytes = Buffer.alloc(2 + random.below(lengthMax));
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = random.below(256);
  return bytes;
}
