/**
 * One simulated node: a disk that stays, and processes that come and go on it. A process is the
 * production replica over the production storage and state machine; only the ports are simulated.
 *
 * A process ends by a crash from outside, in the middle of a disk call, or by itself when its
 * storage failed; whoever runs the node starts the next one.
 */
import type { Configuration, Entry, Envelope, SeededRandom } from "../../raft/index.ts";
import { formatEnvelope } from "../../raft/testing/format.ts";
import {
  isSupportedCommand,
  type KvResult,
  KvStateMachine,
  type SessionLimits,
} from "../../server/kv/index.ts";
import type { ReplicaTiming, SnapshotPolicy } from "../../server/replica/options.ts";
import { Replica } from "../../server/replica.ts";
import { isAllocationFailure, openStorage, type StorageOptions } from "../../storage/index.ts";
import type { CrashKeeps } from "../../storage/testing/simulated-disk.ts";
import { Drive, ProcessDied } from "./drive.ts";
import { DurableLog } from "./durable-log.ts";
import type { Ledger } from "./ledger.ts";
import type { Scheduler } from "./scheduler.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import type { Port, SimulatedNetwork } from "./simulated-network.ts";
import { SimulatedTransport } from "./simulated-transport.ts";
import type { Tally } from "./tally.ts";
import type { Trace } from "./trace.ts";
import { require, Violation } from "./violation.ts";
import { WatchedMachine, WatchedStorage } from "./watched.ts";

/** What all nodes of a cluster share. */
export interface NodeSurroundings {
  readonly scheduler: Scheduler;
  readonly network: SimulatedNetwork;
  readonly ledger: Ledger;
  readonly trace: Trace;
  readonly tally: Tally;
}

export interface NodeSettings {
  readonly initialConfiguration: Configuration;
  readonly timing: ReplicaTiming;
  readonly snapshots: SnapshotPolicy;
  readonly sessionLimits: SessionLimits;
  readonly storage: Pick<StorageOptions, "segmentBytes" | "batchBytesMax">;
  readonly diskMsMax: number;
}

/** What lives as long as one process. */
export interface Process {
  readonly incarnation: number;
  readonly clock: SimulatedClock;
  readonly machine: WatchedMachine;
  readonly replica: Replica<KvResult>;
  readonly port: Port;
}

interface Glimpse {
  readonly term: number;
  readonly commitIndex: number;
}

const DIRECTORY = "/data";
/** The moment the clocks of well-kept machines agree on. */
const WALL_CLOCK_MS = 1_700_000_000_000;
const SUPERVISOR_MS = 300;

export class SimulatedNode {
  readonly id: number;
  readonly drive: Drive;
  /** How fast the clock of a new process runs. */
  clockRate = 1;
  /** How wrong its wall clock is when a new process asks for it. */
  wallClockErrorMs = 0;
  readonly durable: DurableLog;
  readonly #settings: NodeSettings;
  readonly #around: NodeSurroundings;
  readonly #random: SeededRandom;
  readonly #originMs: number;
  /** Calls back when a process is gone, whichever way. */
  readonly #onEnd: (node: SimulatedNode, process: Process) => void;
  #process: Process | undefined;
  #starts = 0;
  #glimpse: Glimpse = { term: 0, commitIndex: 0 };

  constructor(
    id: number,
    settings: NodeSettings,
    around: NodeSurroundings,
    random: SeededRandom,
    onEnd: (node: SimulatedNode, process: Process) => void,
  ) {
    this.id = id;
    this.#settings = settings;
    this.#around = around;
    this.#random = random;
    this.#onEnd = onEnd;
    this.#originMs = random.below(1_000_000);
    this.drive = new Drive(around.scheduler, random, settings.diskMsMax);
    this.durable = new DurableLog(id);
  }

  get process(): Process | undefined {
    return this.#process;
  }

  get isLeader(): boolean {
    return this.#process?.replica.raft.role === "leader";
  }

