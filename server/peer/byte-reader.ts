/**
 * Reads what `ByteWriter` wrote, from bytes nobody vouches for. Every read is bounded by what is
 * there; anything else is a `PeerProtocolError`. Nothing is allocated from a claimed length or
 * count before as many bytes have been seen.
 */
import { PeerProtocolError } from "./errors.ts";

const TWO_TO_32 = 0x1_0000_0000;
/** The high half of 2^53: integers from there on can not be represented exactly. */
const HIGH_LIMIT = 0x20_0000;

export class ByteReader {
  readonly #bytes: Buffer;
  #offset: number;

  constructor(bytes: Buffer, offset: number) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw new PeerProtocolError("a flag is neither 0 nor 1");
    return value === 1;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4));
  }

  uint(): number {
    const at = this.#advance(8);
    const high = this.#bytes.readUInt32LE(at + 4);
    if (high >= HIGH_LIMIT) throw new PeerProtocolError("an integer is 2^53 or more");
    return high * TWO_TO_32 + this.#bytes.readUInt32LE(at);
  }

  /** A count of things that take at least `bytesEach` bytes, so it can not promise more. */
  count(bytesEach: number): number {
    const count = this.u32();
    if (count * bytesEach > this.remaining) {
      throw new PeerProtocolError("a count is larger than the bytes that follow it");
    }
    return count;
  }

  /** Shares memory with the frame. */
  bytes(): Buffer {
    const length = this.u32();
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  latin1(): string {
    const length = this.u32();
    const start = this.#advance(length);
    return this.#bytes.toString("latin1", start, start + length);
  }

  text(bytesMax: number): string {
    const length = this.u32();
    if (length > bytesMax) throw new PeerProtocolError("a text is longer than allowed");
    const start = this.#advance(length);
    return this.#bytes.toString("utf8", start, start + length);
  }

  /** A position in a closed list, as written by `indexOf`. */
  choice<Value>(values: readonly Value[]): Value {
    const value = values[this.u8()];
    if (value === undefined) throw new PeerProtocolError("a value is outside its closed list");
    return value;
  }

  end(): void {
    if (this.remaining !== 0) throw new PeerProtocolError("bytes are left after the message");
  }

  #advance(byteLength: number): number {
    const start = this.#offset;
    if (byteLength > this.#bytes.length - start) {
      throw new PeerProtocolError("the message ends too early");
    }
    this.#offset = start + byteLength;
    return start;
  }
}
