/**
 * A map by byte string, in no order: finds a key in one step where a tree compares it with
 * seventeen others.
 *
 * In its tables the hashes stand side by side, so that a search leaves them for the key it is after
 * and hardly ever for another; the language's own Map goes from entry to entry and from key to key,
 * and waits for memory at each.
 *
 * - Split over several tables: one that grows stops the loop only for its own share of the keys.
 * - A hash begins with a number drawn by this process: nobody can choose keys that collide. It
 *   decides where a key stands, never what the map holds.
 */
import { assert } from "../../raft/index.ts";
import { HashTable } from "./hash-table.ts";
import type { ByteString } from "./record.ts";

const TABLE_BITS = 4;
/** Odd, of xxHash. */
const MULTIPLIER = 0x9e3779b1;
const SEED = Math.floor(Math.random() * 2 ** 32) | 0;

export class HashMap<Value> {
  readonly #tables: readonly HashTable<Value>[] = Array.from(
    { length: 2 ** TABLE_BITS },
    () => new HashTable<Value>(),
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

  /** How far the keys stand from their homes, in all: what the tests of the hash look at. */
  get displacement(): number {
    return this.#tables.reduce((sum, table) => sum + table.displacement, 0);
  }

  /** By the highest bits: tables place their keys by the lowest. */
  #table(hash: number): HashTable<Value> {
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
