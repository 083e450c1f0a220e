/**
 * Little-endian integers and a bounded reader and writer. Eight-byte integers are safe integers
 * (below 2^53): a bigger one is malformed, never rounded.
 */
import { assert } from "../raft/index.ts";
import { MalformedError } from "./errors.ts";

const TWO_TO_32 = 0x1_0000_0000;
const HIGH_WORD_LIMIT = 0x20_0000;

export function putUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function putUint64(bytes: Uint8Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "a stored integer is safe and not negative");
  const high = Math.floor(value / TWO_TO_32);
  putUint32(bytes, at, value - high * TWO_TO_32);
  putUint32(bytes, at + 4, high);
}

/** The caller has checked that the bytes are there. */
export function getUint8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function getUint16(bytes: Uint8Array, at: number): number {
  return getUint8(bytes, at) | (getUint8(bytes, at + 1) << 8);
}

export function getUint32(bytes: Uint8Array, at: number): number {
  return (getUint16(bytes, at) | (getUint16(bytes, at + 2) << 16)) >>> 0;
}

export function getUint64(bytes: Uint8Array, at: number): number {
  const high = getUint32(bytes, at + 4);
  if (high >= HIGH_WORD_LIMIT) throw new MalformedError("an integer is above 2^53");
  return getUint32(bytes, at) + high * TWO_TO_32;
}

/** For small structures off the hot path. */
export class ByteWriter {
  #bytes = Buffer.alloc(256);
  #length = 0;

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(this.#length, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }

  uint8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  uint16(value: number): void {
    const at = this.#reserve(2);
    putUint16(this.#bytes, at, value);
  }

  uint32(value: number): void {
    const at = this.#reserve(4);
    putUint32(this.#bytes, at, value);
  }

  uint64(value: number): void {
    const at = this.#reserve(8);
    putUint64(this.#bytes, at, value);
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  /** Length in two bytes, then UTF-8. */
  string(value: string): void {
    const encoded = Buffer.from(value, "utf8");
    assert(encoded.length < 0x1_0000, "a stored string is shorter than 64 KiB");
    this.uint16(encoded.length);
    this.bytes(encoded);
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Reads what ByteWriter wrote; running past the end is malformed. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw new MalformedError("the bytes end too early");
    this.#at += count;
    return at;
  }

  uint8(): number {
    return getUint8(this.#bytes, this.#take(1));
  }

  uint16(): number {
    return getUint16(this.#bytes, this.#take(2));
  }

  uint32(): number {
    return getUint32(this.#bytes, this.#take(4));
  }

  uint64(): number {
    return getUint64(this.#bytes, this.#take(8));
  }

  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  string(): string {
    return Buffer.from(this.bytes(this.uint16())).toString("utf8");
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new MalformedError("bytes are left over");
  }
}
