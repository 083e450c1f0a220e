/**
 * The layout of a command: what a protocol hands to the replica, what stands in the log, what
 * `apply` executes. Owns the offsets and codes; knows nothing of what a command does.
 *
 * Header, little-endian, the same for every kind:
 *
 *     0   version 1         1   kind 1            2   flags 1
 *     3   session id length 1                     4   principal length 1
 *     5   origin node 8     13  origin incarnation 8          21  request id 8
 *     29  session id, then sequence 8 and lowest unanswered sequence 8 (absent without a session)
 *         principal
 *         body
 *
 * Bodies:
 *
 *     put            value type 1, condition 1, condition revision 8, key length 2,
 *                    value length 4, key, value
 *     delete         condition 1, condition revision 8, key length 2, key
 *     open-session   8 random bytes
 *     close-session  session id length 1, session id
 *
 * A layout never changes under its version, and a new kind, flag or code comes with a new feature
 * level: a build that ignored what it does not know would drift apart from one that obeys it.
 */

export const COMMAND_VERSION = 1;

export const KIND_PUT = 1;
export const KIND_DELETE = 2;
export const KIND_OPEN_SESSION = 3;
export const KIND_CLOSE_SESSION = 4;

export const FLAG_WANT_PREVIOUS = 1;

export const CONDITION_CODES = { none: 0, revision: 1, exists: 2, absent: 3 } as const;

export const HEADER_BYTES = 29;
export const SESSION_NUMBERS_BYTES = 16;
export const PUT_FIXED_BYTES = 16;
export const DELETE_FIXED_BYTES = 11;
/** As many random bytes as make a session id impossible to guess. */
export const SESSION_RANDOM_BYTES = 8;

export const OFFSET_ORIGIN_NODE = 5;
export const OFFSET_ORIGIN_INCARNATION = 13;
export const OFFSET_REQUEST_ID = 21;

/** The process that waits for the answer. */
export interface Origin {
  readonly nodeId: number;
  readonly incarnation: number;
}

export function isKnownKind(kind: number): boolean {
  return kind >= KIND_PUT && kind <= KIND_CLOSE_SESSION;
}

export function areKnownFlags(flags: number): boolean {
  return (flags & ~FLAG_WANT_PREVIOUS) === 0;
}

/**
 * True when this build can apply the command. A leader asks before it appends what another member
 * forwarded: once in the log, a command from a newer build would stop every older one.
 */
export function isSupportedCommand(command: Uint8Array): boolean {
  const [version, kind, flags] = command;
  return (
    version === COMMAND_VERSION &&
    kind !== undefined &&
    isKnownKind(kind) &&
    flags !== undefined &&
    areKnownFlags(flags)
  );
}
