/**
 * `RaftNode`: one member's side of one Raft group, as a synchronous, deterministic machine. Time
 * and messages go in, a `Ready` comes out; the same inputs and seed give the same outputs. It does
 * no I/O and reads no clock: disk, network and state machine are the host's (see `ready.ts` for
 * what the host must do, and in which order).
 */
import { assert } from "./assert.ts";
import { countOwnVote, tickCandidate } from "./candidate.ts";
import type { RaftConfig } from "./config.ts";
import type { IndexedConfiguration } from "./configuration-history.ts";
import { receive } from "./dispatch.ts";
import { tickFollower } from "./follower.ts";
import {
  advanceCommit,
  canReadNow,
  startTransfer,
  type TransferStarted,
  tickLeader,
} from "./leader.ts";
import type { ConfChange } from "./membership.ts";
import type { Envelope } from "./message.ts";
import {
  createNodeState,
  leaderIdOf,
  type NodeState,
  publicRole,
  sendAfterSync,
} from "./node-state.ts";
import {
  type ConfChangeProposed,
  clusterTime,
  type Proposed,
  propose,
  proposeConfChange,
} from "./proposing.ts";
import type { Random } from "./random.ts";
import type { Ready } from "./ready.ts";
import { collectReady, hasReady } from "./ready-collector.ts";
import { peerOf } from "./replication.ts";
import { type RaftStatus, statusOf } from "./status.ts";
import type {
  ClusterTime,
  Configuration,
  Entry,
  LogIndex,
  MonotonicMs,
  NodeId,
  RestoredState,
  Role,
  SnapshotMetadata,
  Term,
} from "./types.ts";

export type ReadRequested =
  /** Leadership is certain now: read once `index` is applied. */
  | { readonly kind: "confirmed"; readonly index: LogIndex }
  /** The context comes back in `readStates` or `abortedReads`. */
  | { readonly kind: "pending" }
  | { readonly kind: "no-leader" };

const PENDING: ReadRequested = { kind: "pending" };
const NO_LEADER: ReadRequested = { kind: "no-leader" };

export class RaftNode {
  readonly #state: NodeState;

  constructor(config: RaftConfig, restored: RestoredState, random: Random, now: MonotonicMs) {
    this.#state = createNodeState(config, restored, random, now);
  }

  get term(): Term {
    return this.#state.term;
  }

