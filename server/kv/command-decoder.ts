/**
 * Commands from bytes to fields. Decoding is total: it gives a command, or "malformed", the same on
 * every replica. Only a version, kind or flag of another build throws, and stops the node.
 *
 * Strings are copied out of the entry, so that a stored record never pins a log buffer.
 */
import { crc32 } from "node:zlib";
import { LIMITS } from "../../clients/contract.ts";
import { asBuffer, readUint64 } from "./bytes.ts";
import type { Condition, SessionStamp } from "./command.ts";
import {
  areKnownFlags,
  COMMAND_VERSION,
  CONDITION_CODES,
  DELETE_FIXED_BYTES,
  FLAG_WANT_PREVIOUS,
  HEADER_BYTES,
  isKnownKind,
  KIND_CLOSE_SESSION,
  KIND_DELETE,
  KIND_OPEN_SESSION,
  KIND_PUT,
  PUT_FIXED_BYTES,
  SESSION_NUMBERS_BYTES,
  SESSION_RANDOM_BYTES,
} from "./command-layout.ts";
import { UnsupportedCommandError } from "./errors.ts";
import type { ByteString, ValueType } from "./record.ts";
import { valueTypeOf } from "./stored-record.ts";

interface DecodedWrite {
  readonly key: ByteString;
  readonly condition: Condition;
  readonly wantPrevious: boolean;
  readonly session: SessionStamp | undefined;
  readonly principal: ByteString;
  /** Tells one body from another under the same sequence; 0 without a session. */
  readonly fingerprint: number;
}

export interface PutCommand extends DecodedWrite {
  readonly kind: "put";
  readonly value: ByteString;
  readonly type: ValueType;
}

export interface DeleteCommand extends DecodedWrite {
  readonly kind: "delete";
}

export type Command =
  | PutCommand
  | DeleteCommand
  | { readonly kind: "open-session"; readonly random: string; readonly principal: ByteString }
  | { readonly kind: "close-session"; readonly id: string; readonly principal: ByteString }
  | { readonly kind: "malformed" };

const MALFORMED: Command = { kind: "malformed" };
const NO_CONDITION: Condition = { kind: "none" };
const CONDITION_EXISTS: Condition = { kind: "exists" };
const CONDITION_ABSENT: Condition = { kind: "absent" };

export function decodeCommand(data: Uint8Array): Command {
  const version = data[0];
  const kind = data[1];
  const flags = data[2];
  if (version === undefined) return MALFORMED;
  if (version !== COMMAND_VERSION) throw unsupported("version", version);
  if (kind === undefined || flags === undefined) return MALFORMED;
  if (!isKnownKind(kind)) throw unsupported("kind", kind);
  if (!areKnownFlags(flags)) throw unsupported("flags", flags);
  if (data.length < HEADER_BYTES) return MALFORMED;

  const command = asBuffer(data);
  const sessionIdBytes = command.readUInt8(3);
  const sessionBytes = sessionIdBytes === 0 ? 0 : sessionIdBytes + SESSION_NUMBERS_BYTES;
  const principalAt = HEADER_BYTES + sessionBytes;
  const bodyAt = principalAt + command.readUInt8(4);
  if (bodyAt > command.length) return MALFORMED;

  const principal = command.toString("latin1", principalAt, bodyAt);
  switch (kind) {
    case KIND_OPEN_SESSION:
      return decodeOpenSession(command, bodyAt, principal);
    case KIND_CLOSE_SESSION:
      return decodeCloseSession(command, bodyAt, principal);
    default: {
      const session = decodeSession(command, sessionIdBytes);
      if (session === null) return MALFORMED;
      if (kind === KIND_PUT) return decodePut(command, bodyAt, session, principal);
      return decodeDelete(command, bodyAt, session, principal);
    }
  }
}

