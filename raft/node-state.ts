/**
 * The mutable record behind a node. What only a leader has stands in the leader's role, so it can
 * not outlive the leadership. No decisions here: `transitions.ts` is the only file that sets role,
 * term and vote.
 */
import { assert } from "./assert.ts";
import { type RaftConfig, validateRaftConfig } from "./config.ts";
import { ConfigurationHistory } from "./configuration-history.ts";
import { FlushQueue } from "./flush-queue.ts";
import { RaftLog } from "./log.ts";
import type { Message } from "./message.ts";
import { Outbox } from "./outbox.ts";
import type { Progress } from "./progress.ts";
import type { Ballot, Election } from "./quorum.ts";
import type { Random } from "./random.ts";
import { FollowerReads, type LeaderReads } from "./read-index.ts";
import type {
  ClusterTime,
  Configuration,
  HardState,
  LogIndex,
  MonotonicMs,
  NodeId,
  RestoredState,
  Role,
  SnapshotMetadata,
  SoftState,
  Term,
} from "./types.ts";

/** A learner, too, is a follower; that it does not vote stands in the configuration. */
export interface FollowerRole {
  readonly kind: "follower";
  readonly leaderId: NodeId;
}

/** Asks whether an election could be won before it raises the term (thesis 9.6). */
export interface PreCandidateRole {
  readonly kind: "pre-candidate";
  readonly votes: Map<NodeId, Ballot>;
  /** Since the voters were last asked. */
  askedMs: number;
}

export interface CandidateRole {
  readonly kind: "candidate";
  readonly votes: Map<NodeId, Ballot>;
}

export interface Transfer {
  readonly target: NodeId;
  readonly startedMs: MonotonicMs;
}

export interface LeaderRole {
  readonly kind: "leader";
  readonly election: Election;
  /** Everyone in the configuration but this node, by ascending id. */
  peers: readonly Progress[];
  readonly reads: LeaderReads;
  /** Stamps go on from here: the newest stamp in the log at election, and when that was. */
  readonly timeBase: ClusterTime;
  readonly timeAnchorMs: MonotonicMs;
  heartbeatElapsedMs: number;
  uncommittedBytes: number;
  transfer: Transfer | undefined;
  /** One value per voter, reused for every quorum that is counted. */
  readonly scratch: number[];
}

export type RoleState = FollowerRole | PreCandidateRole | CandidateRole | LeaderRole;

/** A snapshot that is on its way into the state machine. */
export interface Install {
  readonly metadata: SnapshotMetadata;
  readonly leaderId: NodeId;
  isHandedOut: boolean;
}

export interface NodeState {
  readonly id: NodeId;
  readonly config: RaftConfig;
  readonly random: Random;
  readonly log: RaftLog;
  readonly configurations: ConfigurationHistory;
  readonly flushes: FlushQueue;
  readonly outbox: Outbox;
  readonly reads: FollowerReads;
  term: Term;
  vote: NodeId;
  role: RoleState;
  /** The newest reading handed in. */
  nowMs: MonotonicMs;
  canVote: boolean;
  /** Counts in no quorum, and says so in all it sends (recovering.ts). */
  isRecovering: boolean;
  /** The host knows that it may end the recovery. */
  isWholeTold: boolean;
  /** Election timers count ticks: a process that stood still first reads its mail. */
  electionElapsedMs: number;
  electionTimeoutMs: number;
  /** Ticks since a leader was heard; within the election timeout this node elects no other. */
  leaderQuietMs: number;
  /** Ticks since a flush completed while others wait; 0 when none waits. */
  flushElapsedMs: number;
  durableTerm: Term;
  durableVote: NodeId;
  install: Install | undefined;
  /** As last told in a Ready. */
  emittedHardState: HardState;
  emittedSoftState: SoftState;
}

