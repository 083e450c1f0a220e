/**
 * A map by byte string, in no order: finds a key in one step where a tree compares it with
 * seventeen others.
 *
 * Open addressing with linear probing. The hashes stand side by side in one array, so that a search
 * leaves it for the key it is after and hardly ever for another; the language's own Map goes from
 * entry to entry and from key to key, and waits for memory at each.
 *
 * - Split over several tables: one that grows stops the loop only for its own share of the keys.
 * - A hash begins with a number drawn by this process: nobody can choose keys that collide. It
 *   decides where a key stands, never what the map holds.
 */
import { assert } from "../../raft/index.ts";
import type { ByteString } from "./record.ts";

const TABLE_BITS = 4;
const SLOTS_MIN = 16;
/** A table grows when more than three quarters of its slots are taken. */
const TAKEN_QUARTERS_MAX = 3;
/** Odd, of xxHash. */
const MULTIPLIER = 0x9e3779b1;
const SEED = Math.floor(Math.random() * 2 ** 32) | 0;

export class HashMap<Value> {
  readonly #tables: readonly Table<Value>[] = Array.from(
    { length: 2 ** TABLE_BITS },
    () => new Table<Value>(),
  );

  get(key: ByteString): Value | undefined {
    const hash = hashOf(key);
    return this.#table(hash).get(key, hash);
  }

  set(key: ByteString, value: Value): void {
    const hash = hashOf(key);
    this.#table(hash).set(key, hash, value);
  }

  delete(key: ByteString): boolean {
    const hash = hashOf(key);
    return this.#table(hash).delete(key, hash);
  }

  /** How far the keys stand from their homes: the sum over all, for tests of the hash. */
  get displacement(): number {
    return this.#tables.reduce((sum, table) => sum + table.displacement, 0);
  }

  /** By the highest bits: tables place their keys by the lowest. */
  #table(hash: number): Table<Value> {
    const table = this.#tables[hash >>> (32 - TABLE_BITS)];
    assert(table !== undefined, "four bits name one of sixteen tables");
    return table;
  }
}

/** Never 0. */
function hashOf(key: ByteString): number {
  let hash = SEED ^ key.length;
  for (let at = 0; at < key.length; at += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(at), MULTIPLIER);
    hash ^= hash >>> 15;
  }
  return hash === 0 ? 1 : hash;
}

/**
 * - A slot is free when its hash is 0, and at least a quarter of them are.
 * - No free slot stands between a key's home and the slot it stands in.
 */
class Table<Value> {
  #hashes = new Int32Array(SLOTS_MIN);
  #keys: (ByteString | undefined)[] = new Array(SLOTS_MIN).fill(undefined);
  #values: (Value | undefined)[] = new Array(SLOTS_MIN).fill(undefined);
  #taken = 0;

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
    let at = this.#find(key, hash);
    if (this.#hashes[at] === 0) {
      if (4 * (this.#taken + 1) > TAKEN_QUARTERS_MAX * this.#hashes.length) {
        this.#grow();
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

  #grow(): void {
    const hashes = this.#hashes;
    const keys = this.#keys;
    const values = this.#values;
    const slots = 2 * hashes.length;
    this.#hashes = new Int32Array(slots);
    this.#keys = new Array(slots).fill(undefined);
    this.#values = new Array(slots).fill(undefined);
    hashes.forEach((hash, from) => {
      if (hash === 0) return;
      let at = hash & (slots - 1);
      while (this.#hashes[at] !== 0) at = this.#next(at);
      this.#put(at, hash, keys[from], values[from]);
    });
  }

  #next(at: number): number {
    return (at + 1) & (this.#hashes.length - 1);
  }

  /** From the home of a key with this hash to `at`. */
  #distance(hash: number, at: number): number {
    return (at - hash) & (this.#hashes.length - 1);
  }
}
