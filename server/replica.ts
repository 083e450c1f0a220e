/**
 * THE loop: the one place where Raft, storage, the state machine and the network meet.
 *
 *   inbox -> node.step / tick / propose -> node.ready() -> send messages -> persist
 *         -> when durable: node.synced, send what waited -> apply -> answer
 *
 * Every input only changes the node and asks for a turn; the turn runs once all input that is
 * ready has been taken. So what arrives together is proposed, flushed and sent together, and what
 * arrives during a flush becomes the next one: group commit is the shape, not a feature.
 *
 * Invariants: nothing outside this file and its helpers in replica/ calls the RaftNode; entries
 * are encoded before any message that carries them is sent; messagesAfterSync leave only when
 * their persist sequence is durable.
 */
import {
  type ConfChange,
  type Entry,
  type Envelope,
  type LogIndex,
  type Member,
  type NodeId,
  RaftNode,
  type RaftStatus,
  type Ready,
  type Timer,
  unreachable,
} from "../raft/index.ts";
import { entryChecksum, type ReceivedSnapshot } from "../storage/index.ts";
import type { ReadOutcome, ReadRequest, WriteOutcome } from "./gateway.ts";
import type { Caller, PeerMessage, Transport, TransportEvents } from "./peer/index.ts";
import { Acquaintances } from "./replica/acquaintances.ts";
import { Bootstrap, mayVoteAtOnce } from "./replica/bootstrap.ts";
import { EntryChain } from "./replica/entry-chain.ts";
import { LeaderDuties } from "./replica/leader-duties.ts";
import { LENT_TERM, Lender } from "./replica/lender.ts";
import { MembershipChanges, type MembershipOutcome } from "./replica/membership-changes.ts";
import type { MembershipView, ReplicaOptions } from "./replica/options.ts";
import { PersistQueue } from "./replica/persist-queue.ts";
import { raftConfig } from "./replica/raft-config.ts";
import { type Backlog, Requests } from "./replica/requests.ts";
import { logRole } from "./replica/role-log.ts";
import { restoreMachine, Snapshotter } from "./replica/snapshotter.ts";
import { cutAtPoints, type Divergence, type Standing, StateGuard } from "./replica/state-guard.ts";

/** How long an outvoted leader tries to find a successor. */
const HAND_OVER_ELECTION_TIMEOUTS = 2;
/** How many passes of the event loop a turn may gather input for. */
const GATHER_PASSES_MAX = 5;

export class Replica<Result> implements MembershipView {
  readonly #options: ReplicaOptions<Result>;
  readonly #node: RaftNode;
  readonly #transport: Transport<Result>;
  readonly #requests: Requests<Result>;
  readonly #persists = new PersistQueue();
  /** The members this node has a connection to. */
  readonly #linked = new Set<NodeId>();
  readonly #chain: EntryChain;
  readonly #snapshotter: Snapshotter<Result>;
  readonly #duties: LeaderDuties<Result>;
  readonly #bootstrap: Bootstrap;
  readonly #acquaintances: Acquaintances;
  readonly #changes: MembershipChanges;
  readonly #lender: Lender<Result>;
  readonly #guard: StateGuard;
  readonly #timer: Timer;
  readonly #startedAtMs: number;
  #appliedIndex: LogIndex;
  #appliedChecksum: number;
  #turnAsked = false;
  /** Counts whatever asked for a turn. */
  #inputs = 0;
  #phase: "running" | "draining" | "closed" = "running";
  /** Who is told when all is let go of; undefined once it is. */
  #awaitingEnd: (() => void)[] | undefined = [];

