/**
 * Why this folder stops a node. All three mean that going on would let replicas of different
 * builds, or of damaged state, drift apart; none of them is ever an answer to a client.
 */
export abstract class KvError extends Error {
  abstract readonly code: string;
}

/** A committed command in a version, kind or shape this build does not know. */
export class UnsupportedCommandError extends KvError {
  override readonly name = "UnsupportedCommandError";
  readonly code = "UNSUPPORTED_COMMAND";
}

/** The group raised its feature level above what this build understands. */
export class UnsupportedFeatureLevelError extends KvError {
  override readonly name = "UnsupportedFeatureLevelError";
  readonly code = "UNSUPPORTED_FEATURE_LEVEL";
}

/** A snapshot section that is unknown, incomplete or not well formed. */
export class SnapshotFormatError extends KvError {
  override readonly name = "SnapshotFormatError";
  readonly code = "SNAPSHOT_FORMAT";
}
