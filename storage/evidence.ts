/**
 * Files that are no longer data but tell what happened. They stay in the directory under a name
 * that recovery does not know, one set of each kind, so that they never fill the disk.
 */
import type { FileSystem } from "./file-system.ts";
import type { EvidenceName } from "./repair-contract.ts";

/** Forgets the set of this name, durably. */
export function removeEvidence(
  fileSystem: FileSystem,
  directory: string,
  evidence: EvidenceName,
): void {
  const old = evidenceNames(fileSystem, directory, evidence);
  for (const name of old) fileSystem.unlinkSync(`${directory}/${name}`);
  if (old.length > 0) fileSystem.syncDirectorySync(directory);
}

/** The same while serving. A file that can not be removed stays: it only takes room. */
export function dropEvidence(
  fileSystem: FileSystem,
  directory: string,
  evidence: EvidenceName,
  done: () => void,
): void {
  const names = [...evidenceNames(fileSystem, directory, evidence)];
  const next = (): void => {
    const name = names.pop();
    if (name === undefined) fileSystem.syncDirectory(directory, () => done());
    else fileSystem.unlink(`${directory}/${name}`, next);
  };
  next();
}

/** Adds files to the set of this name, durably. */
export function keepAsEvidence(
  fileSystem: FileSystem,
  directory: string,
  evidence: EvidenceName,
  names: readonly string[],
): void {
  for (const name of names) {
    fileSystem.renameSync(`${directory}/${name}`, `${directory}/${evidence}-${name}`);
  }
  if (names.length > 0) fileSystem.syncDirectorySync(directory);
}

export function evidenceNames(
  fileSystem: FileSystem,
  directory: string,
  evidence: EvidenceName,
): readonly string[] {
  return fileSystem.listSync(directory).filter((name) => name.startsWith(`${evidence}-`));
}
