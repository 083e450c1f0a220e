/**
 * The bytes of every message between members, both ways: the gateway where what arrived from the
 * network becomes a trusted value. Decoding is total: any bytes give a message or a
 * `PeerProtocolError`, and nothing of a refused frame takes effect. Whether a message is plausible
 * (terms, indexes past the end, unseen sequences) is decided where it is used.
 *
 * Entries travel in the encoding they have on disk, encoded once and copied from there; commands of
 * a received frame share its memory.
 */
import { assert, type Envelope, type Message, unreachable } from "../../raft/index.ts";
import { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { readSnapshotMetadata, writeSnapshotMetadata } from "./configuration-codec.ts";
import { readEntries, writeEntries } from "./entries-codec.ts";
import { PeerProtocolError } from "./errors.ts";
import { beginFrame, endFrame, FRAME_FORMAT_VERSION, FRAME_KINDS, ownedBody } from "./frame.ts";
import { readOutcome, writeOutcome } from "./outcome-codec.ts";
import type { Forward, ForwardResults, PeerMessage } from "./peer-message.ts";
import { readRepairAnswer, readRepairRequest, readStateHash } from "./replica-message-codec.ts";

/** Results go out in frames of about this size; a batch of large ones becomes several frames. */
const RESULTS_FRAME_BYTES = 256 * 1024;
/** An id and an outcome of two bytes. */
const RESULT_BYTES_MIN = 10;
/** An id and an empty command. */
const REQUEST_BYTES_MIN = 12;

const PHASES: readonly ("pre-vote" | "vote")[] = ["pre-vote", "vote"];

/** False, and nothing is written, when the message is too large for a frame. */
export function encodeEnvelope(writer: ByteWriter, envelope: Envelope): boolean {
  const start = beginFrame(writer, FRAME_KINDS[envelope.message.kind]);
  writer.uint(envelope.group);
  writer.uint(envelope.from);
  writer.uint(envelope.to);
  writer.uint(envelope.term);
  writer.flag(envelope.isRecovering);
  writeMessage(writer, envelope.message);
  return endFrame(writer, start);
}

/** False, and nothing is written, when the batch is too large for a frame. */
export function encodeForward(writer: ByteWriter, forward: Forward): boolean {
  const start = beginFrame(writer, FRAME_KINDS.forward);
  writer.uint(forward.from);
  writer.uint(forward.to);
  writer.uint(forward.leaderTerm);
  writer.uint(forward.originIncarnation);
  writer.uint(forward.sequence);
  writer.u32(forward.requests.length);
  for (const request of forward.requests) {
    writer.uint(request.id);
    writer.bytes(request.command);
  }
  return endFrame(writer, start);
}

/** Answers are independent of one another, so a large batch is cut into several frames. */
export function encodeForwardResults(writer: ByteWriter, message: ForwardResults): boolean {
  let next = 0;
  let isComplete = true;
  while (next < message.results.length) {
    const start = beginFrame(writer, FRAME_KINDS["forward-results"]);
    writer.uint(message.from);
    writer.uint(message.to);
    writer.uint(message.originIncarnation);
    const countAt = writer.length;
    writer.u32(0);
    const first = next;
    while (next < message.results.length && writer.length - start < RESULTS_FRAME_BYTES) {
      const result = message.results[next];
      assert(result !== undefined, "results have no holes");
      writer.uint(result.id);
      writeOutcome(writer, result.outcome);
      next += 1;
    }
    writer.patchU32(countAt, next - first);
    isComplete = endFrame(writer, start) && isComplete;
  }
  return isComplete;
}

/** A frame without meaning, sent over an idle connection and echoed by the other end. */
export function encodeKeepAlive(writer: ByteWriter): void {
  endFrame(writer, beginFrame(writer, FRAME_KINDS["keep-alive"]));
}

/** What is kept from these shares the memory of the frame. */
const KINDS_WITH_DATA: ReadonlySet<number | undefined> = new Set([
  FRAME_KINDS["append-entries"],
  FRAME_KINDS.forward,
  FRAME_KINDS["repair-answer"],
]);

/** Undefined for a keep-alive. `frame` is a checked frame's body: version, kind, payload. */
export function decodeFrame(frame: Buffer): PeerMessage | undefined {
  const version = frame[0];
  const kind = frame[1];
  if (version !== FRAME_FORMAT_VERSION) throw new PeerProtocolError("an unknown frame version");
  const reader = new ByteReader(KINDS_WITH_DATA.has(kind) ? ownedBody(frame) : frame, 2);
  const message = readPeerMessage(reader, kind);
  reader.end();
  return message;
}

function readPeerMessage(reader: ByteReader, kind: number | undefined): PeerMessage | undefined {
  switch (kind) {
    case FRAME_KINDS["keep-alive"]:
      return undefined;
    case FRAME_KINDS.forward:
      return readForward(reader);
    case FRAME_KINDS["forward-results"]:
      return readForwardResults(reader);
    case FRAME_KINDS["repair-request"]:
      return readRepairRequest(reader);
    case FRAME_KINDS["repair-answer"]:
      return readRepairAnswer(reader);
    case FRAME_KINDS["state-report"]:
      return readStateHash(reader, "state-report");
    case FRAME_KINDS["state-verdict"]:
      return readStateHash(reader, "state-verdict");
    default: {
      const group = reader.uint();
      const from = reader.uint();
      const to = reader.uint();
      const term = reader.uint();
      const isRecovering = reader.flag();
      const message = readMessage(reader, kind);
      return { kind: "raft", envelope: { group, from, to, term, isRecovering, message } };
    }
  }
}

function writeMessage(writer: ByteWriter, message: Message): void {
  switch (message.kind) {
    case "request-vote":
      writer.u8(PHASES.indexOf(message.phase));
      writer.uint(message.lastLogIndex);
      writer.uint(message.lastLogTerm);
      writer.flag(message.transfer);
      return;
    case "request-vote-response":
      writer.u8(PHASES.indexOf(message.phase));
      writer.flag(message.granted);
      return;
    case "append-entries":
      writer.uint(message.prevLogIndex);
      writer.uint(message.prevLogTerm);
      writer.uint(message.commitIndex);
      writeEntries(writer, message.entries);
      return;
    case "append-entries-response":
      writer.flag(message.result === "accepted");
      if (message.result === "accepted") {
        writer.uint(message.matchIndex);
        return;
      }
      writer.uint(message.rejectedIndex);
      writer.uint(message.hintIndex);
      writer.uint(message.hintTerm);
      return;
    case "heartbeat":
      writer.uint(message.commitIndex);
      writer.uint(message.readRound);
      return;
    case "heartbeat-response":
      writer.uint(message.readRound);
      return;
    case "install-snapshot":
      writeSnapshotMetadata(writer, message.metadata);
      return;
    case "install-snapshot-response":
      writer.uint(message.matchIndex);
      return;
    case "timeout-now":
      return;
    case "read-index":
      writer.uint(message.context);
      return;
    case "read-index-response":
      writer.uint(message.context);
      writer.uint(message.index);
      return;
    default:
      unreachable(message);
  }
}

function readMessage(reader: ByteReader, kind: number | undefined): Message {
  switch (kind) {
    case FRAME_KINDS["request-vote"]: {
      const phase = reader.choice(PHASES);
      const lastLogIndex = reader.uint();
      const lastLogTerm = reader.uint();
      return {
        kind: "request-vote",
        phase,
        lastLogIndex,
        lastLogTerm,
        transfer: reader.flag(),
      };
    }
    case FRAME_KINDS["request-vote-response"]: {
      const phase = reader.choice(PHASES);
      return { kind: "request-vote-response", phase, granted: reader.flag() };
    }
    case FRAME_KINDS["append-entries"]: {
      const prevLogIndex = reader.uint();
      const prevLogTerm = reader.uint();
      const commitIndex = reader.uint();
      const entries = readEntries(reader);
      return { kind: "append-entries", prevLogIndex, prevLogTerm, commitIndex, entries };
    }
    case FRAME_KINDS["append-entries-response"]:
      return readAppendEntriesResponse(reader);
    case FRAME_KINDS.heartbeat: {
      const commitIndex = reader.uint();
      return { kind: "heartbeat", commitIndex, readRound: reader.uint() };
    }
    case FRAME_KINDS["heartbeat-response"]:
      return { kind: "heartbeat-response", readRound: reader.uint() };
    case FRAME_KINDS["install-snapshot"]:
      return { kind: "install-snapshot", metadata: readSnapshotMetadata(reader) };
    case FRAME_KINDS["install-snapshot-response"]:
      return { kind: "install-snapshot-response", matchIndex: reader.uint() };
    case FRAME_KINDS["timeout-now"]:
      return { kind: "timeout-now" };
    case FRAME_KINDS["read-index"]:
      return { kind: "read-index", context: reader.uint() };
    case FRAME_KINDS["read-index-response"]: {
      const context = reader.uint();
      return { kind: "read-index-response", context, index: reader.uint() };
    }
    default:
      throw new PeerProtocolError("an unknown frame kind");
  }
}

function readAppendEntriesResponse(reader: ByteReader): Message {
  if (reader.flag()) {
    const matchIndex = reader.uint();
    return { kind: "append-entries-response", result: "accepted", matchIndex };
  }
  const rejectedIndex = reader.uint();
  const hintIndex = reader.uint();
  const hintTerm = reader.uint();
  const result = "rejected";
  return { kind: "append-entries-response", result, rejectedIndex, hintIndex, hintTerm };
}

function readForward(reader: ByteReader): Forward {
  const from = reader.uint();
  const to = reader.uint();
  const leaderTerm = reader.uint();
  const originIncarnation = reader.uint();
  const sequence = reader.uint();
  const count = reader.count(REQUEST_BYTES_MIN);
  const requests: Forward["requests"][number][] = [];
  for (let at = 0; at < count; at += 1) {
    const id = reader.uint();
    requests.push({ id, command: reader.bytes() });
  }
  return { kind: "forward", from, to, leaderTerm, originIncarnation, sequence, requests };
}

function readForwardResults(reader: ByteReader): ForwardResults {
  const from = reader.uint();
  const to = reader.uint();
  const originIncarnation = reader.uint();
  const count = reader.count(RESULT_BYTES_MIN);
  const results: ForwardResults["results"][number][] = [];
  for (let at = 0; at < count; at += 1) {
    const id = reader.uint();
    results.push({ id, outcome: readOutcome(reader) });
  }
  return { kind: "forward-results", from, to, originIncarnation, results };
}
