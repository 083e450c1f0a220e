/**
 * Encodes new entries, each pointing back at the one before by term and checksum, so that the log
 * is one chain over segments, peers and snapshots.
 *
 * Invariant: the tail names the newest entry this node put into its log.
 */
import type { Entry, RestoredState, SnapshotMetadata } from "../../raft/index.ts";
import { encodeEntry, entryChecksum } from "../../storage/index.ts";

export class EntryChain {
  #tail: { readonly term: number; readonly checksum: number };

  constructor({ entries, snapshot }: RestoredState) {
    const last = entries[entries.length - 1];
    this.#tail =
      last !== undefined && last.index > (snapshot?.index ?? 0)
        ? { term: last.term, checksum: entryChecksum(last) }
        : { term: snapshot?.term ?? 0, checksum: snapshot?.entryChecksum ?? 0 };
  }

  /** Entries that came from a leader are encoded already and stay as they are. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.encoded === undefined) encodeEntry(entry, this.#tail);
      this.#tail = { term: entry.term, checksum: entryChecksum(entry) };
    }
  }

  /** The log starts over behind an installed snapshot. */
  restart(snapshot: SnapshotMetadata): void {
    this.#tail = { term: snapshot.term, checksum: snapshot.entryChecksum };
  }
}