  /** Restores the state machine from the newest snapshot, then starts following the log. */
  constructor(options: ReplicaOptions<Result>) {
    this.#options = options;
    const { storage, clock, random, machine, log, timing, snapshots: policy } = options;
    const { restored, identity } = storage;
    const nowMs = clock.now();
    this.#startedAtMs = nowMs;
    restoreMachine(machine, storage);
    this.#appliedIndex = restored.snapshot?.index ?? 0;
    this.#appliedChecksum = restored.snapshot?.entryChecksum ?? 0;
    this.#chain = new EntryChain(restored);
    const hasPast = storage.mayVote || mayVoteAtOnce(restored);
    const mayVote = storage.isRecovering || hasPast;
    if (hasPast && !storage.mayVote) storage.allowVoting(() => {});
    this.#node = new RaftNode(raftConfig(options, mayVote), restored, random, nowMs);
    const node = this.#node;
    const askTurn = (): void => this.#askTurn();
    this.#requests = new Requests({
      node,
      storage,
      machine,
      clock,
      self: { id: identity.nodeId, incarnation: options.processIncarnation },
      requestTimeoutMs: timing.requestTimeoutMs,
      hasLease: timing.leaseDriftBound !== undefined,
      appliedIndex: this.#appliedIndex,
      accepts: options.acceptsCommand,
      askTurn,
    });
    this.#snapshotter = new Snapshotter({ node, storage, machine, policy, log, askTurn });
    const isLinked = (id: NodeId): boolean => this.#linked.has(id);
    this.#duties = new LeaderDuties({ node, storage, machine, isLinked });
    const self = { id: identity.nodeId, incarnation: identity.incarnation };
    const graceEndsMs = nowMs + timing.electionTimeoutMs;
    const remember = (done: () => void) => storage.allowVoting(done);
    this.#bootstrap = new Bootstrap(node, self, mayVote, graceEndsMs, remember);
    const trustsState = () => this.#trustsState;
    this.#lender = new Lender({ node, storage, self: identity.nodeId, log, trustsState });
    this.#guard = new StateGuard({
      node,
      self: identity.nodeId,
      handOverMs: HAND_OVER_ELECTION_TIMEOUTS * timing.electionTimeoutMs,
      log,
      hash: () => machine.hash,
      tell: (message) => this.#transport.tell(message),
      handOver: (atMs, candidates) => this.#duties.handOver(atMs, candidates),
      standingChanged: () => this.#requests.standingChanged(this.#guard.standing),
      fence: (divergence) => this.#fence(divergence),
    });
    this.#acquaintances = new Acquaintances(node, askTurn);
    this.#changes = new MembershipChanges({
      node,
      timeoutMs: timing.requestTimeoutMs,
      leader: () => this.leader,
      refusal: () => {
        if (this.isStopping) return "stopping";
        if (!this.#trustsState) return "distrusted";
        return node.role === "leader" && !storage.hasRoom(0) ? "disk-full" : undefined;
      },
    });
    this.#transport = options.openTransport(this.#transportEvents(), this);
    this.#transport.setMembers(this.#acquaintances.members);
    this.#timer = clock.every(timing.tickMs, () => this.#tick());
  }

  get leader(): Member | undefined {
    return this.#requests.leader;
  }

  get raft(): RaftStatus {
    return this.#node.status();
  }

  /** What waits here, and for whom something is remembered. */
  get backlog(): Backlog & { readonly flushes: number } {
    return { ...this.#requests.backlog, flushes: this.#persists.size };
  }

  get clusterTime(): number {
    return this.#node.clusterTime(this.#options.clock.now());
  }

  get uptimeMs(): number {
    return this.#options.clock.now() - this.#startedAtMs;
  }

  get isCaughtUp(): boolean {
    return this.#requests.isCaughtUp;
  }

  get isStopping(): boolean {
    return this.#phase !== "running";
  }

  get standing(): Standing {
    return this.#guard.standing;
  }

  /** The log is empty and nothing of it was lost: this node has no past. */
  get isFresh(): boolean {
    return this.#node.lastIndex === 0 && !this.#node.isRecovering;
  }

  /** True when a write sent now can be expected to commit. */
  get isReady(): boolean {
    if (this.isStopping || !this.isCaughtUp || this.#node.leaderId === 0) return false;
    if (!this.#trustsState) return false;
    return this.#node.role !== "leader" || this.#options.storage.hasRoom(0);
  }

  get #trustsState(): boolean {
    return this.#guard.standing === "trusted";
  }

  get configurationIndex(): LogIndex {
    return this.#node.configurationIndex;
  }

  checkMember(caller: Caller): "member" | "unknown" | "wrong-incarnation" {
    return this.#acquaintances.check(caller);
  }

  /** Proposes a command here or hands it to the leader; `done` is called exactly once. */
  submit(
    command: Uint8Array,
    forward: boolean,
    done: (outcome: WriteOutcome<Result>) => void,
  ): void {
    this.#requests.submit(command, forward, done);
  }

  /** Grants a read of the state machine, at once where that is allowed. */
  read(request: ReadRequest, done: (outcome: ReadOutcome) => void): void {
    this.#requests.read(request, done);
  }

  /** Changes the membership by one step, on the leader alone; `done` is called exactly once. */
  changeMembership(change: ConfChange, done: (outcome: MembershipOutcome) => void): void {
    this.#changes.propose(change, this.#options.clock.now(), done);
    this.#askTurn();
  }

  /** Stops taking writes, hands leadership over, ends what is under way and lets go of all. */
  close(graceMs: number, done: () => void): void {
    if (this.#awaitingEnd === undefined) done();
    else this.#awaitingEnd.push(done);
    if (this.#phase !== "running") return;
    this.#phase = "draining";
    this.#requests.stop();
    const { clock, timing } = this.#options;
    const endsMs = clock.now() + graceMs;
    const wait = clock.every(timing.tickMs, () => {
      const isAlone = this.#node.configuration.members.length === 1;
      const mustHandOver = this.#node.role === "leader" && !isAlone;
      const isBusy = mustHandOver || this.#requests.hasPendingWrites;
      const isFenced = this.#guard.standing === "fenced";
      if (isBusy && !isFenced && clock.now() < endsMs) {
        this.#duties.handOver(clock.now());
        this.#askTurn();
        return;
      }
      wait.cancel();
      this.#end();
    });
  }

  // ---- Inputs ----------------------------------------------------------------------------------

  #transportEvents(): TransportEvents<Result> {
    return {
      message: (message) => {
        if (this.#phase === "closed") return;
        this.#take(message);
        this.#askTurn();
      },
      snapshotReceived: (envelope, received) => {
        this.#snapshotter.received(received);
        if (envelope.term !== LENT_TERM) {
          this.#node.step(envelope, this.#options.clock.now());
          this.#turn();
        }
        this.#snapshotter.discardReceived();
      },
      snapshotSent: (to, ok) => {
        if (this.#lender.snapshotSent(to)) return;
        this.#node.reportSnapshot(to, ok);
        this.#askTurn();
      },
      peerUp: (info) => {
        this.#linked.add(info.id);
        this.#bootstrap.peerUp(info);
        this.#node.reportReachable(info.id);
      },
      peerDown: (id) => {
        this.#linked.delete(id);
        this.#requests.linkLost(id);
        this.#node.reportUnreachable(id);
        this.#askTurn();
      },
    };
  }

  #take(message: PeerMessage<Result>): void {
    switch (message.kind) {
      case "raft":
        // Who is leaving takes no leadership over: among several, it would go round and round.
        if (this.isStopping && message.envelope.message.kind === "timeout-now") return;
        this.#node.step(message.envelope, this.#options.clock.now());
        return;
      case "forward":
        this.#requests.takeForward(message);
        return;
      case "forward-results":
        this.#requests.results(message);
        return;
      case "repair-request":
        this.#lender.asked(message, this.#transport);
        return;
      case "state-report":
        this.#guard.reported(message, this.#appliedIndex, this.#options.clock.now());
        return;
      case "state-verdict":
        this.#guard.judged(message, this.#options.clock.now());
        return;
      case "repair-answer":
        // A straggler: this node asked before it was a replica again.
        return;
      default:
        unreachable(message);
    }
  }

  #tick(): void {
    const nowMs = this.#options.clock.now();
    this.#node.tick(nowMs);
    this.#requests.tick(nowMs);
    this.#changes.expire(nowMs);
    this.#bootstrap.tick(nowMs);
    this.#duties.tick(nowMs, this.#appliedIndex);
    this.#guard.tick(nowMs, this.#appliedIndex);
    if (this.#node.hasReady()) this.#askTurn();
  }

  // ---- The turn --------------------------------------------------------------------------------

  #askTurn(): void {
    this.#inputs++;
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    this.#awaitTurn(GATHER_PASSES_MAX);
  }

  /**
   * The turn comes after the first pass of the event loop that brought no more input. Alone, a
   * request waits for nothing; among many, it shares its flush and its messages with those that
   * were a moment behind it. No timer is involved: an idle loop passes at once.
   */
  #awaitTurn(passesLeft: number): void {
    const seen = this.#inputs;
    this.#options.clock.soon(() => {
      if (this.#inputs !== seen && passesLeft > 1) {
        this.#awaitTurn(passesLeft - 1);
        return;
      }
      this.#turnAsked = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#phase === "closed") return;
    this.#requests.startTurn(this.#transport);
    while (this.#node.hasReady()) this.#handle(this.#node.ready());
    if (this.#acquaintances.haveChanged) this.#transport.setMembers(this.#acquaintances.members);
    this.#requests.endTurn(this.#transport);
    if (this.#trustsState && this.#snapshotter.isDue(this.isCaughtUp)) {
      this.#snapshotter.take(this.#appliedIndex, this.#appliedChecksum);
    }
  }

  /** The fields of a Ready in the order in which they stand. */
  #handle(ready: Ready): void {
    if (ready.softState !== undefined) logRole(this.#options.log, this.#node, ready.softState);
    this.#chain.append(ready.entries);
    this.#send(ready.messages);
    if (ready.snapshot !== undefined) this.#install(ready.snapshot.index);
    this.#persist(ready);
    for (const entries of cutAtPoints(ready.committedEntries)) this.#apply(entries);
    this.#requests.readsReady(ready);
    if (ready.becameWhole) this.#becomeWhole();
  }

  #send(messages: readonly Envelope[]): void {
    if (messages.length === 0) return;
    const isSnapshot = ({ message }: Envelope) => message.kind === "install-snapshot";
    if (!messages.some(isSnapshot)) {
      this.#transport.send(messages);
      return;
    }
    this.#transport.send(messages.filter((envelope) => !isSnapshot(envelope)));
    for (const envelope of messages.filter(isSnapshot)) this.#sendSnapshot(envelope);
  }

  #sendSnapshot(envelope: Envelope): void {
    // A state that may be wrong must not come by a second voice.
    const source = this.#trustsState ? this.#options.storage.openSnapshot() : undefined;
    if (source === undefined) {
      this.#node.reportSnapshot(envelope.to, false);
      return;
    }
    // The newest file may be newer than the one the core had in mind: it says so itself.
    const { metadata } = source.description;
    this.#options.log.info({ to: envelope.to, index: metadata.index }, "sending a snapshot");
    const message = { kind: "install-snapshot", metadata } as const;
    this.#transport.sendSnapshot({ ...envelope, message }, source);
  }

  #persist(ready: Ready): void {
    const { persistSequence, messagesAfterSync, hardState, entries, mustSyncHardState } = ready;
    if (!ready.hasPersist && messagesAfterSync.length === 0) return;
    const writes = hardState !== undefined || entries.length > 0;
    const batch = { hardState, mustSyncHardState, entries };
    this.#persists.push({
      start: writes ? (done) => this.#options.storage.persist(batch, done) : undefined,
      barrier: false,
      finish: () => {
        if (this.#phase === "closed") return;
        this.#node.synced(persistSequence);
        this.#send(messagesAfterSync);
        this.#askTurn();
      },
    });
  }

  /** Puts a received snapshot in the place of log and state; nothing is persisted around it. */
  #install(index: LogIndex): void {
    const received: ReceivedSnapshot = this.#snapshotter.claim(index);
    const { metadata } = received.description;
    this.#chain.restart(metadata);
    this.#persists.push({
      start: (done) => this.#snapshotter.install(received, done),
      barrier: true,
      finish: () => {
        this.#appliedIndex = metadata.index;
        this.#appliedChecksum = metadata.entryChecksum;
        this.#node.snapshotInstalled(metadata);
        this.#requests.snapshotInstalled(metadata.index);
        this.#changes.snapshotInstalled(metadata.index);
        this.#guard.restored();
        this.#askTurn();
      },
    });
  }

  /** The mark is gone from the disk before anything this node says counts in a quorum again. */
  #becomeWhole(): void {
    this.#options.storage.markWhole(() => {
      if (this.#phase === "closed") return;
      this.#node.whole();
      this.#options.log.info({ term: this.#node.term }, "whole again: votes and acknowledges");
      this.#askTurn();
    });
  }

  #apply(entries: readonly Entry[]): void {
    const last = entries[entries.length - 1];
    if (last === undefined) return;
    this.#options.machine.apply(entries, (entry, result) => {
      this.#requests.commandApplied(entry, result);
    });
    this.#appliedIndex = last.index;
    this.#appliedChecksum = entryChecksum(last);
    this.#node.applied(last.index);
    this.#snapshotter.applied(entries);
    this.#requests.entriesApplied(entries, last.index);
    this.#changes.applied(entries);
    this.#guard.applied(last.index, this.#options.clock.now());
  }

  // ---- Helpers ---------------------------------------------------------------------------------

  /** From this moment on nothing of this replica reaches anybody. */
  #fence(divergence: Divergence): void {
    // One that stops anyway ends with the next tick.
    if (this.#phase !== "running") return;
    this.#awaitingEnd?.push(() => this.#options.onDiverged(divergence));
    this.#end();
  }

  #end(): void {
    this.#requests.endTurn(this.#transport);
    this.#phase = "closed";
    this.#timer.cancel();
    this.#requests.abandon(this.#guard.standing === "fenced" ? "fenced" : "stopping");
    this.#changes.abandon();
    const ended = (): void => {
      const waiting = this.#awaitingEnd ?? [];
      this.#awaitingEnd = undefined;
      for (const done of waiting) done();
    };
    this.#transport.close(() => this.#options.storage.close(ended));
  }
}
