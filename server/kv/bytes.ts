/**
 * Little-endian integers and byte strings in buffers. Knows nothing of what they mean.
 *
 * - Every integer is a safe one: eight bytes on the wire, below 2^53 in memory.
 * - `ByteReader` never reads past its end; a short or unsafe read is a SnapshotFormatError.
 */
import { assert } from "../../raft/index.ts";
import { SnapshotFormatError } from "./errors.ts";
import type { ByteString } from "./record.ts";

const TWO_32 = 4294967296;
/** Up to here a loop is faster than the call into native code. */
export const SHORT_BYTES = 24;

/** The same memory as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (bytes instanceof Buffer) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Plain stores, which keep the low eight bits: several times faster than the checked methods. */
export function writeUint32(buffer: Buffer, value: number, offset: number): void {
  buffer[offset] = value;
  buffer[offset + 1] = value >>> 8;
  buffer[offset + 2] = value >>> 16;
  buffer[offset + 3] = value >>> 24;
}

export function writeUint64(buffer: Buffer, value: number, offset: number): void {
  writeUint32(buffer, value >>> 0, offset);
  writeUint32(buffer, (value / TWO_32) >>> 0, offset + 4);
}

export function writeBytes(buffer: Buffer, bytes: ByteString | Uint8Array, offset: number): void {
  if (typeof bytes !== "string") buffer.set(bytes, offset);
  else if (bytes.length > SHORT_BYTES) buffer.write(bytes, offset, "latin1");
  else {
    for (let i = 0; i < bytes.length; i += 1) buffer[offset + i] = bytes.charCodeAt(i);
  }
}

/** May be above 2^53 in foreign bytes: the caller checks with Number.isSafeInteger. */
export function readUint64(buffer: Buffer, offset: number): number {
  return buffer.readUInt32LE(offset) + buffer.readUInt32LE(offset + 4) * TWO_32;
}

/** DataView compiles to single loads and stores; a million items have ten million integers. */
function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

function highWord(value: number): number {
  assert(Number.isSafeInteger(value) && value >= 0, "an integer on the wire is a safe one");
  return (value / TWO_32) >>> 0;
}

/** A buffer that grows, written at its end and taken from its front. */
export class ByteWriter {
  #buffer: Buffer;
  #view: DataView;
  #length = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
    this.#view = viewOf(this.#buffer);
  }

  get length(): number {
    return this.#length;
  }

  uint8(value: number): void {
    const at = this.#extend(1);
    this.#view.setUint8(at, value);
  }

  uint16(value: number): void {
    const at = this.#extend(2);
    this.#view.setUint16(at, value, true);
  }

  uint32(value: number): void {
    const at = this.#extend(4);
    this.#view.setUint32(at, value, true);
  }

  uint64(value: number): void {
    const low = value >>> 0;
    const high = low === value ? 0 : highWord(value);
    const at = this.#extend(8);
    this.#view.setUint32(at, low, true);
    this.#view.setUint32(at + 4, high, true);
  }

  bytes(value: ByteString): void {
    const at = this.#extend(value.length);
    writeBytes(this.#buffer, value, at);
  }

  /** Overwrites four bytes written before, for lengths known only at the end. */
  patchUint32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  /** A copy of the first `count` bytes, which leave the writer. */
  take(count: number): Buffer {
    assert(count <= this.#length, "no more is taken than was written");
    const taken = Buffer.allocUnsafeSlow(count);
    this.#buffer.copy(taken, 0, 0, count);
    this.#buffer.copyWithin(0, count, this.#length);
    this.#length -= count;
    return taken;
  }

  #extend(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) this.#grow(at);
    return at;
  }

  #grow(usedBytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#length, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, usedBytes);
    this.#buffer = larger;
    this.#view = viewOf(larger);
  }
}

/** Reads what a ByteWriter wrote, between two offsets of a buffer. */
export class ByteReader {
  #buffer: Buffer = Buffer.alloc(0);
  #view: DataView = viewOf(this.#buffer);
  #at = 0;
  #end = 0;

  /** Points the reader at a range; one reader serves a million items. */
  reset(buffer: Buffer, start: number, end: number): void {
    assert(start >= 0 && start <= end && end <= buffer.length, "a range lies in its buffer");
    if (buffer !== this.#buffer) this.#view = viewOf(buffer);
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  uint64(): number {
    const at = this.#advance(8);
    const value = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * TWO_32;
    if (value > Number.MAX_SAFE_INTEGER) {
      throw new SnapshotFormatError("an integer is above 2^53 - 1");
    }
    return value;
  }

  /** A fresh string: it never pins the buffer it came from. */
  bytes(count: number): ByteString {
    const at = this.#advance(count);
    return this.#buffer.toString("latin1", at, at + count);
  }

  /** Nothing may be left over. */
  finish(): void {
    if (this.remaining !== 0) {
      throw new SnapshotFormatError(`an item has ${this.remaining} bytes too many`);
    }
  }

  #advance(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw new SnapshotFormatError("an item is shorter than it says");
    this.#at = at + count;
    return at;
  }
}
