/**
 * The records: by key in one step, in the order of the keys, and pinned as they are at a moment.
 *
 * Most writes overwrite. They find the record by hash and change it in place: the tree is touched
 * only when a key comes or goes, and nothing is allocated that outlives the write but its value.
 *
 * - The tree and the hash map hold the same records under the same keys.
 * - Only this file changes a record; whoever keeps one keeps a copy.
 * - A pinned state never changes: a record of it is copied before it changes or goes. What came
 *   after the pin is no part of it, and is not kept for it.
 */
import { assert } from "../../raft/index.ts";
import { HashMap } from "./hash-map.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { ByteString, KvRecord, ValueType } from "./record.ts";
import { StoredRecord } from "./stored-record.ts";

export class RecordMap {
  readonly #ordered: OrderedMap<StoredRecord>;
  readonly #byKey: HashMap<StoredRecord>;
  readonly #pins = new Set<PinnedRecords>();

  /** Two maps of the same records under the same keys. */
  constructor(ordered = new OrderedMap<StoredRecord>(), byKey = new HashMap<StoredRecord>()) {
    this.#ordered = ordered;
    this.#byKey = byKey;
  }

  get size(): number {
    return this.#ordered.size;
  }

  /** Changes with the next write: `copy` what is kept. */
  find(key: ByteString): StoredRecord | undefined {
    return this.#byKey.get(key);
  }

  /** `current` is what `find` gives for this key. Gives the record as it is from now on. */
  put(
    key: ByteString,
    current: StoredRecord | undefined,
    value: ByteString,
    type: ValueType,
    revision: number,
  ): StoredRecord {
    if (current === undefined) {
      return this.#insert(key, new StoredRecord(value, type, revision, revision, 1, 0, 0));
    }
    this.#keepForPins(key, current);
    current.overwrite(value, type, revision);
    return current;
  }

  /** `current` is what `find` gives for this key. */
  delete(key: ByteString, current: StoredRecord): void {
    this.#keepForPins(key, current);
    this.#ordered.delete(key);
    this.#byKey.delete(key);
  }

  /** Visits [start, end) as `OrderedMap.scan` does. */
  scan(
    start: ByteString,
    end: ByteString | undefined,
    visit: (key: ByteString, record: StoredRecord) => boolean,
  ): void {
    this.#ordered.scan(start, end, visit);
  }

  /**
   * All records as they are now, at the store's `revision`, whatever is written later; must be
   * given back with `unpin`.
   */
  pin(revision: number): PinnedRecords {
    const pinned = new PinnedRecords(this.#ordered.clone(), revision);
    this.#pins.add(pinned);
    return pinned;
  }

  unpin(pinned: PinnedRecords): void {
    assert(this.#pins.delete(pinned), "what is given back was pinned");
  }

  #insert(key: ByteString, record: StoredRecord): StoredRecord {
    this.#ordered.set(key, record);
    this.#byKey.set(key, record);
    return record;
  }

  #keepForPins(key: ByteString, record: StoredRecord): void {
    for (const pinned of this.#pins) pinned.keep(key, record);
  }
}

/** The records of one moment: copies of those that changed since, and all others themselves. */
export class PinnedRecords {
  readonly #ordered: OrderedMap<StoredRecord>;
  readonly #revision: number;
  readonly #changed = new Map<ByteString, KvRecord>();

  constructor(ordered: OrderedMap<StoredRecord>, revision: number) {
    this.#ordered = ordered;
    this.#revision = revision;
  }

  /** Copies held for this pin. */
  get kept(): number {
    return this.#changed.size;
  }

  get size(): number {
    return this.#ordered.size;
  }

  /** As `OrderedMap.scan` does; a record that is visited is to be read before the next write. */
  scan(
    start: ByteString,
    end: ByteString | undefined,
    visit: (key: ByteString, record: KvRecord) => boolean,
  ): void {
    this.#ordered.scan(start, end, (key, record) => visit(key, this.#changed.get(key) ?? record));
  }

  /** The first that is kept under a key is the pinned one. */
  keep(key: ByteString, record: StoredRecord): void {
    const isPinned = record.createRevision <= this.#revision;
    if (isPinned && !this.#changed.has(key)) this.#changed.set(key, record.copy());
  }
}