  get role(): Role {
    return publicRole(this.#state);
  }

  /** 0 when unknown. */
  get leaderId(): NodeId {
    return leaderIdOf(this.#state);
  }

  get commitIndex(): LogIndex {
    return this.#state.log.commitIndex;
  }

  get lastIndex(): LogIndex {
    return this.#state.log.lastIndex;
  }

  /** It may have forgotten what it promised, and counts in no quorum (recovering.ts). */
  get isRecovering(): boolean {
    return this.#state.isRecovering;
  }

  /** Undefined outside what the log retains; for lending to a member that lost it. */
  entry(index: LogIndex): Entry | undefined {
    return this.#state.log.entry(index);
  }

  /** In force since it was appended, committed or not. */
  get configuration(): Configuration {
    return this.#state.configurations.current;
  }

  /** Where the configuration in force stands in the log; 0 for the initial one. */
  get configurationIndex(): LogIndex {
    return this.#state.configurations.currentIndex;
  }

  /** The newest one that no later leader can take back. */
  get committedConfiguration(): IndexedConfiguration {
    return this.#state.configurations.at(this.#state.log.commitIndex);
  }

  step(envelope: Envelope, now: MonotonicMs): void {
    const state = this.#observe(now);
    const { group, from, to } = envelope;
    if (to !== state.id || from === state.id || group !== state.config.group) return;
    receive(state, envelope);
  }

  tick(now: MonotonicMs): void {
    const state = this.#observe(now);
    const { tickMs } = state.config;
    state.flushElapsedMs = state.flushes.isEmpty ? 0 : state.flushElapsedMs + tickMs;
    if (state.role.kind === "leader") {
      tickLeader(state, state.role);
      return;
    }
    state.electionElapsedMs += tickMs;
    state.leaderQuietMs += tickMs;
    if (state.role.kind === "follower") tickFollower(state);
    else tickCandidate(state);
  }

  /** The node owns `data` from here. */
  propose(data: Uint8Array, now: MonotonicMs): Proposed {
    return propose(this.#observe(now), { type: "command", data });
  }

  /** Carries cluster time forward without traffic. */
  proposeTime(now: MonotonicMs): Proposed {
    return propose(this.#observe(now), { type: "time" });
  }

  proposeFeatureLevel(level: number, now: MonotonicMs): Proposed {
    return propose(this.#observe(now), { type: "feature-level", level });
  }

  proposeConfChange(change: ConfChange, now: MonotonicMs): ConfChangeProposed {
    return proposeConfChange(this.#observe(now), change);
  }

  /** A linearizable read on any node (thesis 6.4); `context` is the caller's own. */
  readIndex(context: number, now: MonotonicMs): ReadRequested {
    const state = this.#observe(now);
    const { role } = state;
    if (role.kind === "leader") {
      if (canReadNow(state, role)) return { kind: "confirmed", index: state.log.commitIndex };
      role.reads.register({ from: 0, context });
      return PENDING;
    }
    if (leaderIdOf(state) === 0) return NO_LEADER;
    state.reads.register(context);
    return PENDING;
  }

  transferLeadership(to: NodeId, now: MonotonicMs): TransferStarted {
    return startTransfer(this.#observe(now), to);
  }

  hasReady(): boolean {
    return hasReady(this.#state);
  }

  ready(): Ready {
    return collectReady(this.#state);
  }

  /** This Ready and all before it are durable. */
  synced(persistSequence: number): void {
    const state = this.#state;
    const durable = state.flushes.complete(persistSequence);
    if (durable === undefined) return;
    state.flushElapsedMs = 0;
    state.durableTerm = durable.term;
    state.durableVote = durable.vote;
    const rose = state.log.stableTo(durable.lastIndex);
    countOwnVote(state);
    if (rose && state.role.kind === "leader") advanceCommit(state, state.role);
  }

  /** The state machine has applied everything up to `index`. */
  applied(index: LogIndex): void {
    this.#state.log.appliedTo(index);
  }

  /** The snapshot is durable; entries below `retainFrom` may go. */
  compact(metadata: SnapshotMetadata, retainFrom: LogIndex): void {
    const { log, configurations } = this.#state;
    log.compact(metadata, retainFrom);
    configurations.compact(log.snapshot?.index ?? 0);
  }

  /** The snapshot of a Ready is durable and restored into the state machine. */
  snapshotInstalled(metadata: SnapshotMetadata): void {
    const state = this.#state;
    const { install } = state;
    assert(install !== undefined, "a snapshot is being installed");
    assert(
      install.metadata.index === metadata.index,
      "the snapshot installed is the one asked for",
    );
    state.install = undefined;
    state.log.restored(metadata);
    if (leaderIdOf(state) !== install.leaderId) return;
    const matchIndex = metadata.index;
    sendAfterSync(state, install.leaderId, { kind: "install-snapshot-response", matchIndex });
  }

  /** Messages to `peer` were lost. */
  reportUnreachable(peer: NodeId): void {
    const { role } = this.#state;
    if (role.kind === "leader") peerOf(role, peer)?.lost();
  }

  /** A connection to `peer` stands again: a leader greets it at the next tick. */
  reportReachable(peer: NodeId): void {
    const { role, config } = this.#state;
    if (role.kind !== "leader" || peerOf(role, peer) === undefined) return;
    role.heartbeatElapsedMs = config.heartbeatMs;
  }

  /** The transfer of a snapshot to `peer` ended. */
  reportSnapshot(peer: NodeId, ok: boolean): void {
    const { role } = this.#state;
    if (role.kind === "leader") peerOf(role, peer)?.snapshotEnded(ok);
  }

  /** Lifts `canVote: false`. */
  allowVoting(): void {
    this.#state.canVote = true;
  }

  /** The host has removed the mark of a recovering node, after a Ready said `becameWhole`. */
  whole(): void {
    const state = this.#state;
    assert(state.isWholeTold, "the core decides when a recovering node is whole");
    state.isRecovering = false;
    if (state.role.kind === "leader") advanceCommit(state, state.role);
  }

  /** On a leader the time a proposal would be stamped with now; elsewhere the newest stamp. */
  clusterTime(now: MonotonicMs): ClusterTime {
    const state = this.#observe(now);
    return state.role.kind === "leader" ? clusterTime(state, state.role) : state.log.lastTime;
  }

  /** Describes a snapshot of the state after `index`, which is applied and still in the log. */
  snapshotMetadata(index: LogIndex): SnapshotMetadata {
    const { log, configurations, config } = this.#state;
    if (log.snapshot?.index === index) return log.snapshot;
    assert(index <= log.appliedIndex, "a snapshot covers applied entries only");
    const entry = log.entry(index);
    assert(entry !== undefined, "a snapshot names an entry of the log");
    const { index: configurationIndex, configuration } = configurations.at(index);
    return {
      group: config.group,
      index,
      term: entry.term,
      time: entry.time,
      configuration,
      configurationIndex,
      entryChecksum: 0,
    };
  }

  status(): RaftStatus {
    return statusOf(this.#state);
  }

  #observe(now: MonotonicMs): NodeState {
    if (now > this.#state.nowMs) this.#state.nowMs = now;
    return this.#state;
  }
}
