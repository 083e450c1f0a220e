/**
 * Cuts a byte stream into frames, whatever the chunks it comes in. It checks length and CRC and
 * knows nothing of what stands inside.
 *
 * Invariants: `push` only after `next` returned undefined. A whole frame inside one chunk is not
 * copied. Memory held is at most twice what was received of one frame, never what a length claims.
 */
import { crc32 } from "node:zlib";
import { assert } from "../../raft/index.ts";
import { PeerProtocolError } from "./errors.ts";
import { FRAME_BODY_BYTES_MIN, FRAME_BYTES_MAX, FRAME_PREFIX_BYTES } from "./frame.ts";

const EMPTY = Buffer.alloc(0);

export class FrameReader {
  #chunk: Buffer = EMPTY;
  #offset = 0;
  /** The beginning of a frame whose end has not arrived. */
  #partial: Buffer = EMPTY;
  #partialBytes = 0;

  /** True between frames: the stream may end here. */
  get isAtBoundary(): boolean {
    return this.#partialBytes === 0 && this.#offset === this.#chunk.length;
  }

  push(chunk: Buffer): void {
    assert(this.#offset === this.#chunk.length, "the chunk before is used up");
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** The body of the next frame (version, kind, payload); undefined when bytes are missing. */
  next(): Buffer | undefined {
    if (this.#partialBytes > 0) return this.#resume();
    const available = this.#chunk.length - this.#offset;
    if (available === 0) return this.#exhausted();
    if (available < FRAME_PREFIX_BYTES) return this.#keep(FRAME_PREFIX_BYTES);
    const frameBytes = frameBytesAt(this.#chunk, this.#offset);
    if (available < frameBytes) return this.#keep(frameBytes);
    const frame = this.#chunk.subarray(this.#offset, this.#offset + frameBytes);
    this.#offset += frameBytes;
    return checkedBody(frame);
  }

  /** What follows the last frame, for a stream that goes on as raw bytes. */
  rest(): Buffer {
    assert(this.#partialBytes === 0, "no frame is unfinished");
    const rest = this.#chunk.subarray(this.#offset);
    this.#exhausted();
    return rest;
  }

  #resume(): Buffer | undefined {
    if (this.#partialBytes < FRAME_PREFIX_BYTES) {
      this.#take(FRAME_PREFIX_BYTES);
      if (this.#partialBytes < FRAME_PREFIX_BYTES) return this.#exhausted();
    }
    const frameBytes = frameBytesAt(this.#partial, 0);
    this.#take(frameBytes);
    if (this.#partialBytes < frameBytes) return this.#exhausted();
    const frame = this.#partial.subarray(0, frameBytes);
    this.#partial = EMPTY;
    this.#partialBytes = 0;
    return checkedBody(frame);
  }

  #keep(frameBytes: number): undefined {
    this.#take(frameBytes);
    return this.#exhausted();
  }

  /** Moves bytes of the chunk to the partial frame until that holds `frameBytes`. */
  #take(frameBytes: number): void {
    const available = this.#chunk.length - this.#offset;
    const taken = Math.min(available, frameBytes - this.#partialBytes);
    const needed = this.#partialBytes + taken;
    if (needed > this.#partial.length) {
      const capacity = Math.min(frameBytes, Math.max(needed, this.#partial.length * 2));
      const grown = Buffer.allocUnsafeSlow(capacity);
      this.#partial.copy(grown, 0, 0, this.#partialBytes);
      this.#partial = grown;
    }
    this.#chunk.copy(this.#partial, this.#partialBytes, this.#offset, this.#offset + taken);
    this.#partialBytes = needed;
    this.#offset += taken;
  }

  #exhausted(): undefined {
    this.#chunk = EMPTY;
    this.#offset = 0;
    return undefined;
  }
}

function frameBytesAt(bytes: Buffer, offset: number): number {
  const bodyBytes = bytes.readUInt32LE(offset);
  if (bodyBytes < FRAME_BODY_BYTES_MIN) throw new PeerProtocolError("a frame is too short");
  if (bodyBytes > FRAME_BYTES_MAX - FRAME_PREFIX_BYTES) {
    throw new PeerProtocolError("a frame is too long");
  }
  return FRAME_PREFIX_BYTES + bodyBytes;
}

function checkedBody(frame: Buffer): Buffer {
  const body = frame.subarray(FRAME_PREFIX_BYTES);
  if (crc32(body) !== frame.readUInt32LE(4)) {
    throw new PeerProtocolError("a frame does not match its checksum");
  }
  return body;
}
