/**
 * A session as an item of a snapshot: id length 1 and id, principal length 1 and principal, birth
 * 8, last use 8, lowest unanswered 8, number of answers 2, then each answer: sequence 8,
 * fingerprint 8, kind 1 and
 *
 *     put                revision 8, create revision 8, version 8
 *     deleted            deleted 8, revision 8
 *     condition failed   revision 8, 1 and the current record, or 0
 */
import { unreachable } from "../../raft/index.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { SnapshotFormatError } from "./errors.ts";
import type { Answer, RememberedResult, Session } from "./sessions.ts";
import { readRecord, writeRecord } from "./stored-record.ts";

const RESULT_PUT = 1;
const RESULT_DELETED = 2;
const RESULT_CONDITION_FAILED = 3;

export function writeSessionItem(writer: ByteWriter, id: string, session: Session): void {
  writer.uint8(id.length);
  writer.bytes(id);
  writer.uint8(session.principal.length);
  writer.bytes(session.principal);
  writer.uint64(session.birth);
  writer.uint64(session.lastUse);
  writer.uint64(session.lowestUnanswered);
  writer.uint16(session.answers.length);
  for (const answer of session.answers) {
    writer.uint64(answer.sequence);
    writer.uint64(answer.fingerprint);
    writeResult(writer, answer.result);
  }
}

export function readSessionItem(reader: ByteReader): { id: string; session: Session } {
  const id = reader.bytes(reader.uint8());
  const principal = reader.bytes(reader.uint8());
  const birth = reader.uint64();
  const lastUse = reader.uint64();
  const lowestUnanswered = reader.uint64();
  const answers: Answer[] = [];
  for (let left = reader.uint16(); left > 0; left -= 1) {
    const sequence = reader.uint64();
    const fingerprint = reader.uint64();
    answers.push({ sequence, fingerprint, result: readResult(reader) });
  }
  return { id, session: { principal, birth, lastUse, lowestUnanswered, answers } };
}

function writeResult(writer: ByteWriter, result: RememberedResult): void {
  switch (result.kind) {
    case "put":
      writer.uint8(RESULT_PUT);
      writer.uint64(result.revision);
      writer.uint64(result.createRevision);
      writer.uint64(result.version);
      return;
    case "deleted":
      writer.uint8(RESULT_DELETED);
      writer.uint64(result.deleted);
      writer.uint64(result.revision);
      return;
    case "condition-failed":
      writer.uint8(RESULT_CONDITION_FAILED);
      writer.uint64(result.revision);
      writer.uint8(result.current === undefined ? 0 : 1);
      if (result.current !== undefined) writeRecord(writer, result.current);
      return;
    default:
      unreachable(result);
  }
}

function readResult(reader: ByteReader): RememberedResult {
  const code = reader.uint8();
  switch (code) {
    case RESULT_PUT: {
      const revision = reader.uint64();
      const createRevision = reader.uint64();
      return { kind: "put", revision, createRevision, version: reader.uint64() };
    }
    case RESULT_DELETED: {
      const deleted = reader.uint64();
      return { kind: "deleted", deleted, revision: reader.uint64() };
    }
    case RESULT_CONDITION_FAILED: {
      const revision = reader.uint64();
      const current = reader.uint8() === 0 ? undefined : readRecord(reader).copy();
      return { kind: "condition-failed", revision, current };
    }
    default:
      throw new SnapshotFormatError(`unknown kind of answer ${code}`);
  }
}
