/**
 * A pinned state turned into the chunks of a snapshot, one chunk per step, so that the loop turns
 * between them. The pinned trees share their nodes with the living ones (see ordered-map.ts).
 */
import { assert, type StateCapture } from "../../raft/index.ts";
import { ByteWriter } from "./bytes.ts";
import type { OrderedMap } from "./ordered-map.ts";
import type { ByteString, KvRecord } from "./record.ts";
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
  type StateNumbers,
  writeKeyItem,
} from "./snapshot-format.ts";

/** Everything a snapshot holds. */
export interface KvState {
  readonly numbers: StateNumbers;
  readonly records: OrderedMap<KvRecord>;
  readonly sessions: OrderedMap<Session>;
}

type WriteItem<Value> = (writer: ByteWriter, key: ByteString, value: Value) => void;

export class KvStateCapture implements StateCapture {
  readonly summary: Uint8Array;
  #pinned: KvState | undefined;

  constructor(pinned: KvState) {
    this.#pinned = pinned;
    this.summary = encodeSummary({ ...pinned.numbers, hashVersion: 0, hash: 0 });
  }

  *chunks(): IterableIterator<Uint8Array> {
    const { numbers, records, sessions } = this.#state();
    const writer = new ByteWriter(2 * CHUNK_BYTES);
    writer.uint32(STATE_MAGIC);
    writer.uint8(STATE_FORMAT_VERSION);
    writer.uint64(numbers.revision);
    writer.uint64(numbers.compactedRevision);
    writer.uint32(numbers.featureLevel);
    writer.uint8(SECTION_COUNT);
    yield* this.#section(writer, SECTION_KEYS, records, writeKeyItem);
    writeEmptySection(writer, SECTION_HISTORY);
    yield* this.#section(writer, SECTION_SESSIONS, sessions, writeSessionItem);
    writeEmptySection(writer, SECTION_LEASES);
    writeEmptySection(writer, SECTION_LOCKS);
    while (writer.length > 0) yield writer.take(Math.min(writer.length, CHUNK_BYTES));
  }

  release(): void {
    this.#pinned = undefined;
  }

  *#section<Value>(
    writer: ByteWriter,
    type: number,
    map: OrderedMap<Value>,
    writeItem: WriteItem<Value>,
  ): IterableIterator<Uint8Array> {
    writeSectionHeader(writer, type, map.size);
    for (const [key, value] of map.entries()) {
      const lengthAt = writer.length;
      writer.uint32(0);
      writeItem(writer, key, value);
      writer.patchUint32(lengthAt, writer.length - lengthAt - 4);
      while (writer.length >= CHUNK_BYTES) yield writer.take(CHUNK_BYTES);
    }
  }

  #state(): KvState {
    assert(this.#pinned !== undefined, "a released capture is not read");
    return this.#pinned;
  }
}

function writeSectionHeader(writer: ByteWriter, type: number, count: number): void {
  writer.uint8(type);
  writer.uint8(SECTION_VERSION);
  writer.uint64(count);
}

function writeEmptySection(writer: ByteWriter, type: number): void {
  writeSectionHeader(writer, type, 0);
}
