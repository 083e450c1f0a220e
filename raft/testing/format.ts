/**
 * One line for each thing a trace or a golden script shows: entries, envelopes, Readys.
 *
 * The notation: `3/2` is the entry at index 3 of term 2, `t2` is term 2, `1->2` is a message from
 * node 1 to node 2. Pure functions; the same value always gives the same line.
 */
import { unreachable } from "../assert.ts";
import type { Envelope, Message } from "../message.ts";
import type { Ready } from "../ready.ts";
import type { Configuration, Entry, EntryId, HardState, SnapshotMetadata } from "../types.ts";

const decoder = new TextDecoder();

export function formatId(id: EntryId): string {
  return `${id.index}/${id.term}`;
}

/** Voters plainly, learners with an `l`: `1 2 3l`. */
export function formatConfiguration(configuration: Configuration): string {
  return configuration.members
    .map((member) => `${member.id}${member.role === "learner" ? "l" : ""}`)
    .join(" ");
}

export function formatData(data: Uint8Array): string {
  return data.length <= 24 ? JSON.stringify(decoder.decode(data)) : `${data.length} bytes`;
}

export function formatEntry(entry: Entry): string {
  const id = formatId(entry);
  switch (entry.type) {
    case "noop":
      return `${id} noop`;
    case "command":
      return `${id} ${formatData(entry.data)}`;
    case "conf-change":
      return `${id} members ${formatConfiguration(entry.configuration)}`;
    case "time":
      return `${id} time ${entry.time}`;
    case "feature-level":
      return `${id} feature-level ${entry.level}`;
    default:
      return unreachable(entry);
  }
}

export function formatEntries(entries: readonly Entry[]): string {
  return `[${entries.map(formatEntry).join(", ")}]`;
}

export function formatHardState(state: HardState): string {
  return `t${state.term} vote=${state.vote} commit=${state.commitIndex}`;
}

export function formatSnapshot(metadata: SnapshotMetadata): string {
  return `snapshot ${formatId(metadata)} members ${formatConfiguration(metadata.configuration)}`;
}

export function formatMessage(message: Message): string {
  switch (message.kind) {
    case "request-vote": {
      const asked = message.phase === "vote" ? "request-vote" : "request-pre-vote";
      const last = `last=${message.lastLogIndex}/${message.lastLogTerm}`;
      return `${asked} ${last}${message.transfer ? " transfer" : ""}`;
    }
    case "request-vote-response":
      return `${message.phase} ${message.granted ? "granted" : "refused"}`;
    case "append-entries": {
      const prev = `prev=${message.prevLogIndex}/${message.prevLogTerm}`;
      return `append ${prev} commit=${message.commitIndex} ${formatEntries(message.entries)}`;
    }
    case "append-entries-response":
      return message.result === "accepted"
        ? `append accepted match=${message.matchIndex}`
        : `append rejected at=${message.rejectedIndex} ` +
            `hint=${message.hintIndex}/${message.hintTerm}`;
    case "heartbeat":
      return `heartbeat commit=${message.commitIndex} round=${message.readRound}`;
    case "heartbeat-response":
      return `heartbeat-response round=${message.readRound}`;
    case "install-snapshot":
      return `install ${formatSnapshot(message.metadata)}`;
    case "install-snapshot-response":
      return `install accepted match=${message.matchIndex}`;
    case "timeout-now":
      return "timeout-now";
    case "read-index":
      return `read-index context=${message.context}`;
    case "read-index-response":
      return `read-index-response context=${message.context} index=${message.index}`;
    default:
      return unreachable(message);
  }
}

export function formatEnvelope(envelope: Envelope): string {
  const route = `${envelope.from}->${envelope.to} t${envelope.term}`;
  const flag = envelope.isRecovering ? " recovering" : "";
  return `${route}${flag} ${formatMessage(envelope.message)}`;
}

/** Only what is set, in the order in which a host does it. */
export function formatReady(ready: Ready): string {
  const parts = [`ready #${ready.persistSequence}`];
  if (ready.softState) parts.push(`${ready.softState.role} leader=${ready.softState.leaderId}`);
  for (const envelope of ready.messages) parts.push(`send {${formatEnvelope(envelope)}}`);
  if (ready.hardState) {
    parts.push(`${formatHardState(ready.hardState)}${ready.mustSyncHardState ? " sync" : ""}`);
  }
  if (ready.snapshot) parts.push(formatSnapshot(ready.snapshot));
  if (ready.entries.length > 0) parts.push(`append ${formatEntries(ready.entries)}`);
  for (const envelope of ready.messagesAfterSync) {
    parts.push(`after {${formatEnvelope(envelope)}}`);
  }
  if (ready.committedEntries.length > 0) {
    parts.push(`commit ${ready.committedEntries.map(formatId).join(" ")}`);
  }
  for (const read of ready.readStates) parts.push(`read ${read.context} at ${read.index}`);
  for (const context of ready.abortedReads) parts.push(`read ${context} aborted`);
  if (ready.becameWhole) parts.push("whole again");
  return parts.join("; ");
}