  /** Starts a process on what the disk holds. */
  start(): void {
    if (this.#process !== undefined) return;
    this.#starts += 1;
    const start = this.#starts;
    const { scheduler, trace } = this.#around;
    trace.note(`node ${this.id} starts`);
    const clock: SimulatedClock = new SimulatedClock(scheduler, {
      rate: this.clockRate,
      originMs: this.#originMs,
      guard: (run) => this.#guard(start, clock, run),
    });
    clock.deliver(() => {
      this.#process = this.#open(clock);
    });
  }

  /** Ends the process; of what was not flushed, the disk keeps what `keeps` says. */
  crash(keeps: CrashKeeps): void {
    const process = this.#process;
    if (process !== undefined) this.#end(process.clock, keeps);
  }

  stall(durationMs: number): void {
    const { scheduler, trace } = this.#around;
    trace.note(`node ${this.id} stalls for ${durationMs.toFixed(0)} ms`);
    this.#process?.clock.stall(scheduler.nowMs + durationMs);
  }

  /** The present process's clock and those of later ones go on at another rate. */
  setClockRate(rate: number): void {
    this.clockRate = rate;
    this.#process?.clock.setRate(rate);
  }

  /** Terms and commit never go back (Figure 2); the durable log sees to it over restarts. */
  observe(): void {
    const process = this.#process;
    if (process === undefined) return;
    const { term, commitIndex, stableIndex, appliedIndex, lastIndex, role } = process.replica.raft;
    const before = this.#glimpse;
    require(term >= before.term && commitIndex >= before.commitIndex, () =>
      `node ${this.id} went back: term ${before.term} to ${term}, commit ${before.commitIndex} ` +
      `to ${commitIndex}`);
    const isOrdered = appliedIndex <= commitIndex && commitIndex <= lastIndex;
    require(isOrdered && stableIndex <= lastIndex, () =>
      `node ${this.id}: applied ${appliedIndex}, commit ${commitIndex}, last ${lastIndex}`);
    this.#glimpse = { term, commitIndex };
    if (role === "leader") this.#around.ledger.led(this.id, term);
  }

  #open(clock: SimulatedClock): Process {
    const { ledger, network, trace } = this.#around;
    const { initialConfiguration, timing, snapshots, sessionLimits } = this.#settings;
    const storage = openStorage({
      ...this.#settings.storage,
      directory: DIRECTORY,
      fileSystem: this.drive.mount(clock),
      clock,
      clusterId: "simulated",
      nodeId: this.id,
      mintIncarnation: () => this.#mint(),
      onFailure: (error) => {
        throw new ProcessDied(error.message);
      },
      onReport: (report) => {
        this.#around.tally.count(report.kind);
        trace.note(`node ${this.id} storage: ${report.kind}`);
      },
    });
    this.durable.recovered(storage.restored);
    const machine = new WatchedMachine(
      this.id,
      new KvStateMachine(sessionLimits),
      ledger,
      (entries) => this.#applied(entries),
    );
    machine.restoring(storage.restored.snapshot?.index ?? 0);
    const watched = new WatchedStorage(storage, {
      nodeId: this.id,
      log: this.durable,
      ledger,
      onDurable: () => trace.mix(2, this.id, this.durable.lastIndex, this.durable.term),
      onSaved: (index) => this.#snapshot("saved", index),
      onInstalling: (index) => machine.restoring(index),
      onInstalled: (index) => this.#snapshot("installed", index),
    });
    const opened: { port?: Port } = {};
    const replica = new Replica<KvResult>({
      initialConfiguration,
      initialTime: WALL_CLOCK_MS + this.wallClockErrorMs,
      processIncarnation: this.#mint(),
      timing,
      snapshots,
      clock,
      random: this.#random,
      storage: watched,
      machine,
      acceptsCommand: isSupportedCommand,
      openTransport: (events, member) => {
        const port: Port = {
          id: this.id,
          incarnation: storage.identity.incarnation,
          clock,
          events,
          member,
          receiveSnapshot: () => storage.receiveSnapshot(),
          onSend: (envelope) => this.#sending(envelope),
          isOpen: true,
          links: new Set(),
        };
        opened.port = port;
        return new SimulatedTransport(network, port);
      },
      log: { info: this.#log, warn: this.#log },
    });
    const { port } = opened;
    if (port === undefined) throw new Violation("a replica opens its transport");
    // The transport asks the replica who may call, so it is only reachable from here on.
    network.open(port);
    // A commit index is a hint and may be lost with a crash.
    const { term, commitIndex } = replica.raft;
    this.#glimpse = { term, commitIndex };
    return { incarnation: this.#starts, clock, machine, replica, port };
  }

  #guard(start: number, clock: SimulatedClock, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof ProcessDied) {
        this.#died(start, clock, error);
      } else if (
        this.#process === undefined &&
        error instanceof Error &&
        this.#isFullAtStart(error)
      ) {
        this.#around.tally.count("start refused by a full disk");
        this.#end(clock, "everything");
        this.#around.scheduler.after(SUPERVISOR_MS, () => this.start());
      } else {
        throw error;
      }
    }
  }

  #isFullAtStart(error: Error): boolean {
    return this.drive.isFull && isAllocationFailure(error);
  }

  #died(start: number, clock: SimulatedClock, error: ProcessDied): void {
    const { tally, trace, scheduler } = this.#around;
    require(this.drive.hasKilled, () => `node ${this.id} ended by itself: ${error.message}`);
    trace.note(`node ${this.id} dies ${error.message}`);
    tally.count("death in a call");
    this.#end(clock, this.drive.deathKeeps);
    scheduler.after(SUPERVISOR_MS, () => {
      if (this.#starts === start) this.start();
    });
  }

  #end(clock: SimulatedClock, keeps: CrashKeeps): void {
    const { network, tally, trace } = this.#around;
    const process = this.#process;
    this.#process = undefined;
    clock.end();
    const loss = this.drive.crash(keeps);
    trace.note(`node ${this.id} ends, disk keeps ${keeps}`);
    if (loss.files > 0) tally.count(keeps === "nothing" ? "unflushed writes lost" : "write torn");
    if (loss.names > 0) tally.count("unflushed names lost");
    if (process === undefined) return;
    network.closePort(process.port);
    this.#onEnd(this, process);
  }

  #sending(envelope: Envelope): void {
    const { ledger, trace } = this.#around;
    const { message, term, from, to } = envelope;
    if (message.kind === "append-entries" || message.kind === "heartbeat") ledger.led(from, term);
    this.durable.checkPromise(envelope);
    trace.mix(1, from * 64 + to, term, message.kind.length);
    if (trace.keepsLines) trace.line(`send ${formatEnvelope(envelope)}`);
  }

  #applied(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const { trace } = this.#around;
    trace.mix(3, this.id, last.index, last.term);
    if (trace.keepsLines) trace.line(`node ${this.id} applied up to ${last.index}/${last.term}`);
  }

  #snapshot(what: "saved" | "installed", index: number): void {
    this.#around.tally.count(`snapshot ${what}`);
    this.#around.trace.note(`node ${this.id} ${what} snapshot ${index}`);
  }

  readonly #log = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    const { trace, tally } = this.#around;
    if (message.startsWith("won the election")) tally.count("election won");
    if (trace.keepsLines) trace.line(`node ${this.id}: ${message} ${JSON.stringify(fields)}`);
  };

  #mint(): number {
    return 1 + this.#random.below(2 ** 31);
  }
}
