/** At least one message of every kind and shape, with integers at both ends of their range. */
import type { Message } from "../../../raft/index.ts";
import type { WriteOutcome } from "../../gateway.ts";
import type { KvRecord } from "../../kv/record.ts";
import type { KvResult } from "../../kv/result.ts";
import type { PeerMessage } from "../peer-message.ts";
import { commandEntry, envelope, memberAt } from "./loopback.ts";
import { METADATA } from "./memory-snapshots.ts";

const MAX = Number.MAX_SAFE_INTEGER;

export const MESSAGES: readonly Message[] = [
  { kind: "request-vote", phase: "vote", lastLogIndex: MAX, lastLogTerm: 3, transfer: true },
  { kind: "request-vote", phase: "pre-vote", lastLogIndex: 0, lastLogTerm: 0, transfer: false },
  { kind: "request-vote-response", phase: "vote", granted: true },
  { kind: "request-vote-response", phase: "pre-vote", granted: false },
  { kind: "append-entries", prevLogIndex: 4, prevLogTerm: 2, commitIndex: 3, entries: [] },
  {
    kind: "append-entries",
    prevLogIndex: 2 ** 32,
    prevLogTerm: 2 ** 32 - 1,
    commitIndex: 2 ** 32 + 1,
    entries: [commandEntry(5, 0), commandEntry(6, 1), commandEntry(7, 5_000)],
  },
  { kind: "append-entries-response", result: "accepted", matchIndex: 12 },
  {
    kind: "append-entries-response",
    result: "rejected",
    rejectedIndex: 9,
    hintIndex: 8,
    hintTerm: 2,
  },
  { kind: "heartbeat", commitIndex: 77, readRound: 5 },
  { kind: "heartbeat-response", readRound: MAX },
  { kind: "install-snapshot", metadata: METADATA },
  { kind: "install-snapshot-response", matchIndex: 900 },
  { kind: "timeout-now" },
  { kind: "read-index", context: 31 },
  { kind: "read-index-response", context: 31, index: 0 },
];

const RECORD: KvRecord = {
  value: "\u0000\u00ff value",
  type: "binary",
  revision: 9,
  createRevision: 3,
  version: 2,
  lease: 0,
  expiresAt: MAX,
};

const RESULTS: readonly KvResult[] = [
  { kind: "put", revision: 9, createRevision: 3, version: 2 },
  { kind: "put", revision: 9, createRevision: 3, version: 2, previous: undefined },
  { kind: "put", revision: 9, createRevision: 3, version: 2, previous: RECORD },
  { kind: "deleted", deleted: 0, revision: 9 },
  { kind: "deleted", deleted: 1, revision: 9, previous: { ...RECORD, type: "json" } },
  { kind: "condition-failed", revision: 4, current: undefined },
  { kind: "condition-failed", revision: 4, current: { ...RECORD, type: "text", value: "" } },
  { kind: "session-opened", id: "s-1-ü", ttlMs: 60_000 },
  { kind: "session-closed" },
  { kind: "session-expired" },
  { kind: "session-conflict" },
  { kind: "sessions-full" },
  { kind: "malformed" },
];

const OUTCOMES: readonly WriteOutcome[] = [
  ...RESULTS.map((result): WriteOutcome => ({ kind: "applied", result })),
  { kind: "not-applied", reason: "no-leader", leader: undefined },
  { kind: "not-applied", reason: "not-leader", leader: memberAt(3, 9003) },
  { kind: "not-applied", reason: "overloaded", leader: undefined },
  { kind: "not-applied", reason: "disk-full", leader: undefined },
  { kind: "not-applied", reason: "stopping", leader: undefined },
  { kind: "not-applied", reason: "starting", leader: undefined },
  { kind: "unknown", reason: "timeout" },
  { kind: "unknown", reason: "leadership-lost" },
  { kind: "unknown", reason: "link-lost" },
];

export const PEER_MESSAGES: readonly PeerMessage[] = [
  ...MESSAGES.map(
    (message, at): PeerMessage => ({
      kind: "raft",
      envelope: {
        ...envelope(1, 2, message, at === 0 ? MAX : at),
        group: at % 2,
        isRecovering: at % 3 === 0,
      },
    }),
  ),
  {
    kind: "forward",
    from: 1,
    to: 2,
    leaderTerm: 7,
    originIncarnation: MAX,
    sequence: 1,
    requests: [
      { id: 1, command: Buffer.from("a command") },
      { id: 2, command: Buffer.alloc(0) },
    ],
  },
  {
    kind: "forward-results",
    from: 1,
    to: 2,
    originIncarnation: 102,
    results: OUTCOMES.map((outcome, at) => ({ id: at + 1, outcome })),
  },
  { kind: "repair-request", from: 1, to: 2, first: 3, last: MAX, wantsSnapshot: true },
  {
    kind: "repair-answer",
    from: 1,
    to: 2,
    last: 6,
    entries: [commandEntry(5, 0), commandEntry(6, 40)],
    state: "repairing",
    hasLeader: false,
    snapshotIndex: MAX,
  },
  {
    kind: "state-report",
    from: 1,
    to: 2,
    index: MAX,
    hash: { version: 1, value: "0123456789abcdef" },
  },
  {
    kind: "state-verdict",
    from: 1,
    to: 2,
    index: 1024,
    hash: { version: 2 ** 32 - 1, value: "" },
  },
];
