/** Encoded, linked entries for tests. */
import type { Entry } from "../../../raft/index.ts";
import { encodeEntry, entryChecksum, type LogBase } from "../../../storage/index.ts";
import { LOG_ORIGIN } from "../broken-log.ts";

/** One entry for each term, going on from `after`; what the command says is of no matter. */
export function chain(terms: readonly number[], after: LogBase = LOG_ORIGIN): readonly Entry[] {
  let previous = after;
  return terms.map((term) => {
    const index = previous.index + 1;
    const data = Buffer.from(`${index} of term ${term}`);
    const entry: Entry = { type: "command", group: 0, term, index, time: index, data };
    encodeEntry(entry, previous);
    previous = baseOf(entry);
    return entry;
  });
}

/** How the entry after this one names it. */
export function baseOf(entry: Entry): LogBase {
  return { index: entry.index, term: entry.term, checksum: entryChecksum(entry) };
}

/** `count` times the same term. */
export function terms(term: number, count: number): readonly number[] {
  return Array.from({ length: count }, () => term);
}
