/** What callers of the client pass in and get back. Types only. */
import type { ClientClock } from "./clock.ts";
import type { Entry } from "./entry.ts";
import type { Fetch } from "./http-try.ts";
import type { Key } from "./key.ts";
import type { RetryPolicy } from "./retry.ts";

export interface KvClientOptions {
  /** One address or several (also separated by commas): `http://host:port` or `host:port`. */
  readonly endpoints: string | readonly string[];
  /** For one call over all its tries; 10 seconds unless told. */
  readonly timeoutMs?: number | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
  /**
   * False: writes carry no session. Cheaper for a single write, but a try whose answer is lost is
   * then not repeated: the call ends with OutcomeUnknownError.
   */
  readonly session?: boolean | undefined;
  readonly fetch?: Fetch | undefined;
  readonly clock?: ClientClock | undefined;
  /** A fraction from 0 up to, not including, 1; spreads the delays. */
  readonly random?: (() => number) | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Overrides the client's for this call. */
  readonly timeoutMs?: number | undefined;
}

export interface ReadOptions extends CallOptions {
  /**
   * "linearizable" (the default) sees every write acknowledged before the read began. "stale"
   * asks whichever node answers for what it has now; together with `minRevision` that is
   * read-your-writes.
   */
  readonly consistency?: "linearizable" | "stale" | undefined;
  /** The node waits until it has this revision. */
  readonly minRevision?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Also give back the record that was there before. */
  readonly previous?: boolean | undefined;
}

export interface PutOptions extends WriteOptions {
  /** How the value is declared; a string is "text" and bytes are "binary" unless told. */
  readonly type?: Entry["type"] | undefined;
}

/** At most one of them. */
export type Condition =
  /** Only if the key's record still has this revision. */
  | { readonly ifRevision: number; readonly ifAbsent?: never; readonly ifExists?: never }
  | { readonly ifAbsent: true; readonly ifRevision?: never; readonly ifExists?: never }
  | { readonly ifExists: true; readonly ifRevision?: never; readonly ifAbsent?: never };

export type NoCondition = {
  readonly ifRevision?: never;
  readonly ifAbsent?: never;
  readonly ifExists?: never;
};

export type AnyCondition = Condition | NoCondition;

export interface Written {
  readonly ok: true;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  /** Only when asked for, and when there was one. */
  readonly previous?: Entry | undefined;
}

export interface Deleted {
  readonly ok: true;
  /** False when there was nothing to delete. */
  readonly deleted: boolean;
  readonly revision: number;
  /** Only when asked for, and when there was one. */
  readonly previous?: Entry | undefined;
}

/** A condition that does not hold is an answer, not an error: nothing was changed. */
export interface ConditionFailed {
  readonly ok: false;
  /** What is there instead; undefined when the key is absent. */
  readonly current: Entry | undefined;
}

export interface Range {
  readonly prefix?: Key | undefined;
  /** First key, inclusive; instead of a prefix. */
  readonly start?: Key | undefined;
  /** Where to stop, exclusive. */
  readonly end?: Key | undefined;
}

export interface ListOptions extends ReadOptions, Range {
  /** Most items in one page. */
  readonly limit?: number | undefined;
  /** From the page before. */
  readonly cursor?: string | undefined;
}

/** Everything in a range; pages are fetched as they are needed. */
export interface ScanOptions extends ReadOptions, Range {
  readonly pageLimit?: number | undefined;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** The store's revision that this page shows. */
  readonly revision: number;
  /** Undefined on the last page. */
  readonly cursor: string | undefined;
}

export interface StatusOptions extends CallOptions {
  /** The node to ask; any that answers unless told. */
  readonly endpoint?: string | undefined;
}
