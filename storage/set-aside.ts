/**
 * Empties a data directory without forgetting who it is and what it promised: for a node whose
 * state went another way than the majority's and has to come anew from the leader.
 *
 * The hard state carries the intention: term + 1 without a vote, and "emptying". From then on every
 * start finishes what is left to do and opens an empty, recovering log; before, nothing happened.
 * The term: what this node ever acknowledged was in terms up to its old one, and a leader of a
 * later term counts only what it is told again.
 */
import type { StorageOptions } from "./durable-storage.ts";
import { HardStateLostError } from "./errors.ts";
import { keepAsEvidence, removeEvidence } from "./evidence.ts";
import type { FileSystem } from "./file-system.ts";
import {
  HARD_STATE_FILE,
  HardStateFile,
  readHardStateFile,
  type StoredSlot,
} from "./hard-state-file.ts";
import { readIdentity } from "./identity-file.ts";
import type { EvidenceName } from "./repair-contract.ts";
import { segmentSequence } from "./segment-header.ts";
import { parseSnapshotName } from "./snapshot-codec.ts";

/** A state that was set aside is always one that diverged. */
export const SET_ASIDE: EvidenceName = "diverged";

/**
 * Moves snapshots and log out of the way, as evidence "diverged"; the next `openStorage` finds an
 * empty recovering log. The directory must not be open. Throws FileSystemError; whatever the
 * moment, it can be done again.
 */
export function setAside(options: StorageOptions): void {
  const { fileSystem, directory } = options;
  const identity = readIdentity(fileSystem, directory, options);
  const stored = readHardStateFile(fileSystem, directory, identity, options.onReport ?? (() => {}));
  if (stored === undefined) {
    throw new HardStateLostError(`${directory}/${HARD_STATE_FILE}`, 0, "the file is missing");
  }
  removeEvidence(fileSystem, directory, SET_ASIDE);
  const file = new HardStateFile(fileSystem, directory, identity, stored, () => {});
  try {
    const term = stored.hardState.term + 1;
    const hardState = { term, vote: 0, commitIndex: 0 };
    const nothing = { standing: "emptying", oldestSegment: 0 } as const;
    file.repairSync({ hardState, newestSegment: 0 }, nothing);
    finishSetAside(fileSystem, directory, file, { hardState, newestSegment: 0 });
  } finally {
    file.closeSync();
  }
}

/** What is left to do once the intention is durable; may be done any number of times. */
export function finishSetAside(
  fileSystem: FileSystem,
  directory: string,
  file: HardStateFile,
  slot: Pick<StoredSlot, "hardState" | "newestSegment">,
): void {
  keepAsEvidence(fileSystem, directory, SET_ASIDE, dataNames(fileSystem, directory));
  file.repairSync(slot, { standing: "recovering", oldestSegment: 0 });
}

function dataNames(fileSystem: FileSystem, directory: string): readonly string[] {
  const isData = (name: string): boolean =>
    segmentSequence(name) !== undefined || parseSnapshotName(name) !== undefined;
  return fileSystem.listSync(directory).filter(isData);
}
