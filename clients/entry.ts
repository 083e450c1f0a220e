/**
 * Records as the client shows them: values typed, base64 undone. The JSON of the wire ends here.
 */
import type { KeyRecord } from "./contract.ts";
import type { Key } from "./key.ts";

interface EntryBase {
  /** A Uint8Array only when the key is not valid UTF-8. */
  readonly key: Key;
  /** The store's revision when this value was written. */
  readonly revision: number;
  /** The store's revision when the key came into being. */
  readonly createRevision: number;
  /** Counts the writes since then, from 1. */
  readonly version: number;
}

export type Entry =
  | (EntryBase & { readonly type: "text"; readonly value: string })
  | (EntryBase & { readonly type: "binary"; readonly value: Uint8Array })
  /** Parsed: whole numbers beyond 2^53 lose digits; `getBytes` has them as they were stored. */
  | (EntryBase & { readonly type: "json"; readonly value: unknown });

/** Undefined when the record contradicts itself. */
export function toEntry(record: KeyRecord): Entry | undefined {
  const { value, revision, createRevision, version } = record;
  const key = toKey(record);
  if (key === undefined) return undefined;
  const base = { key, revision, createRevision, version };
  if (record.type === "json") return { ...base, type: "json", value };
  if (typeof value !== "string") return undefined;
  if (record.type === "text") return { ...base, type: "text", value };
  const bytes = fromBase64(value);
  return bytes === undefined ? undefined : { ...base, type: "binary", value: bytes };
}

export function toKey(item: Pick<KeyRecord, "key" | "keyEncoding">): Key | undefined {
  return item.keyEncoding === undefined ? item.key : fromBase64(item.key);
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
