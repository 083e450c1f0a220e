/** The only door of storage/. */
export { checksum, checksumStep } from "./checksum.ts";
export type * from "./contract.ts";
export { surveyDamage } from "./damage-survey.ts";
export {
  type DirectoryLock,
  type DirectoryLockOptions,
  lockDirectory,
} from "./directory-lock.ts";
export { DurableStorage, openStorage, type StorageOptions } from "./durable-storage.ts";
export {
  decodeEntry,
  decodeEntryHeader,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  encodedEntryBytes,
  encodeEntry,
  entryChecksum,
  NO_PREVIOUS_ENTRY,
  type PreviousEntry,
  previousOf,
} from "./entry-codec.ts";
export * from "./errors.ts";
export type { Done, File, FileSystem, OpenOptions } from "./file-system.ts";
export { NodeFileSystem } from "./node-file-system.ts";
export { openRepairSnapshot, rebuildLog, receiveRepairSnapshot } from "./rebuild.ts";
export type * from "./repair-contract.ts";
export type { StorageReport } from "./report.ts";
export { setAside } from "./set-aside.ts";
