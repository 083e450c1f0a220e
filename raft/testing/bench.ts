/**
 * One `RaftNode` on a bench: a test hands it single messages and looks at what leaves. Nothing is
 * checked here; the test says what it expects. Flushes complete at once unless `isDiskManual`.
 */
import { type RaftConfig, validateRaftConfig } from "../config.ts";
import type { Envelope, Message } from "../message.ts";
import { RaftNode } from "../node.ts";
import { type Random, SeededRandom } from "../random.ts";
import type { ReadState, Ready } from "../ready.ts";
import type {
  Configuration,
  Entry,
  HardState,
  LogIndex,
  Member,
  NodeId,
  RestoredState,
  SnapshotMetadata,
  Term,
} from "../types.ts";

export const TICK_MS = 50;
export const ELECTION_TICKS = 5;

export interface BenchOptions {
  readonly id?: NodeId;
  readonly voters?: readonly NodeId[];
  readonly learners?: readonly NodeId[];
  /** Terms of the entries the log starts with. */
  readonly terms?: readonly Term[];
  readonly entries?: readonly Entry[];
  readonly hardState?: Partial<HardState>;
  readonly snapshot?: SnapshotMetadata;
  readonly config?: Partial<RaftConfig>;
  readonly random?: Random;
  /** Waits until the promises of an earlier life are over (thesis 4.2.3). */
  readonly isAged?: boolean;
}

export function member(id: NodeId, role: Member["role"] = "voter"): Member {
  return {
    id,
    incarnation: id,
    role,
    peerAddress: `peer-${id}:1`,
    clientAddress: `client-${id}:1`,
  };
}

export function members(
  voters: readonly NodeId[],
  learners: readonly NodeId[] = [],
): Configuration {
  const all = [...voters.map((id) => member(id)), ...learners.map((id) => member(id, "learner"))];
  return { members: all.toSorted((one, other) => one.id - other.id) };
}

export function command(index: LogIndex, term: Term, length = 1): Entry {
  return { type: "command", group: 0, index, term, time: 0, data: new Uint8Array(length) };
}

export function commands(terms: readonly Term[], from: LogIndex = 1): readonly Entry[] {
  return terms.map((term, at) => command(from + at, term));
}

export function configurationEntry(
  index: LogIndex,
  term: Term,
  configuration: Configuration,
): Entry {
  return { type: "conf-change", group: 0, index, term, time: 0, configuration };
}

export function snapshotAt(
  index: LogIndex,
  term: Term,
  configuration: Configuration = members([1, 2, 3]),
): SnapshotMetadata {
  return { group: 0, index, term, time: 0, configuration, configurationIndex: 0, entryChecksum: 0 };
}

export class Bench {
  readonly node: RaftNode;
  readonly readys: Ready[] = [];
  /** What left and was not looked at yet. */
  sent: Envelope[] = [];
  readonly applied: Entry[] = [];
  readonly reads: ReadState[] = [];
  readonly aborted: number[] = [];
  readonly snapshots: SnapshotMetadata[] = [];
  isDiskManual = false;
  nowMs = 0;
  readonly #id: NodeId;
  readonly #waiting: { readonly sequence: number; readonly messages: readonly Envelope[] }[] = [];

  constructor(options: BenchOptions = {}) {
    this.#id = options.id ?? 1;
    const config: RaftConfig = {
      id: this.#id,
      group: 0,
      initialConfiguration: members(options.voters ?? [1, 2, 3], options.learners),
      initialTime: 0,
      tickMs: TICK_MS,
      heartbeatMs: TICK_MS,
      electionTimeoutMs: ELECTION_TICKS * TICK_MS,
      leaseDriftBound: undefined,
      appendBytesMax: 256 * 1024,
      inflightMessagesMax: 64,
      inflightBytesMax: 4 * 1024 * 1024,
      uncommittedBytesMax: 64 * 1024 * 1024,
      canVote: true,
      isRecovering: false,
      ...options.config,
    };
    validateRaftConfig(config);
    const entries = options.entries ?? commands(options.terms ?? []);
    const term = entries.at(-1)?.term ?? options.snapshot?.term ?? 0;
    const restored: RestoredState = {
      hardState: { term, vote: 0, commitIndex: 0, ...options.hardState },
      snapshot: options.snapshot,
      entries,
    };
    const random = options.random ?? new SeededRandom(1);
    this.node = new RaftNode(config, restored, random, this.nowMs);
    this.work();
    if (options.isAged === true) this.age();
  }

