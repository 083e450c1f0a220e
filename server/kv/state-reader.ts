/**
 * A snapshot's chunks turned back into a state. Chunks may be cut anywhere; what is not whole yet
 * waits for the next one. Nothing is visible before `finish`, which refuses an incomplete stream.
 *
 * Items come in key order, so that the trees are built bottom-up: faster than a million inserts,
 * and with fuller nodes.
 */
import { asBuffer, ByteReader } from "./bytes.ts";
import { SnapshotFormatError } from "./errors.ts";
import { HashMap } from "./hash-map.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { ByteString } from "./record.ts";
import { RecordMap } from "./record-map.ts";
import { readSessionItem } from "./session-item.ts";
import type { Session } from "./sessions.ts";
import {
  readKeyItem,
  readSummary,
  SECTION_COUNT,
  SECTION_HEADER_BYTES,
  SECTION_KEYS,
  SECTION_SESSIONS,
  SECTION_VERSION,
  STATE_FORMAT_VERSION,
  STATE_HEADER_BYTES,
  STATE_MAGIC,
  type StateSummary,
} from "./snapshot-format.ts";
import { HASH_VERSION, StateHasher } from "./state-hash.ts";
import type { StoredRecord } from "./stored-record.ts";

const ITEM_LENGTH_BYTES = 4;

/** A state, and its hash ready to go on with. */
export interface RestoredKvState {
  readonly summary: StateSummary;
  readonly records: RecordMap;
  readonly sessions: OrderedMap<Session>;
  readonly hasher: StateHasher;
}

export class StateReader {
  readonly #reader = new ByteReader();
  readonly #records = new SortedItems<StoredRecord>();
  /** Filled item by item, so that no step takes long. */
  readonly #recordByKey = new HashMap<StoredRecord>();
  readonly #sessions = new SortedItems<Session>();
  readonly #hasher = new StateHasher();
  /** Read but not used yet: the beginning of something. */
  #pending: Buffer = Buffer.alloc(0);
  #summary: StateSummary | undefined;
  /** The section being read; 0 before the first. */
  #section = 0;
  #itemsLeft = 0;

  push(bytes: Uint8Array): void {
    const chunk = asBuffer(bytes);
    const buffer = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let at = 0;
    let end = this.#partEnd(buffer, at);
    while (!this.#isDone() && end <= buffer.length) {
      this.#part(buffer, at, end);
      at = end;
      end = this.#partEnd(buffer, at);
    }
    if (this.#isDone() && at < buffer.length) {
      throw new SnapshotFormatError("bytes follow the end of the state");
    }
    // A copy: the caller may use its buffer again.
    this.#pending = Buffer.from(buffer.subarray(at));
  }

  finish(): RestoredKvState {
    const summary = this.#summary;
    if (summary === undefined || !this.#isDone()) {
      throw new SnapshotFormatError("the state ends before its last section is complete");
    }
    this.#checkHash(summary);
    const records = new RecordMap(this.#records.build(), this.#recordByKey);
    return { summary, records, sessions: this.#sessions.build(), hasher: this.#hasher };
  }

  /** What was read is what was applied where the snapshot was taken, or it is not used. */
  #checkHash(summary: StateSummary): void {
    const { version, value } = summary.hash;
    if (version !== HASH_VERSION) return;
    const found = this.#hasher.value(summary).value;
    if (found === value) return;
    throw new SnapshotFormatError(`the state's hash is ${found}, it was saved as ${value}`);
  }

  #isDone(): boolean {
    return this.#section === SECTION_COUNT && this.#itemsLeft === 0;
  }

  /** Where the part that begins at `at` ends; beyond the buffer when it is not whole. */
  #partEnd(buffer: Buffer, at: number): number {
    if (this.#summary === undefined) return at + STATE_HEADER_BYTES;
    if (this.#itemsLeft === 0) return at + SECTION_HEADER_BYTES;
    if (at + ITEM_LENGTH_BYTES > buffer.length) return at + ITEM_LENGTH_BYTES;
    return at + ITEM_LENGTH_BYTES + buffer.readUInt32LE(at);
  }

  #part(buffer: Buffer, at: number, end: number): void {
    if (this.#summary === undefined) {
      this.#reader.reset(buffer, at, end);
      this.#summary = this.#header();
    } else if (this.#itemsLeft === 0) {
      this.#reader.reset(buffer, at, end);
      this.#sectionHeader();
    } else {
      this.#reader.reset(buffer, at + ITEM_LENGTH_BYTES, end);
      this.#item();
      this.#itemsLeft -= 1;
    }
    this.#reader.finish();
  }

  #header(): StateSummary {
    const reader = this.#reader;
    if (reader.uint32() !== STATE_MAGIC) throw new SnapshotFormatError("not a state of this store");
    const version = reader.uint8();
    if (version !== STATE_FORMAT_VERSION) {
      throw new SnapshotFormatError(`unknown state format version ${version}`);
    }
    const summary = readSummary(reader);
    const sections = reader.uint8();
    if (sections !== SECTION_COUNT) {
      throw new SnapshotFormatError(`${sections} sections instead of ${SECTION_COUNT}`);
    }
    return summary;
  }

  /** Types are numbered from 1 without gaps and each comes once, so the next one is known. */
  #sectionHeader(): void {
    const type = this.#reader.uint8();
    const version = this.#reader.uint8();
    const count = this.#reader.uint64();
    if (type !== this.#section + 1) throw new SnapshotFormatError(`unexpected section ${type}`);
    if (version !== SECTION_VERSION) {
      throw new SnapshotFormatError(`unknown version ${version} of section ${type}`);
    }
    if (count > 0 && type !== SECTION_KEYS && type !== SECTION_SESSIONS) {
      throw new SnapshotFormatError(`section ${type} has items, which this build does not know`);
    }
    this.#section = type;
    this.#itemsLeft = count;
  }

  #item(): void {
    if (this.#section === SECTION_KEYS) {
      const { key, record } = readKeyItem(this.#reader);
      this.#records.add(key, record);
      this.#recordByKey.set(key, record);
      this.#hasher.addRecord(key, record, record.valueChecksum);
    } else {
      const { id, session } = readSessionItem(this.#reader);
      this.#sessions.add(id, session);
      this.#hasher.addSession(id, session);
    }
  }
}

/** Pairs that must arrive in strictly rising key order. */
class SortedItems<Value> {
  readonly #keys: ByteString[] = [];
  readonly #values: Value[] = [];
  #lastKey: ByteString | undefined;

  add(key: ByteString, value: Value): void {
    if (this.#lastKey !== undefined && key <= this.#lastKey) {
      throw new SnapshotFormatError("items are not in the order of their keys");
    }
    this.#lastKey = key;
    this.#keys.push(key);
    this.#values.push(value);
  }

  build(): OrderedMap<Value> {
    return OrderedMap.fromSorted(this.#keys, this.#values);
  }
}
