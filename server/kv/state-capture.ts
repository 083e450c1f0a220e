/**
 * A pinned state turned into the chunks of a snapshot, one chunk per step, so that the loop turns
 * between them. The pinned trees share their nodes with the living ones (see
 * ordered-map.ts); of records that changed since, the pin has copies (see record-map.ts).
 */
import { assert, type StateCapture } from "../../raft/index.ts";
import { ByteWriter } from "./bytes.ts";
import type { OrderedMap } from "./ordered-map.ts";
import type { ByteString } from "./record.ts";
import type { PinnedRecords } from "./record-map.ts";
import { writeSessionItem } from "./session-item.ts";
import type { Session } from "./sessions.ts";
import {
  CHUNK_BYTES,
  encodeSummary,
  SECTION_COUNT,
  SECTION_HISTORY,
  SECTION_KEYS,
  SECTION_LEASES,
  SECTION_LOCKS,
  SECTION_SESSIONS,
  SECTION_VERSION,
  STATE_FORMAT_VERSION,
  STATE_MAGIC,
  type StateSummary,
  writeKeyItem,
  writeSummary,
} from "./snapshot-format.ts";
import { StateHasher } from "./state-hash.ts";
import { checksumOf } from "./stored-record.ts";

/** Everything a snapshot holds. */
export interface KvState {
  readonly summary: StateSummary;
  readonly records: PinnedRecords;
  readonly sessions: OrderedMap<Session>;
}

type OrderedItems<Value> = Pick<OrderedMap<Value>, "size" | "scan">;

interface Section<Value> {
  readonly type: number;
  readonly items: OrderedItems<Value>;
  readonly write: (writer: ByteWriter, key: ByteString, value: Value) => void;
  readonly hash: (key: ByteString, value: Value) => void;
}

export class KvStateCapture implements StateCapture {
  readonly summary: Uint8Array;
  readonly #unpin: () => void;
  #pinned: KvState | undefined;

  /** `unpin` is called once, when nothing is read from `pinned` any more. */
  constructor(pinned: KvState, unpin: () => void) {
    this.#pinned = pinned;
    this.#unpin = unpin;
    this.summary = encodeSummary(pinned.summary);
  }

  *chunks(): IterableIterator<Uint8Array> {
    const { summary, records, sessions } = this.#state();
    const hasher = new StateHasher();
    const writer = new ByteWriter(2 * CHUNK_BYTES);
    writer.uint32(STATE_MAGIC);
    writer.uint8(STATE_FORMAT_VERSION);
    writeSummary(writer, summary);
    writer.uint8(SECTION_COUNT);
    yield* this.#section(writer, {
      type: SECTION_KEYS,
      items: records,
      write: writeKeyItem,
      // Of the value as it is now, which is what is written.
      hash: (key, record) => hasher.addRecord(key, record, checksumOf(record.value)),
    });
    writeEmptySection(writer, SECTION_HISTORY);
    yield* this.#section(writer, {
      type: SECTION_SESSIONS,
      items: sessions,
      write: writeSessionItem,
      hash: (id, session) => hasher.addSession(id, session),
    });
    writeEmptySection(writer, SECTION_LEASES);
    writeEmptySection(writer, SECTION_LOCKS);
    // A wrong state must not be handed on: the process ends, and starts again from its disk.
    assert(
      hasher.value(summary).value === summary.hash.value,
      "the state in memory is what applying the log made it",
    );
    while (writer.length > 0) yield writer.take(Math.min(writer.length, CHUNK_BYTES));
  }

  release(): void {
    if (this.#pinned === undefined) return;
    this.#pinned = undefined;
    this.#unpin();
  }

  *#section<Value>(writer: ByteWriter, section: Section<Value>): IterableIterator<Uint8Array> {
    writeSectionHeader(writer, section.type, section.items.size);
    let next: ByteString | undefined = "";
    while (next !== undefined) {
      next = writeItems(writer, section, next);
      while (writer.length >= CHUNK_BYTES) yield writer.take(CHUNK_BYTES);
    }
  }

  #state(): KvState {
    assert(this.#pinned !== undefined, "a released capture is not read");
    return this.#pinned;
  }
}

/** Until a chunk is full; gives the key to go on with, if there are more. */
function writeItems<Value>(
  writer: ByteWriter,
  { items, write, hash }: Section<Value>,
  from: ByteString,
): ByteString | undefined {
  let next: ByteString | undefined;
  items.scan(from, undefined, (key, value) => {
    if (writer.length >= CHUNK_BYTES) {
      next = key;
      return false;
    }
    const lengthAt = writer.length;
    writer.uint32(0);
    write(writer, key, value);
    hash(key, value);
    writer.patchUint32(lengthAt, writer.length - lengthAt - 4);
    return true;
  });
  return next;
}

function writeSectionHeader(writer: ByteWriter, type: number, count: number): void {
  writer.uint8(type);
  writer.uint8(SECTION_VERSION);
  writer.uint64(count);
}

function writeEmptySection(writer: ByteWriter, type: number): void {
  writeSectionHeader(writer, type, 0);
}
