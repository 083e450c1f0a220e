/** The door of the key-value state machine: commands in, results and records out. */
export {
  type CloseSessionRequest,
  type CommandContext,
  type Condition,
  type DeleteRequest,
  encodeCloseSession,
  encodeDelete,
  encodeOpenSession,
  encodePut,
  type OpenSessionRequest,
  type PutRequest,
  type SessionStamp,
} from "./command.ts";
export {
  isSupportedCommand,
  type Origin,
  SESSION_RANDOM_BYTES,
} from "./command-layout.ts";
export {
  KvError,
  SnapshotFormatError,
  UnsupportedCommandError,
  UnsupportedFeatureLevelError,
} from "./errors.ts";
export { type BadKey, keyFromJson, keyFromUrl, keyToJsonFields, prefixEnd } from "./key.ts";
export { FEATURE_LEVEL_MAX, KvStateMachine } from "./kv-state-machine.ts";
export type { KvReader, ListPage, ListQuery } from "./reader.ts";
export type { ByteString, KvRecord, ValueType } from "./record.ts";
export type { KvResult } from "./result.ts";
export { SESSION_LIMITS, type SessionLimits } from "./sessions.ts";
export { decodeSummary, type StateSummary } from "./snapshot-format.ts";
export { HASH_VERSION, type StateHash } from "./state-hash.ts";
export { type BadJson, classifyValue, recordToJson } from "./value.ts";
