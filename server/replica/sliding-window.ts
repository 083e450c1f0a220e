/**
 * Values under whole numbers that rise: what is on its way and comes back nearly in order. A ring
 * over the numbers from the lowest that has a value to the highest that was added.
 *
 * Why no Map: one that fills and empties leaves its table behind every few dozen entries, and each
 * old table refers to its successor. Once the collector has moved one of them out of its nursery,
 * every later one, with the requests and answers it ever held, is kept until the next full
 * collection.
 */
import { assert } from "../../raft/index.ts";

const CAPACITY_MIN = 64;
/** A wider ring than this is given up when it is empty. */
const CAPACITY_KEPT = 4096;

export class SlidingWindow<Value> {
  /** The value under `n` stands in slot n modulo the capacity, a power of two. */
  #slots: (Value | undefined)[] = emptySlots(CAPACITY_MIN);
  /** All values stand in [first, end), and the window is empty when these are equal. */
  #first = 0;
  #end = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): Value | undefined {
    return key >= this.#first && key < this.#end ? this.#slots[this.#slotOf(key)] : undefined;
  }

  /** Under the lowest key. */
  get oldest(): { readonly key: number; readonly value: Value } | undefined {
    const value = this.get(this.#first);
    return value === undefined ? undefined : { key: this.#first, value };
  }

  /** The key must have no value. */
  add(key: number, value: Value): void {
    assert(this.get(key) === undefined, "a key in a window has one value");
    if (this.#size === 0) {
      this.#first = key;
      this.#end = key;
    }
    this.#reach(Math.min(this.#first, key), Math.max(this.#end, key + 1));
    this.#slots[this.#slotOf(key)] = value;
    this.#size += 1;
  }

  /** Gives the value, which is not in the window any more. */
  take(key: number): Value | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    this.#slots[this.#slotOf(key)] = undefined;
    this.#size -= 1;
    this.#shrink();
    return value;
  }

  /** Visits all values by rising key, those too that are added meanwhile behind the one shown. */
  forEach(visit: (key: number, value: Value) => void): void {
    for (let key = this.#first; key < this.#end; key += 1) {
      const value = this.get(key);
      if (value !== undefined) visit(key, value);
    }
  }

  #slotOf(key: number): number {
    return key % this.#slots.length;
  }

  #shrink(): void {
    if (this.#size === 0) {
      this.#first = this.#end;
      if (this.#slots.length > CAPACITY_KEPT) this.#slots = emptySlots(CAPACITY_MIN);
      return;
    }
    while (this.#slots[this.#slotOf(this.#first)] === undefined) this.#first += 1;
  }

  #reach(first: number, end: number): void {
    let capacity = this.#slots.length;
    while (end - first > capacity) capacity *= 2;
    if (capacity > this.#slots.length) {
      const wider = emptySlots<Value>(capacity);
      this.forEach((key, value) => {
        wider[key % capacity] = value;
      });
      this.#slots = wider;
    }
    this.#first = first;
    this.#end = end;
  }
}

function emptySlots<Value>(capacity: number): (Value | undefined)[] {
  return new Array<Value | undefined>(capacity).fill(undefined);
}
