/** The bytes of what replicas ask one another beside Raft; see peer-codec.ts for the rules. */
import { unreachable } from "../../raft/index.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { readEntries, writeEntries } from "./entries-codec.ts";
import { beginFrame, endFrame, FRAME_KINDS } from "./frame.ts";
import type {
  HelperState,
  RepairAnswer,
  RepairRequest,
  ReplicaMessage,
  StateReport,
  StateVerdict,
} from "./peer-message.ts";

/** Positions are the wire format: add at the end only. */
const HELPER_STATES: readonly HelperState[] = ["running", "recovering", "repairing"];

/** False, and nothing is written, when the message is too large for a frame. */
export function encodeReplicaMessage(writer: ByteWriter, message: ReplicaMessage): boolean {
  const start = beginFrame(writer, FRAME_KINDS[message.kind]);
  writer.uint(message.from);
  writer.uint(message.to);
  switch (message.kind) {
    case "repair-request":
      writer.uint(message.first);
      writer.uint(message.last);
      writer.flag(message.wantsSnapshot);
      break;
    case "repair-answer":
      writer.uint(message.last);
      writer.u8(HELPER_STATES.indexOf(message.state));
      writer.flag(message.hasLeader);
      writer.uint(message.snapshotIndex);
      writeEntries(writer, message.entries);
      break;
    case "state-report":
    case "state-verdict":
      writer.uint(message.index);
      writer.u32(message.hash.version);
      writer.latin1(message.hash.value);
      break;
    default:
      unreachable(message);
  }
  return endFrame(writer, start);
}

export function readRepairRequest(reader: ByteReader): RepairRequest {
  const from = reader.uint();
  const to = reader.uint();
  const first = reader.uint();
  const last = reader.uint();
  return { kind: "repair-request", from, to, first, last, wantsSnapshot: reader.flag() };
}

export function readRepairAnswer(reader: ByteReader): RepairAnswer {
  const from = reader.uint();
  const to = reader.uint();
  const last = reader.uint();
  const state = reader.choice(HELPER_STATES);
  const hasLeader = reader.flag();
  const snapshotIndex = reader.uint();
  const entries = readEntries(reader);
  return { kind: "repair-answer", from, to, last, state, hasLeader, snapshotIndex, entries };
}

export function readStateHash(
  reader: ByteReader,
  kind: "state-report" | "state-verdict",
): StateReport | StateVerdict {
  const from = reader.uint();
  const to = reader.uint();
  const index = reader.uint();
  const version = reader.u32();
  const value = reader.latin1();
  return { kind, from, to, index, hash: { version, value } };
}
