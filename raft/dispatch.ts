/**
 * Where a message goes: first the term gate, then the handler of its kind. Handlers never see a
 * message of another term, except request-vote, whose rule decides about terms itself.
 */
import { unreachable } from "./assert.ts";
import { handleVoteResponse } from "./candidate.ts";
import {
  followLeader,
  handleAppendEntries,
  handleHeartbeat,
  handleInstallSnapshot,
  handleReadIndexResponse,
  handleTimeoutNow,
} from "./follower.ts";
import {
  advanceCommit,
  handleAppendResponse,
  handleHeartbeatResponse,
  handleReadIndex,
  handleSnapshotResponse,
} from "./leader.ts";
import type { Envelope } from "./message.ts";
import { type NodeState, send, sendAfterSync } from "./node-state.ts";
import { peerOf } from "./replication.ts";
import { becomeFollower } from "./transitions.ts";
import { handleRequestVote } from "./voting.ts";

export function receive(state: NodeState, envelope: Envelope): void {
  const { message } = envelope;
  if (message.kind === "request-vote") handleRequestVote(state, envelope, message);
  else if (admitTerm(state, envelope)) dispatch(state, envelope);
}

/**
 * The term gate (section 5.1): a later term makes a follower of anyone, an earlier one is answered
 * only where the answer ends a stale leadership. Returns whether the message is of this term.
 */
function admitTerm(state: NodeState, envelope: Envelope): boolean {
  const { from, term, message } = envelope;
  if (term > state.term) {
    const isPreVoteGrant =
      message.kind === "request-vote-response" && message.phase === "pre-vote" && message.granted;
    // Granted for a term that nobody is in yet.
    if (isPreVoteGrant) return true;
    becomeFollower(state, term, 0);
    return true;
  }
  if (term === state.term) return true;
  switch (message.kind) {
    case "heartbeat":
      send(state, from, { kind: "heartbeat-response", readRound: 0 });
      return false;
    case "append-entries":
    case "install-snapshot":
      // The fields say nothing; the term of the envelope is the answer.
      sendAfterSync(state, from, {
        kind: "append-entries-response",
        result: "rejected",
        rejectedIndex: 0,
        hintIndex: 0,
        hintTerm: 0,
      });
      return false;
    default:
      return false;
  }
}

/** Messages of the current term, by kind; request-vote has been dealt with. */
function dispatch(state: NodeState, envelope: Envelope): void {
  const { from, message } = envelope;
  switch (message.kind) {
    case "append-entries":
      followLeader(state, from);
      handleAppendEntries(state, from, message);
      return;
    case "heartbeat":
      followLeader(state, from);
      handleHeartbeat(state, from, message);
      return;
    case "install-snapshot":
      followLeader(state, from);
      handleInstallSnapshot(state, from, message);
      return;
    case "timeout-now":
      followLeader(state, from);
      handleTimeoutNow(state);
      return;
    case "read-index-response":
      handleReadIndexResponse(state, from, message);
      return;
    case "request-vote":
      return;
    case "request-vote-response":
      handleVoteResponse(state, envelope, message);
      return;
    case "read-index":
    case "append-entries-response":
    case "heartbeat-response":
    case "install-snapshot-response":
      dispatchToLeader(state, envelope);
      return;
    default:
      unreachable(message);
  }
}

/** Answers, and requests that only a leader can serve. */
function dispatchToLeader(state: NodeState, { from, message, isRecovering }: Envelope): void {
  const { role } = state;
  if (role.kind !== "leader") {
    if (message.kind !== "read-index") return;
    send(state, from, { kind: "read-index-response", context: message.context, index: 0 });
    return;
  }
  const peer = peerOf(role, from);
  // A member that was removed may still be talking.
  if (peer === undefined) return;
  // What it acknowledged in this term while it was recovering counts from now on.
  if (peer.heard(state.nowMs, isRecovering)) advanceCommit(state, role);
  if (state.role !== role) return;
  switch (message.kind) {
    case "append-entries-response":
      handleAppendResponse(state, role, peer, message);
      return;
    case "heartbeat-response":
      handleHeartbeatResponse(state, role, peer, message);
      return;
    case "install-snapshot-response":
      handleSnapshotResponse(state, role, peer, message);
      return;
    case "read-index":
      handleReadIndex(state, role, from, message);
      return;
    default:
      return;
  }
}