  /** Takes Readys until there is none; with a manual disk nothing completes. */
  work(): void {
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      this.readys.push(ready);
      this.sent.push(...ready.messages);
      const newest = this.#waiting.at(-1)?.sequence ?? 0;
      if (ready.hasPersist || ready.messagesAfterSync.length > 0 || newest > 0) {
        this.#waiting.push({
          sequence: ready.persistSequence,
          messages: ready.messagesAfterSync,
        });
      }
      if (ready.snapshot !== undefined) this.snapshots.push(ready.snapshot);
      if (!this.isDiskManual) this.#completeAll();
      const last = ready.committedEntries.at(-1);
      this.applied.push(...ready.committedEntries);
      if (last !== undefined) this.node.applied(last.index);
      this.reads.push(...ready.readStates);
      this.aborted.push(...ready.abortedReads);
    }
  }

  /** Everything written so far is durable. */
  sync(): void {
    this.#completeAll();
    this.work();
  }

  /** Only the oldest batch is durable. */
  syncOne(): void {
    this.#completeOne();
    this.work();
  }

  receive(from: NodeId, term: Term, message: Message, isRecovering = false): void {
    this.node.step({ group: 0, from, to: this.#id, term, isRecovering, message }, this.nowMs);
    this.work();
  }

  /** As `receive`, and returns what left because of it. */
  answer(from: NodeId, term: Term, message: Message, isRecovering = false): readonly Envelope[] {
    this.sent = [];
    this.receive(from, term, message, isRecovering);
    return this.take();
  }

  tick(count = 1): void {
    for (; count > 0; count -= 1) {
      this.nowMs += TICK_MS;
      this.node.tick(this.nowMs);
      this.work();
    }
  }

  /** Real time passes, but no tick is delivered: a stalled process. */
  stall(durationMs: number): void {
    this.nowMs += durationMs;
  }

  take(): readonly Envelope[] {
    const { sent } = this;
    this.sent = [];
    return sent;
  }

  /** Ticks until the promises of an earlier life are over, just short of campaigning. */
  age(): void {
    this.tick(ELECTION_TICKS);
  }

  /** Ticks until it asks for pre-votes. */
  loseLeader(): void {
    for (let ticks = 0; ticks <= 2 * ELECTION_TICKS; ticks += 1) {
      if (this.node.role === "pre-candidate") return;
      this.tick();
    }
    throw new Error(`node ${this.#id} does not lose patience`);
  }

  propose(length = 1): ReturnType<RaftNode["propose"]> {
    const proposed = this.node.propose(new Uint8Array(length), this.nowMs);
    this.work();
    return proposed;
  }

  /** Wins an election with the votes of `voters`; returns the term. */
  lead(voters: readonly NodeId[]): Term {
    this.loseLeader();
    for (const phase of ["pre-vote", "vote"] as const) {
      for (const from of voters) {
        if (this.node.role === "leader") break;
        const term = phase === "vote" ? this.node.term : this.node.term + 1;
        this.receive(from, term, { kind: "request-vote-response", phase, granted: true });
        if (phase === "pre-vote" && this.node.role === "candidate") break;
      }
    }
    if (this.node.role !== "leader") throw new Error(`node ${this.#id} does not win`);
    return this.node.term;
  }

  /** An acknowledgement of everything up to `matchIndex`. */
  accept(from: NodeId, matchIndex: LogIndex, isRecovering = false): void {
    const message = { kind: "append-entries-response", result: "accepted", matchIndex } as const;
    this.receive(from, this.node.term, message, isRecovering);
  }

  /** The host has removed its mark. */
  whole(): void {
    this.node.whole();
    this.work();
  }

  /** Leads and has its noop committed by `voters`. */
  leadAndCommit(voters: readonly NodeId[]): Term {
    const term = this.lead(voters);
    for (const from of voters) this.accept(from, this.node.lastIndex);
    return term;
  }

  /** Terms of the whole log, as the node tells it through what it sends and commits. */
  get persisted(): readonly Entry[] {
    const log: Entry[] = [];
    for (const ready of this.readys) {
      for (const entry of ready.entries) {
        const at = log.findIndex((held) => held.index >= entry.index);
        if (at >= 0) log.length = at;
        log.push(entry);
      }
    }
    return log;
  }

  #completeAll(): void {
    while (this.#waiting.length > 0) this.#completeOne();
  }

  #completeOne(): void {
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    this.node.synced(batch.sequence);
    this.sent.push(...batch.messages);
  }
}
