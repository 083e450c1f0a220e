/**
 * Commands from fields to bytes, in one allocation each; the layout is in command-layout.ts.
 * Trusts its caller for limits and value types: protocols check those where bytes enter.
 */
import { assert } from "../../raft/index.ts";
import { writeBytes, writeUint64 } from "./bytes.ts";
import {
  COMMAND_VERSION,
  CONDITION_CODES,
  DELETE_FIXED_BYTES,
  FLAG_WANT_PREVIOUS,
  HEADER_BYTES,
  KIND_CLOSE_SESSION,
  KIND_DELETE,
  KIND_OPEN_SESSION,
  KIND_PUT,
  OFFSET_ORIGIN_INCARNATION,
  OFFSET_ORIGIN_NODE,
  OFFSET_REQUEST_ID,
  type Origin,
  PUT_FIXED_BYTES,
  SESSION_NUMBERS_BYTES,
  SESSION_RANDOM_BYTES,
} from "./command-layout.ts";
import type { ByteString, ValueType } from "./record.ts";
import { valueTypeCode } from "./stored-record.ts";

/** What must hold of the key as it is, or nothing is changed. */
export type Condition =
  | { readonly kind: "none" }
  /** If-Match: "N". */
  | { readonly kind: "revision"; readonly revision: number }
  /** If-Match: *. */
  | { readonly kind: "exists" }
  /** If-None-Match: *. */
  | { readonly kind: "absent" };

/** Makes a command's retries harmless (thesis 6.3); see sessions.ts. */
export interface SessionStamp {
  readonly id: string;
  /** Counts the session's commands from 1. */
  readonly sequence: number;
  /** The client has the answers to all sequences below this one. */
  readonly lowestUnanswered: number;
}

const NO_CONDITION: Condition = { kind: "none" };

/** Lengths of one byte. */
const BYTE_MAX = 255;

/** Header fields; all may be left out. */
export interface CommandContext {
  readonly origin?: Origin | undefined;
  readonly requestId?: number | undefined;
  readonly principal?: ByteString | undefined;
  readonly session?: SessionStamp | undefined;
}

export interface PutRequest extends CommandContext {
  readonly key: ByteString | Uint8Array;
  readonly value: Uint8Array;
  readonly type: ValueType;
  readonly condition?: Condition | undefined;
  readonly wantPrevious?: boolean | undefined;
}

export interface DeleteRequest extends CommandContext {
  readonly key: ByteString | Uint8Array;
  readonly condition?: Condition | undefined;
  readonly wantPrevious?: boolean | undefined;
}

export interface OpenSessionRequest extends CommandContext {
  /** SESSION_RANDOM_BYTES from the proposer's cryptographic source: `apply` has none. */
  readonly random: Uint8Array;
}

export interface CloseSessionRequest extends CommandContext {
  readonly id: string;
}

export function encodePut(request: PutRequest): Buffer {
  const { key, value, condition = NO_CONDITION } = request;
  const bodyBytes = PUT_FIXED_BYTES + key.length + value.length;
  const flags = request.wantPrevious === true ? FLAG_WANT_PREVIOUS : 0;
  const command = allocate(KIND_PUT, flags, bodyBytes, request);
  const at = command.length - bodyBytes;
  command[at] = valueTypeCode(request.type);
  writeCondition(command, condition, at + 1);
  command.writeUInt16LE(key.length, at + 10);
  command.writeUInt32LE(value.length, at + 12);
  writeBytes(command, key, at + PUT_FIXED_BYTES);
  command.set(value, command.length - value.length);
  return command;
}

export function encodeDelete(request: DeleteRequest): Buffer {
  const { key, condition = NO_CONDITION } = request;
  const bodyBytes = DELETE_FIXED_BYTES + key.length;
  const flags = request.wantPrevious === true ? FLAG_WANT_PREVIOUS : 0;
  const command = allocate(KIND_DELETE, flags, bodyBytes, request);
  const at = command.length - bodyBytes;
  writeCondition(command, condition, at);
  command.writeUInt16LE(key.length, at + 9);
  writeBytes(command, key, at + DELETE_FIXED_BYTES);
  return command;
}

export function encodeOpenSession(request: OpenSessionRequest): Buffer {
  assert(request.random.length === SESSION_RANDOM_BYTES, "a session id has 64 random bits");
  const command = allocate(KIND_OPEN_SESSION, 0, SESSION_RANDOM_BYTES, request);
  command.set(request.random, command.length - SESSION_RANDOM_BYTES);
  return command;
}

export function encodeCloseSession(request: CloseSessionRequest): Buffer {
  const bodyBytes = 1 + request.id.length;
  const command = allocate(KIND_CLOSE_SESSION, 0, bodyBytes, request);
  const at = command.length - bodyBytes;
  command.writeUInt8(request.id.length, at);
  writeBytes(command, request.id, at + 1);
  return command;
}

function allocate(kind: number, flags: number, bodyBytes: number, context: CommandContext): Buffer {
  const { origin, session, principal = "" } = context;
  const sessionIdBytes = session === undefined ? 0 : session.id.length;
  const sessionBytes = session === undefined ? 0 : sessionIdBytes + SESSION_NUMBERS_BYTES;
  assert(sessionIdBytes <= BYTE_MAX, "a session id has at most 255 bytes");
  assert(principal.length <= BYTE_MAX, "a principal has at most 255 bytes");
  const headerBytes = HEADER_BYTES + sessionBytes + principal.length;
  const command = Buffer.allocUnsafe(headerBytes + bodyBytes);
  command[0] = COMMAND_VERSION;
  command[1] = kind;
  command[2] = flags;
  command[3] = sessionIdBytes;
  command[4] = principal.length;
  writeUint64(command, origin === undefined ? 0 : origin.nodeId, OFFSET_ORIGIN_NODE);
  writeUint64(command, origin === undefined ? 0 : origin.incarnation, OFFSET_ORIGIN_INCARNATION);
  writeUint64(command, context.requestId ?? 0, OFFSET_REQUEST_ID);
  if (session !== undefined) {
    assert(sessionIdBytes > 0, "a session id is not empty");
    writeBytes(command, session.id, HEADER_BYTES);
    writeUint64(command, session.sequence, HEADER_BYTES + sessionIdBytes);
    writeUint64(command, session.lowestUnanswered, HEADER_BYTES + sessionIdBytes + 8);
  }
  if (principal.length > 0) writeBytes(command, principal, HEADER_BYTES + sessionBytes);
  return command;
}

function writeCondition(buffer: Buffer, condition: Condition, offset: number): void {
  buffer[offset] = CONDITION_CODES[condition.kind];
  writeUint64(buffer, condition.kind === "revision" ? condition.revision : 0, offset + 1);
}
