/** What a member hands to one whose disk was damaged: entries it holds, as they are encoded. */
import type { Entry, LogIndex } from "../../raft/index.ts";
import type { RepairRequest } from "../peer/index.ts";

/** As much as one append carries. */
const RUN_BYTES_MAX = 256 * 1024;

/**
 * The entries of the range from its top down to the first that is not held, or until a message is
 * full, in log order. What the top is tells the one who asked what the next one down has to be.
 */
export function lendEntries(
  { first, last }: Pick<RepairRequest, "first" | "last">,
  entryAt: (index: LogIndex) => Entry | undefined,
): readonly Entry[] {
  const run: Entry[] = [];
  let bytes = 0;
  for (let index = last; index >= first && bytes < RUN_BYTES_MAX; index--) {
    const entry = entryAt(index);
    if (entry?.encoded === undefined) break;
    run.push(entry);
    bytes += entry.encoded.length;
  }
  return run.reverse();
}
