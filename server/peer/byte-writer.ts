/**
 * A growing output buffer that messages are encoded straight into. It knows numbers and bytes, not
 * messages. Integers are little-endian and at most 2^53 - 1, written in eight bytes.
 *
 * Invariant: bytes below `length` are final unless patched or truncated. A buffer that left through
 * `take` is never written again before `reuse` gives it back.
 */
import { assert } from "../../raft/index.ts";

const INITIAL_BYTES = 16 * 1024;
/** A buffer above this size, grown by a burst, is let go instead of kept. */
const KEPT_BYTES_MAX = 1024 * 1024;
const TWO_TO_32 = 0x1_0000_0000;

export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #view = viewOf(this.#buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#ensure(1);
    this.#view.setUint8(this.#length, value);
    this.#length += 1;
  }

  flag(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  u32(value: number): void {
    this.#ensure(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  uint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "an integer to send is safe and unsigned");
    this.#ensure(8);
    const high = Math.floor(value / TWO_TO_32);
    this.#view.setUint32(this.#length, value - high * TWO_TO_32, true);
    this.#view.setUint32(this.#length + 4, high, true);
    this.#length += 8;
  }

  /** Bytes with their count in front. */
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.#ensure(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** One byte per character: for keys and values. */
  latin1(value: string): void {
    this.u32(value.length);
    this.#ensure(value.length);
    this.#length += this.#buffer.write(value, this.#length, "latin1");
  }

  text(value: string): void {
    const byteLength = Buffer.byteLength(value, "utf8");
    this.u32(byteLength);
    this.#ensure(byteLength);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
  }

  patchU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  view(from: number): Buffer {
    return this.#buffer.subarray(from, this.#length);
  }

  truncate(length: number): void {
    this.#length = length;
  }

  /** All bytes so far. They stay as they are until `reuse`; writing on needs `renew` first. */
  take(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The taken bytes have been copied elsewhere: start again in the same memory. */
  reuse(): void {
    this.#length = 0;
    if (this.#buffer.length > KEPT_BYTES_MAX) this.renew();
  }

  /** The taken bytes are still being read: leave them alone and start again in new memory. */
  renew(): void {
    this.#replace(Buffer.allocUnsafeSlow(INITIAL_BYTES));
    this.#length = 0;
  }

  #ensure(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#replace(grown);
  }

  #replace(buffer: Buffer<ArrayBuffer>): void {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
  }
}

function viewOf(buffer: Buffer<ArrayBuffer>): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
