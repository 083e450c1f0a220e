/** How protocols look at the state of this node. Synchronous; never mutates. */
import type { ByteString, KvRecord } from "./record.ts";

export interface ListQuery {
  /** First key, inclusive. */
  readonly start: ByteString;
  /** End, exclusive; undefined for "to the last key". */
  readonly end: ByteString | undefined;
  readonly limit: number;
  /** Stop before the page's keys and values exceed this many bytes (always at least one item). */
  readonly bytesMax: number;
}

export interface ListPage {
  readonly items: readonly { readonly key: ByteString; readonly record: KvRecord }[];
  /** The key to go on from (inclusive), or undefined when the range is exhausted. */
  readonly next: ByteString | undefined;
}

export interface KvReader {
  /** The store's revision: raised by one by every transaction that changes something. */
  readonly revision: number;
  readonly keyCount: number;
  get(key: ByteString): KvRecord | undefined;
  list(query: ListQuery): ListPage;
}
