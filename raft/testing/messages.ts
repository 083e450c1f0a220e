/** Short ways to write the messages that tests hand to a node, and to read what it sends. */
import type { AppendEntries, Envelope, Message } from "../message.ts";
import type { Entry, LogIndex, SnapshotMetadata, Term } from "../types.ts";
import { formatEnvelope } from "./format.ts";

export function ask(lastLogIndex: LogIndex, lastLogTerm: Term, transfer = false): Message {
  return { kind: "request-vote", phase: "vote", lastLogIndex, lastLogTerm, transfer };
}

export function askBefore(lastLogIndex: LogIndex, lastLogTerm: Term): Message {
  return { kind: "request-vote", phase: "pre-vote", lastLogIndex, lastLogTerm, transfer: false };
}

export function grant(phase: "pre-vote" | "vote", granted = true): Message {
  return { kind: "request-vote-response", phase, granted };
}

export function append(
  prevLogIndex: LogIndex,
  prevLogTerm: Term,
  entries: readonly Entry[] = [],
  commitIndex: LogIndex = 0,
): AppendEntries {
  return { kind: "append-entries", prevLogIndex, prevLogTerm, entries, commitIndex };
}

export function rejected(rejectedIndex: LogIndex, hintIndex: LogIndex, hintTerm: Term): Message {
  return {
    kind: "append-entries-response",
    result: "rejected",
    rejectedIndex,
    hintIndex,
    hintTerm,
  };
}

export function heartbeat(commitIndex: LogIndex = 0, readRound = 1): Message {
  return { kind: "heartbeat", commitIndex, readRound };
}

export function heard(readRound: number): Message {
  return { kind: "heartbeat-response", readRound };
}

export function install(metadata: SnapshotMetadata): Message {
  return { kind: "install-snapshot", metadata };
}

export function lines(envelopes: readonly Envelope[]): readonly string[] {
  return envelopes.map(formatEnvelope);
}

/** The newest read round among heartbeats that left. */
export function newestRound(envelopes: readonly Envelope[]): number {
  let newest = 0;
  for (const { message } of envelopes) {
    if (message.kind === "heartbeat") newest = Math.max(newest, message.readRound);
  }
  return newest;
}
