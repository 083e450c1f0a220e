/**
 * The bytes of what became of a forwarded write: `WriteOutcome` with the state machine's own
 * result. Positions in the closed lists below are the wire format: add at the end only.
 */
import { unreachable } from "../../raft/index.ts";
import type { Refusal, WriteOutcome } from "../gateway.ts";
import type { KvRecord, ValueType } from "../kv/record.ts";
import type { KvResult } from "../kv/result.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { readMember, writeMember } from "./configuration-codec.ts";

type UnknownReason = Extract<WriteOutcome, { kind: "unknown" }>["reason"];

const OUTCOME_KINDS: readonly WriteOutcome["kind"][] = ["applied", "not-applied", "unknown"];
const REFUSALS: readonly Refusal[] = [
  "no-leader",
  "not-leader",
  "overloaded",
  "disk-full",
  "stopping",
  "starting",
  "repairing",
  "disputed",
  "fenced",
];
const UNKNOWN_REASONS: readonly UnknownReason[] = ["timeout", "leadership-lost", "link-lost"];
const RESULT_KINDS: readonly KvResult["kind"][] = [
  "put",
  "deleted",
  "condition-failed",
  "session-opened",
  "session-closed",
  "session-expired",
  "session-conflict",
  "sessions-full",
  "malformed",
];
const VALUE_TYPES: readonly ValueType[] = ["json", "text", "binary"];
const SESSION_ID_BYTES_MAX = 1024;

/** `previous` was not asked for, was asked for and did not exist, or follows. */
const PREVIOUS = { none: 0, absent: 1, present: 2 } as const;

export function writeOutcome(writer: ByteWriter, outcome: WriteOutcome): void {
  writer.u8(OUTCOME_KINDS.indexOf(outcome.kind));
  switch (outcome.kind) {
    case "applied":
      writeResult(writer, outcome.result);
      return;
    case "not-applied":
      writer.u8(REFUSALS.indexOf(outcome.reason));
      writer.flag(outcome.leader !== undefined);
      if (outcome.leader !== undefined) writeMember(writer, outcome.leader);
      return;
    case "unknown":
      writer.u8(UNKNOWN_REASONS.indexOf(outcome.reason));
      return;
    default:
      unreachable(outcome);
  }
}

export function readOutcome(reader: ByteReader): WriteOutcome {
  const kind = reader.choice(OUTCOME_KINDS);
  switch (kind) {
    case "applied":
      return { kind, result: readResult(reader) };
    case "not-applied": {
      const reason = reader.choice(REFUSALS);
      return { kind, reason, leader: reader.flag() ? readMember(reader) : undefined };
    }
    case "unknown":
      return { kind, reason: reader.choice(UNKNOWN_REASONS) };
    default:
      unreachable(kind);
  }
}

function writeResult(writer: ByteWriter, result: KvResult): void {
  writer.u8(RESULT_KINDS.indexOf(result.kind));
  switch (result.kind) {
    case "put":
      writer.uint(result.revision);
      writer.uint(result.createRevision);
      writer.uint(result.version);
      writePrevious(writer, result);
      return;
    case "deleted":
      writer.uint(result.deleted);
      writer.uint(result.revision);
      writePrevious(writer, result);
      return;
    case "condition-failed":
      writer.uint(result.revision);
      writer.flag(result.current !== undefined);
      if (result.current !== undefined) writeRecord(writer, result.current);
      return;
    case "session-opened":
      writer.text(result.id);
      writer.uint(result.ttlMs);
      return;
    case "session-closed":
    case "session-expired":
    case "session-conflict":
    case "sessions-full":
    case "malformed":
      return;
    default:
      unreachable(result);
  }
}

function readResult(reader: ByteReader): KvResult {
  const kind = reader.choice(RESULT_KINDS);
  switch (kind) {
    case "put": {
      const revision = reader.uint();
      const createRevision = reader.uint();
      const version = reader.uint();
      return { kind, revision, createRevision, version, ...readPrevious(reader) };
    }
    case "deleted": {
      const deleted = reader.uint();
      const revision = reader.uint();
      return { kind, deleted, revision, ...readPrevious(reader) };
    }
    case "condition-failed": {
      const revision = reader.uint();
      return { kind, revision, current: reader.flag() ? readRecord(reader) : undefined };
    }
    case "session-opened": {
      const id = reader.text(SESSION_ID_BYTES_MAX);
      return { kind, id, ttlMs: reader.uint() };
    }
    case "session-closed":
    case "session-expired":
    case "session-conflict":
    case "sessions-full":
    case "malformed":
      return { kind };
    default:
      unreachable(kind);
  }
}

interface WithPrevious {
  readonly previous?: KvRecord | undefined;
}

function writePrevious(writer: ByteWriter, result: WithPrevious): void {
  if (result.previous !== undefined) {
    writer.u8(PREVIOUS.present);
    writeRecord(writer, result.previous);
    return;
  }
  writer.u8("previous" in result ? PREVIOUS.absent : PREVIOUS.none);
}

const NO_PREVIOUS: WithPrevious = {};
const PREVIOUS_KINDS = [PREVIOUS.none, PREVIOUS.absent, PREVIOUS.present] as const;

function readPrevious(reader: ByteReader): WithPrevious {
  const kind = reader.choice(PREVIOUS_KINDS);
  if (kind === PREVIOUS.none) return NO_PREVIOUS;
  return { previous: kind === PREVIOUS.present ? readRecord(reader) : undefined };
}

function writeRecord(writer: ByteWriter, record: KvRecord): void {
  writer.latin1(record.value);
  writer.u8(VALUE_TYPES.indexOf(record.type));
  writer.uint(record.revision);
  writer.uint(record.createRevision);
  writer.uint(record.version);
  writer.uint(record.lease);
  writer.uint(record.expiresAt);
}

function readRecord(reader: ByteReader): KvRecord {
  return {
    value: reader.latin1(),
    type: reader.choice(VALUE_TYPES),
    revision: reader.uint(),
    createRevision: reader.uint(),
    version: reader.uint(),
    lease: reader.uint(),
    expiresAt: reader.uint(),
  };
}
