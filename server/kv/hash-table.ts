/**
 * One table of a hash map (see hash-map.ts): open addressing with linear probing. Its caller brings
 * the hash of each key.
 *
 * - A slot is free when its hash is 0, and at least a quarter of them are.
 * - No free slot stands between a key's home and the slot it stands in.
 * - A free slot keeps nothing alive, and a table that empties gives its memory back.
 */
import { assert } from "../../raft/index.ts";
import type { ByteString } from "./record.ts";

const SLOTS_MIN = 16;
/** A table is doubled when more than three quarters of its slots would be taken. */
const TAKEN_QUARTERS_MAX = 3;
/** And halved when less than an eighth are: far enough from there that it does not swing. */
const SLOTS_PER_KEY_MAX = 8;

export class HashTable<Value> {
  #hashes = new Int32Array(SLOTS_MIN);
  #keys: (ByteString | undefined)[] = emptySlots(SLOTS_MIN);
  #values: (Value | undefined)[] = emptySlots(SLOTS_MIN);
  #taken = 0;

  get slots(): number {
    return this.#hashes.length;
  }

  /** How far the keys stand from their homes: the sum over all. */
  get displacement(): number {
    let sum = 0;
    this.#hashes.forEach((hash, at) => {
      if (hash !== 0) sum += this.#distance(hash, at);
    });
    return sum;
  }

  get(key: ByteString, hash: number): Value | undefined {
    return this.#values[this.#find(key, hash)];
  }

  set(key: ByteString, hash: number, value: Value): void {
    assert(hash !== 0, "0 marks a free slot");
    let at = this.#find(key, hash);
    if (this.#hashes[at] === 0) {
      if (4 * (this.#taken + 1) > TAKEN_QUARTERS_MAX * this.slots) {
        this.#resize(2 * this.slots);
        at = this.#find(key, hash);
      }
      this.#taken += 1;
    }
    this.#put(at, hash, key, value);
  }

  /** What stands behind the key moves up, as far as its home allows: no slot is wasted. */
  delete(key: ByteString, hash: number): boolean {
    let free = this.#find(key, hash);
    if (this.#hashes[free] === 0) return false;
    for (let at = this.#next(free); ; at = this.#next(at)) {
      const other = this.#hashes[at] ?? 0;
      if (other === 0) break;
      if (this.#distance(other, at) < this.#distance(other, free)) continue;
      this.#put(free, other, this.#keys[at], this.#values[at]);
      free = at;
    }
    this.#put(free, 0, undefined, undefined);
    this.#taken -= 1;
    const isEmptied = this.slots > SLOTS_MIN && this.#taken * SLOTS_PER_KEY_MAX < this.slots;
    if (isEmptied) this.#resize(this.slots / 2);
    return true;
  }

  /** The slot of the key, or the free one where it would stand. */
  #find(key: ByteString, hash: number): number {
    const hashes = this.#hashes;
    const mask = hashes.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const found = hashes[at];
      if (found === 0 || (found === hash && this.#keys[at] === key)) return at;
    }
  }

  #put(at: number, hash: number, key: ByteString | undefined, value: Value | undefined): void {
    this.#hashes[at] = hash;
    this.#keys[at] = key;
    this.#values[at] = value;
  }

  #resize(slots: number): void {
    const hashes = this.#hashes;
    const keys = this.#keys;
    const values = this.#values;
    this.#hashes = new Int32Array(slots);
    this.#keys = emptySlots(slots);
    this.#values = emptySlots(slots);
    hashes.forEach((hash, from) => {
      if (hash === 0) return;
      let at = hash & (slots - 1);
      while (this.#hashes[at] !== 0) at = this.#next(at);
      this.#put(at, hash, keys[from], values[from]);
    });
  }

  #next(at: number): number {
    return (at + 1) & (this.slots - 1);
  }

  /** From the home of a key with this hash to `at`. */
  #distance(hash: number, at: number): number {
    return (at - hash) & (this.slots - 1);
  }
}

function emptySlots<T>(count: number): (T | undefined)[] {
  return new Array<T | undefined>(count).fill(undefined);
}