export function createNodeState(
  config: RaftConfig,
  restored: RestoredState,
  random: Random,
  now: MonotonicMs,
): NodeState {
  validateRaftConfig(config);
  const { hardState } = restored;
  const log = new RaftLog(restored, config.initialTime);
  assert(log.lastTerm <= hardState.term, "the term is durable before any entry of it");
  const state: NodeState = {
    id: config.id,
    config,
    random,
    log,
    configurations: restoreConfigurations(config, restored, log),
    flushes: new FlushQueue(),
    outbox: new Outbox(),
    // Requests of an earlier life must not be mistaken for those of this one.
    reads: new FollowerReads(random.below(2 ** 30) * 2 ** 20 + 1),
    term: hardState.term,
    vote: hardState.vote,
    role: { kind: "follower", leaderId: 0 },
    nowMs: now,
    canVote: config.canVote,
    isRecovering: config.isRecovering,
    isWholeTold: false,
    electionElapsedMs: 0,
    electionTimeoutMs: drawElectionTimeout(config, random),
    // A restart forgets how recently a leader was heard, and a lease may rest on that promise
    // (thesis 6.4.1). A log without any entry was never counted towards a lease, unless it lost
    // what it had.
    leaderQuietMs: log.lastIndex > 0 || config.isRecovering ? 0 : config.electionTimeoutMs,
    flushElapsedMs: 0,
    durableTerm: hardState.term,
    durableVote: hardState.vote,
    install: undefined,
    emittedHardState: { ...hardState, commitIndex: log.commitIndex },
    emittedSoftState: { role: "follower", leaderId: 0 },
  };
  state.emittedSoftState = softStateOf(state);
  return state;
}

/** Section 5.2: spread, so that split votes are rare. */
export function drawElectionTimeout(config: RaftConfig, random: Random): number {
  return config.electionTimeoutMs + random.below(config.electionTimeoutMs);
}

export function leaderIdOf(state: NodeState): NodeId {
  switch (state.role.kind) {
    case "follower":
      return state.role.leaderId;
    case "leader":
      return state.id;
    case "candidate":
    case "pre-candidate":
      return 0;
  }
}

/** The role as others name it. */
export function publicRole(state: NodeState): Role {
  if (state.role.kind !== "follower") return state.role.kind;
  return state.configurations.isVoter(state.id) ? "follower" : "learner";
}

export function softStateOf(state: NodeState): SoftState {
  return { role: publicRole(state), leaderId: leaderIdOf(state) };
}

/** May leave at once. */
export function send(state: NodeState, to: NodeId, message: Message): void {
  const { config, id, term, isRecovering } = state;
  state.outbox.send({ group: config.group, from: id, to, term, isRecovering, message });
}

/** Waits until everything this node has promised so far is durable (thesis 3.8). */
export function sendAfterSync(
  state: NodeState,
  to: NodeId,
  message: Message,
  term: Term = state.term,
): void {
  const { config, id, isRecovering } = state;
  state.outbox.sendAfterSync({ group: config.group, from: id, to, term, isRecovering, message });
}

/** Only then does the commit index cover all that earlier leaders acknowledged (section 8). */
export function hasCommittedInOwnTerm(state: NodeState): boolean {
  return state.log.term(state.log.commitIndex) === state.term;
}

/** True when this node alone is a quorum. */
export function isSoleVoter(state: NodeState): boolean {
  const { voters } = state.configurations;
  return voters.length === 1 && voters[0] === state.id;
}

function sortedById(configuration: Configuration): Configuration {
  return { members: configuration.members.toSorted((a, b) => a.id - b.id) };
}

function restoreConfigurations(
  config: RaftConfig,
  restored: RestoredState,
  log: RaftLog,
): ConfigurationHistory {
  const { snapshot } = restored;
  const history = new ConfigurationHistory(
    snapshot === undefined
      ? { index: 0, configuration: sortedById(config.initialConfiguration) }
      : { index: snapshot.configurationIndex, configuration: snapshot.configuration },
  );
  const from: LogIndex = (snapshot?.index ?? 0) + 1;
  if (from <= log.lastIndex) history.appended(log.slice(from, Number.POSITIVE_INFINITY));
  return history;
}
