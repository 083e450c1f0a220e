/**
 * The records by key, in order, with a cheap way to overwrite and a cheap way to pin.
 *
 * A write needs the record that stands there, then puts its own in its place. The tree holds slots,
 * so that one descent serves both: the slot found for the old record takes the new one.
 *
 * - A pinned tree shares its slots with the living one. While there is a pin, a write brings a slot
 *   of its own and leaves the old one alone (the tree copies on write, see ordered-map.ts).
 */
import { assert } from "../../raft/index.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { ByteString } from "./record.ts";
import type { StoredRecord } from "./stored-record.ts";

/** Where a key's record stands; `RecordMap` alone writes to it. */
export class Slot {
  record: StoredRecord;

  constructor(record: StoredRecord) {
    this.record = record;
  }
}

export class RecordMap {
  readonly #slots: OrderedMap<Slot>;
  #pins = 0;

  constructor(slots = new OrderedMap<Slot>()) {
    this.#slots = slots;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** For `put`, before anything else is written. */
  find(key: ByteString): Slot | undefined {
    return this.#slots.get(key);
  }

  /** `slot` is what `find` gave for this key. */
  put(key: ByteString, slot: Slot | undefined, record: StoredRecord): void {
    if (slot === undefined || this.#pins > 0) this.#slots.set(key, new Slot(record));
    else slot.record = record;
  }

  delete(key: ByteString): void {
    this.#slots.delete(key);
  }

  /** As `OrderedMap.scan`. */
  scan(
    start: ByteString,
    end: ByteString | undefined,
    visit: (key: ByteString, record: StoredRecord) => boolean,
  ): void {
    this.#slots.scan(start, end, (key, slot) => visit(key, slot.record));
  }

  /** All records as they are now, whatever is written later; must be given back with `unpin`. */
  pin(): OrderedMap<Slot> {
    this.#pins += 1;
    return this.#slots.clone();
  }

  unpin(): void {
    assert(this.#pins > 0, "what is given back was pinned");
    this.#pins -= 1;
  }
}
