/**
 * A map by byte string, in no order: finds a key in one step where a tree compares it with
 * seventeen others.
 *
 * - Split over several maps of the language: one that grows stops the loop only for its own share
 *   of the keys, and ends at 2^24 of them.
 */
import { assert } from "../../raft/index.ts";
import type { ByteString } from "./record.ts";

const PART_BITS = 4;
/** Of a longer key every second, third, ... character is read. */
const READ_WHOLE_BITS = 5;
/** Odd, of xxHash. */
const MULTIPLIER = 0x9e3779b1;

export class HashMap<Value> {
  readonly #parts: readonly Map<ByteString, Value>[] = Array.from(
    { length: 2 ** PART_BITS },
    () => new Map<ByteString, Value>(),
  );

  get(key: ByteString): Value | undefined {
    return this.#part(key).get(key);
  }

  set(key: ByteString, value: Value): void {
    this.#part(key).set(key, value);
  }

  delete(key: ByteString): boolean {
    return this.#part(key).delete(key);
  }

  #part(key: ByteString): Map<ByteString, Value> {
    const { length } = key;
    const step = 1 + (length >> READ_WHOLE_BITS);
    let hash = length;
    for (let at = 0; at < length; at += step) {
      hash = Math.imul(hash ^ key.charCodeAt(at), MULTIPLIER);
    }
    const part = this.#parts[hash >>> (32 - PART_BITS)];
    assert(part !== undefined, "four bits name one of sixteen parts");
    return part;
  }
}
