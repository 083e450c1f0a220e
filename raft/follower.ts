/**
 * What every node does with messages from the leader of its term: follow. Figure 2, "AppendEntries
 * RPC, receiver implementation", and section 7 for snapshots.
 */
import { assert } from "./assert.ts";
import { campaign, canCampaign, isCampaignDue } from "./candidate.ts";
import type { AppendEntries, Heartbeat, InstallSnapshot, ReadIndexResponse } from "./message.ts";
import { type NodeState, send, sendAfterSync } from "./node-state.ts";
import { becomeCandidate, becomeFollower } from "./transitions.ts";
import type { Entry, LogIndex, NodeId } from "./types.ts";

export function tickFollower(state: NodeState): void {
  state.reads.tick(state.config.tickMs, state.config.heartbeatMs);
  if (canCampaign(state)) {
    if (isCampaignDue(state)) campaign(state);
  } else if (state.electionElapsedMs >= state.electionTimeoutMs) {
    // A node that may not stand still has to stop believing in a leader that is silent.
    becomeFollower(state, state.term, 0);
  }
}

/** A message of the current term came from its leader; there is only one (Figure 3). */
export function followLeader(state: NodeState, from: NodeId): void {
  const { role } = state;
  assert(role.kind !== "leader", "at most one leader is elected in a term");
  if (role.kind !== "follower" || role.leaderId !== from) {
    const isFirst = role.kind !== "follower" || role.leaderId === 0;
    assert(isFirst, "at most one leader is elected in a term");
    becomeFollower(state, state.term, from);
  }
  state.electionElapsedMs = 0;
  state.leaderQuietMs = 0;
}

export function handleHeartbeat(state: NodeState, from: NodeId, heartbeat: Heartbeat): void {
  state.log.commitTo(heartbeat.commitIndex);
  const response = { kind: "heartbeat-response", readRound: heartbeat.readRound } as const;
  // Only a node whose term is on disk may say that it lives in it: after a crash it would not
  // remember whom it promised to stay with.
  if (state.durableTerm === state.term) send(state, from, response);
  else sendAfterSync(state, from, response);
}

export function handleAppendEntries(state: NodeState, from: NodeId, append: AppendEntries): void {
  // Until the snapshot is in place there is nothing to append to; the leader will probe again.
  if (state.install !== undefined) return;
  const { log } = state;
  const { prevLogIndex, prevLogTerm } = append;
  const behind = log.commitIndex - prevLogIndex;
  if (behind < 0 && !log.matches(prevLogIndex, prevLogTerm)) {
    sendAfterSync(state, from, rejection(state, append));
    return;
  }
  // Up to the commit index the logs are equal (leader completeness, Figure 3), and the term at
  // prevLogIndex may be compacted away here: skip what is committed.
  const start: LogIndex = Math.max(prevLogIndex, log.commitIndex);
  const entries = behind > 0 ? append.entries.slice(behind) : append.entries;
  appendFromLeader(state, start, entries);
  // Only what this append has proved equal: an older tail behind it may still conflict.
  const provedIndex = start + entries.length;
  log.commitTo(Math.min(append.commitIndex, provedIndex));
  sendAfterSync(state, from, {
    kind: "append-entries-response",
    result: "accepted",
    matchIndex: provedIndex,
  });
}

export function handleInstallSnapshot(
  state: NodeState,
  from: NodeId,
  { metadata }: InstallSnapshot,
): void {
  if (state.install !== undefined) return;
  const { log } = state;
  const holdsIt = log.matches(metadata.index, metadata.term);
  if (metadata.index <= log.commitIndex || holdsIt) {
    log.commitTo(metadata.index);
    const matchIndex = Math.max(metadata.index, log.commitIndex);
    sendAfterSync(state, from, { kind: "install-snapshot-response", matchIndex });
    return;
  }
  // Flushes under way are about entries that are gone now, except for the committed ones.
  state.flushes.truncated(log.commitIndex + 1);
  log.restore(metadata);
  state.configurations.restore({
    index: metadata.configurationIndex,
    configuration: metadata.configuration,
  });
  state.install = { metadata, leaderId: from, isHandedOut: false };
}

/**
 * The leader says: stand at once (thesis 3.10). No pre-vote, for the leader lives and agrees. A
 * recovering node would only end a leadership that works.
 */
export function handleTimeoutNow(state: NodeState): void {
  if (canCampaign(state) && !state.isRecovering) becomeCandidate(state, true);
}

export function handleReadIndexResponse(
  state: NodeState,
  from: NodeId,
  { context, index }: ReadIndexResponse,
): void {
  if (state.role.kind !== "follower" || state.role.leaderId !== from) return;
  for (const settled of state.reads.answered(context)) {
    if (index === 0) state.outbox.readAborted(settled);
    else state.outbox.readConfirmed(settled, index);
  }
}

/** Asks the leader once for all reads that gathered. */
export function requestReadIndex(state: NodeState): void {
  if (!isReadRequestDue(state) || state.role.kind !== "follower") return;
  const context = state.reads.startRequest();
  send(state, state.role.leaderId, { kind: "read-index", context });
}

export function isReadRequestDue(state: NodeState): boolean {
  const { role, reads } = state;
  return role.kind === "follower" && role.leaderId !== 0 && reads.isRequestDue;
}

function appendFromLeader(state: NodeState, start: LogIndex, entries: readonly Entry[]): void {
  if (entries.length === 0) return;
  assert(entries[0]?.index === start + 1, "entries follow prevLogIndex");
  const { fresh, truncatedFrom } = state.log.splice(start, entries);
  if (truncatedFrom !== undefined) {
    state.flushes.truncated(truncatedFrom);
    state.configurations.truncated(truncatedFrom);
  }
  state.configurations.appended(fresh);
}

/**
 * Section 5.3: where this log ends, or its last entry of a term no later than the one asked for;
 * one answer skips a whole conflicting term. Never below the commit index: that much is equal.
 */
function rejection(state: NodeState, { prevLogIndex, prevLogTerm }: AppendEntries) {
  const { log } = state;
  const found = log.lastIndexOfTermAtMost(Math.min(prevLogIndex, log.lastIndex), prevLogTerm);
  const hintIndex = Math.max(found, log.commitIndex);
  return {
    kind: "append-entries-response",
    result: "rejected",
    rejectedIndex: prevLogIndex,
    hintIndex,
    hintTerm: log.term(hintIndex) ?? 0,
  } as const;
}
