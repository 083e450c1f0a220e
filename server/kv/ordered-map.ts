/**
 * A map ordered by byte string, over sorted-btree, the only file that knows that library.
 *
 * - Keys are latin1 strings, one character per byte, so `<` is the order of the bytes.
 * - `clone` is O(1): the two trees share their nodes until one of them writes (copy on write), so
 *   a clone that nobody writes to is a pinned state of the whole map.
 */
import sortedBtree from "sorted-btree";
import { bulkLoad } from "sorted-btree/extended/bulkLoad.js";
import type { ByteString } from "./record.ts";

/** Wide nodes save memory and steps of descent; narrow ones are cheaper to copy after a clone. */
const NODE_SIZE_MAX = 64;

/** Later inserts find room in the leaves of a freshly loaded tree before they must split them. */
const LOAD_FACTOR = 0.9;

/** What a visitor returns to end a scan. */
const STOP = { break: 0 } as const;

export function compareByteStrings(a: ByteString, b: ByteString): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export class OrderedMap<Value> {
  readonly #tree: sortedBtree.default<ByteString, Value>;

  constructor(
    tree = new sortedBtree.default<ByteString, Value>(undefined, compareByteStrings, NODE_SIZE_MAX),
  ) {
    this.#tree = tree;
  }

  /** Builds the tree bottom-up in O(n); the keys must be strictly ascending. */
  static fromSorted<Value>(keys: ByteString[], values: Value[]): OrderedMap<Value> {
    return new OrderedMap(bulkLoad(keys, values, NODE_SIZE_MAX, compareByteStrings, LOAD_FACTOR));
  }

  get size(): number {
    return this.#tree.size;
  }

  get(key: ByteString): Value | undefined {
    return this.#tree.get(key);
  }

  set(key: ByteString, value: Value): void {
    this.#tree.set(key, value);
  }

  delete(key: ByteString): boolean {
    return this.#tree.delete(key);
  }

  clone(): OrderedMap<Value> {
    return new OrderedMap(this.#tree.clone());
  }

  /**
   * Visits [start, end) in order until the visitor returns false; `end` undefined means to the
   * last key. The visitor must not write to this map.
   */
  scan(
    start: ByteString,
    end: ByteString | undefined,
    visit: (key: ByteString, value: Value) => boolean,
  ): void {
    const last = end ?? this.#tree.maxKey();
    if (last === undefined || start > last) return;
    const includesLast = end === undefined;
    this.#tree.forRange(start, last, includesLast, (key, value) =>
      visit(key, value) ? undefined : STOP,
    );
  }

  /** All pairs in order. The array is the same one each time. */
  entries(): IterableIterator<[ByteString, Value]> {
    return this.#tree.entries(undefined, []);
  }
}
