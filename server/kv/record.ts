/**
 * One key's value and its revisions, as they were at one moment.
 */

/** How a value was declared when it was written; decides how JSON answers show it. */
export type ValueType = "json" | "text" | "binary";

/**
 * Keys and values are latin1 strings inside: one character per byte, so that `<` is byte order
 * and a small value costs no Buffer. Never a substring of something bigger (it would pin it).
 */
export type ByteString = string;

export interface KvRecord {
  readonly value: ByteString;
  readonly type: ValueType;
  /** The store's revision when this value was written. */
  readonly revision: number;
  /** The store's revision when the key came into being. */
  readonly createRevision: number;
  /** Counts the writes since then, from 1. */
  readonly version: number;
  /** Reserved for leases and expiry: 0 for none. */
  readonly lease: number;
  readonly expiresAt: number;
}