function decodePut(
  command: Buffer,
  bodyAt: number,
  session: SessionStamp | undefined,
  principal: ByteString,
): Command {
  const keyAt = bodyAt + PUT_FIXED_BYTES;
  if (keyAt > command.length) return MALFORMED;
  const type = valueTypeOf(command.readUInt8(bodyAt));
  const condition = decodeCondition(command, bodyAt + 1);
  const valueAt = keyAt + command.readUInt16LE(bodyAt + 10);
  const end = valueAt + command.readUInt32LE(bodyAt + 12);
  if (type === undefined || condition === undefined) return MALFORMED;
  if (end !== command.length || !isKeyLength(valueAt - keyAt)) return MALFORMED;
  return {
    kind: "put",
    key: command.toString("latin1", keyAt, valueAt),
    value: command.toString("latin1", valueAt, end),
    type,
    condition,
    wantPrevious: (command.readUInt8(2) & FLAG_WANT_PREVIOUS) !== 0,
    session,
    principal,
    fingerprint: session === undefined ? 0 : fingerprint(command, bodyAt, KIND_PUT),
  };
}

function decodeDelete(
  command: Buffer,
  bodyAt: number,
  session: SessionStamp | undefined,
  principal: ByteString,
): Command {
  const keyAt = bodyAt + DELETE_FIXED_BYTES;
  if (keyAt > command.length) return MALFORMED;
  const condition = decodeCondition(command, bodyAt);
  const end = keyAt + command.readUInt16LE(bodyAt + 9);
  if (condition === undefined) return MALFORMED;
  if (end !== command.length || !isKeyLength(end - keyAt)) return MALFORMED;
  return {
    kind: "delete",
    key: command.toString("latin1", keyAt, end),
    condition,
    wantPrevious: (command.readUInt8(2) & FLAG_WANT_PREVIOUS) !== 0,
    session,
    principal,
    fingerprint: session === undefined ? 0 : fingerprint(command, bodyAt, KIND_DELETE),
  };
}

function decodeOpenSession(command: Buffer, bodyAt: number, principal: ByteString): Command {
  if (command.length - bodyAt !== SESSION_RANDOM_BYTES) return MALFORMED;
  return { kind: "open-session", random: command.toString("hex", bodyAt), principal };
}

function decodeCloseSession(command: Buffer, bodyAt: number, principal: ByteString): Command {
  if (bodyAt >= command.length) return MALFORMED;
  if (bodyAt + 1 + command.readUInt8(bodyAt) !== command.length) return MALFORMED;
  return { kind: "close-session", id: command.toString("latin1", bodyAt + 1), principal };
}

/** Undefined: the command has no session. Null: it has one that is not well formed. */
function decodeSession(command: Buffer, idBytes: number): SessionStamp | undefined | null {
  if (idBytes === 0) return undefined;
  const numbersAt = HEADER_BYTES + idBytes;
  const sequence = readUint64(command, numbersAt);
  const lowestUnanswered = readUint64(command, numbersAt + 8);
  if (!isCount(sequence) || !isCount(lowestUnanswered)) return null;
  return { id: command.toString("latin1", HEADER_BYTES, numbersAt), sequence, lowestUnanswered };
}

function decodeCondition(command: Buffer, offset: number): Condition | undefined {
  switch (command.readUInt8(offset)) {
    case CONDITION_CODES.none:
      return NO_CONDITION;
    case CONDITION_CODES.exists:
      return CONDITION_EXISTS;
    case CONDITION_CODES.absent:
      return CONDITION_ABSENT;
    case CONDITION_CODES.revision: {
      const revision = readUint64(command, offset + 1);
      return Number.isSafeInteger(revision) ? { kind: "revision", revision } : undefined;
    }
    default:
      return undefined;
  }
}

function isKeyLength(length: number): boolean {
  return length >= 1 && length <= LIMITS.keyBytesMax;
}

/** A whole number from 1 that is safe. */
function isCount(value: number): boolean {
  return value >= 1 && Number.isSafeInteger(value);
}

/** The body's CRC-32, begun with the command's kind, and its length, in one number below 2^53. */
function fingerprint(command: Buffer, bodyAt: number, kind: number): number {
  const body = command.subarray(bodyAt);
  return (body.length % FINGERPRINT_LENGTHS) * 4294967296 + crc32(body, kind);
}

const FINGERPRINT_LENGTHS = 2 ** 20;

function unsupported(what: string, found: number): UnsupportedCommandError {
  return new UnsupportedCommandError(
    `a committed command has ${what} ${found}, which this build does not know; ` +
      "start the build that the other members run",
  );
}
