/** What a command answers with. The same on every replica, and remembered byte for byte. */
import type { KvRecord } from "./record.ts";

export type KvResult =
  | {
      readonly kind: "put";
      readonly revision: number;
      readonly createRevision: number;
      readonly version: number;
      /** The record before, when the command asked for it; not remembered for repeats. */
      readonly previous?: KvRecord | undefined;
    }
  | {
      readonly kind: "deleted";
      /** How many keys went away. */
      readonly deleted: number;
      readonly revision: number;
      readonly previous?: KvRecord | undefined;
    }
  /** A condition did not hold; nothing changed. `current` is undefined when the key is absent. */
  | {
      readonly kind: "condition-failed";
      readonly revision: number;
      readonly current: KvRecord | undefined;
    }
  /** A session was opened. The id carries its birth in cluster time. */
  | { readonly kind: "session-opened"; readonly id: string; readonly ttlMs: number }
  | { readonly kind: "session-closed" }
  /** Unknown or expired: never executed (410). */
  | { readonly kind: "session-expired" }
  /**
   * Never executed (409): the same sequence with another body, a sequence already answered and
   * forgotten, or one too far ahead of the lowest unanswered one.
   */
  | { readonly kind: "session-conflict" }
  /** The session table is full; old ones are never evicted for new ones (429). */
  | { readonly kind: "sessions-full" }
  /** The command's bytes are not well formed; nothing changed. */
  | { readonly kind: "malformed" };
