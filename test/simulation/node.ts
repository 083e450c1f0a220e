/**
 * One simulated node: a disk that stays, and processes that come and go on it. A process is the
 * production replica over the production storage and state machine; only the ports are simulated.
 * One that finds its disk damaged repairs it first, from its peers, as production does.
 *
 * A process ends by a crash from outside, in the middle of a disk call, or by itself when its
 * storage failed; whoever runs the node starts the next one.
 */
import type { Entry, Envelope, SeededRandom } from "../../raft/index.ts";
import { formatEnvelope } from "../../raft/testing/format.ts";
import { isSupportedCommand, type KvResult, KvStateMachine } from "../../server/kv/index.ts";
import type { TransportEvents } from "../../server/peer/index.ts";
import { openOrSurvey } from "../../server/repairing.ts";
import type { MembershipView } from "../../server/replica/options.ts";
import { RepairingReplica, rebuildOf } from "../../server/replica/repairing-replica.ts";
import { Replica } from "../../server/replica.ts";
import {
  CorruptionError,
  type DamageSurvey,
  FileSystemError,
  isAllocationFailure,
  rebuildLog,
  receiveRepairSnapshot,
  type SnapshotSink,
  type Storage,
  StorageFailedError,
  type StorageOptions,
} from "../../storage/index.ts";
import type { CrashKeeps } from "../../storage/testing/simulated-disk.ts";
import { Drive } from "./drive.ts";
import { DurableLog } from "./durable-log.ts";
import { ConfigurationWatch } from "./membership-ledger.ts";
import { ProcessDied } from "./mounted-drive.ts";
import type { NodeSettings, NodeSurroundings, Process, Repair } from "./node-parts.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import type { Port } from "./simulated-network.ts";
import { SimulatedTransport } from "./simulated-transport.ts";
import { require, Violation } from "./violation.ts";
import { WatchedMachine, WatchedStorage } from "./watched.ts";

interface Glimpse {
  readonly term: number;
  readonly commitIndex: number;
}

export const DIRECTORY = "/data";
/** How long a process that is asked to end waits for what is under way. */
const GRACE_MS = 1_000;
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
  readonly #configurations: ConfigurationWatch;
  readonly #settings: NodeSettings;
  readonly #around: NodeSurroundings;
  readonly #random: SeededRandom;
  readonly #originMs: number;
  /** Calls back when a process is gone, whichever way. */
  readonly #onEnd: (node: SimulatedNode, process: Process) => void;
  #process: Process | undefined;
  #repair: Repair | undefined;
  /** Its disk was damaged, and no process since then was whole. */
  #isHurt = false;
  #isRetired = false;
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
    const { initialConfiguration } = settings;
    this.#configurations = new ConfigurationWatch(id, initialConfiguration, around.membership);
  }

  get process(): Process | undefined {
    return this.#process;
  }

  get isLeader(): boolean {
    return this.#process?.replica.raft.role === "leader";
  }

  /** May not hold what it once acknowledged. */
  get isHurt(): boolean {
    const process = this.#process;
    if (process !== undefined && !process.storage.isRecovering) this.#isHurt = false;
    return this.#isHurt;
  }

  /** Somebody damages the disk: true when something was damaged. Only while no process runs. */
  damage(harm: (drive: Drive) => string | undefined): boolean {
    require(this.#process === undefined, () => `node ${this.id} runs on the disk`);
    const what = harm(this.drive);
    if (what === undefined) return false;
    this.#isHurt = true;
    this.durable.damaged();
    this.#around.trace.note(`node ${this.id} damaged: ${what}`);
    return true;
  }

  /** Starts a process on what the disk holds. */
  start(): void {
    if (this.#process !== undefined || this.#repair !== undefined || this.#isRetired) return;
    this.#starts += 1;
    const start = this.#starts;
    const { scheduler, trace } = this.#around;
    trace.note(`node ${this.id} starts`);
    const clock: SimulatedClock = new SimulatedClock(scheduler, {
      rate: this.clockRate,
      originMs: this.#originMs,
      guard: (run) => this.#guard(start, clock, run),
    });
    clock.deliver(() => this.#open(clock));
  }

  /** Ends the process; of what was not flushed, the disk keeps what `keeps` says. */
  crash(keeps: CrashKeeps): void {
    const clock = this.#clock;
    if (clock !== undefined) this.#end(clock, keeps);
  }

  /** Asks the process to end by itself, which it does unless something ends it before. */
  stop(downMs: number): void {
    const { process } = this;
    if (process === undefined || process.replica.isStopping) return;
    const { scheduler, tally, trace } = this.#around;
    trace.note(`node ${this.id} is asked to stop`);
    const start = this.#starts;
    process.clock.deliver(() => {
      process.replica.close(GRACE_MS, () => {
        tally.count("stopped");
        const underWay = this.drive.changesUnderWay(process.clock);
        require(underWay === 0, () =>
          `node ${this.id} stopped with ${underWay} calls to its disk under way`);
        this.#end(process.clock, "everything");
        scheduler.after(downMs, () => {
          if (this.#starts === start) this.start();
        });
      });
    });
  }

  /** The machine is switched off for good. */
  retire(): void {
    this.crash("everything");
    this.#isRetired = true;
  }

  /** Of whatever runs. */
  get #clock(): SimulatedClock | undefined {
    return (this.#process ?? this.#repair)?.clock;
  }

  stall(durationMs: number): void {
    const { scheduler, trace } = this.#around;
    trace.note(`node ${this.id} stalls for ${durationMs.toFixed(0)} ms`);
    this.#clock?.stall(scheduler.nowMs + durationMs);
  }

  /** The present process's clock and those of later ones go on at another rate. */
  setClockRate(rate: number): void {
    this.clockRate = rate;
    this.#clock?.setRate(rate);
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
    this.#around.membership.committed(commitIndex);
    if (role === "leader") this.#around.ledger.led(this.id, term);
  }

  #open(clock: SimulatedClock): void {
    const options = this.#storageOptions(clock);
    const opened = openOrSurvey(options, this.#settings.initialConfiguration);
    if (opened.kind === "whole") this.#process = this.#serve(clock, opened.storage);
    else this.#beginRepair(clock, options, opened.survey);
  }

  #storageOptions(clock: SimulatedClock): StorageOptions {
    return {
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
        this.#around.trace.note(`node ${this.id} storage: ${report.kind}`);
      },
    };
  }

  #beginRepair(clock: SimulatedClock, options: StorageOptions, survey: DamageSurvey): void {
    const { network, tally, trace } = this.#around;
    const { identity, places } = survey;
    tally.count("repair begun");
    for (const { file, offset, reason } of places) this.#log({ file, offset }, reason);
    const { prefix, islands, lost, lastKnownIndex, isTailKnown } = survey;
    this.#log(
      {
        start: survey.start.index,
        prefix: prefix.length,
        islands: islands.map(({ length }) => length),
        lost: lost.length,
        lastKnownIndex,
        isTailKnown,
      },
      "survey",
    );
    const snapshots = () => receiveRepairSnapshot(options, identity);
    const opened: { port?: Port } = {};
    new RepairingReplica<KvResult>({
      survey,
      initialConfiguration: this.#settings.initialConfiguration,
      clock,
      openTransport: (events, member) => {
        const port = this.#port(clock, identity.incarnation, events, member, snapshots);
        opened.port = port;
        return new SimulatedTransport(network, port);
      },
      discardSnapshot: ({ path }) => options.fileSystem.unlinkSync(path),
      log: { info: this.#log, warn: this.#log, error: this.#log },
      done: (result) => {
        this.#repair = undefined;
        this.durable.rebuilding(result);
        rebuildLog(options, rebuildOf(survey, result));
        tally.count(`repaired: ${result.kind}`);
        trace.note(`node ${this.id} repaired: ${result.kind}`);
        this.#open(clock);
      },
    });
    const { port } = opened;
    if (port === undefined) throw new Violation("a repair opens its transport");
    this.#repair = { clock, port };
    network.open(port);
  }

  #serve(clock: SimulatedClock, storage: Storage): Process {
    const { ledger, network, trace } = this.#around;
    const { initialConfiguration, timing, snapshots, sessionLimits } = this.#settings;
    this.durable.recovered(storage.restored, storage.isRecovering);
    this.#configurations.recovered(storage.restored);
    if (!storage.isRecovering) this.#isHurt = false;
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
      onAppending: (entries) => this.#appending(entries),
      onDurable: () => trace.mix(2, this.id, this.durable.lastIndex, this.durable.term),
      onSaved: (index) => this.#snapshot("saved", index),
      onInstalling: (metadata) => {
        machine.restoring(metadata.index);
        this.#configurations.installed(metadata);
      },
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
        const { incarnation } = storage.identity;
        const sink = () => storage.receiveSnapshot();
        const port = this.#port(clock, incarnation, events, member, sink);
        opened.port = port;
        return new SimulatedTransport(network, port);
      },
      log: { info: this.#log, warn: this.#log, error: this.#log },
      onDiverged: ({ index }) => {
        throw new Violation(
          `node ${this.id} is outvoted: its state differs at ${index}`,
          "state-mismatch",
        );
      },
    });
    const { port } = opened;
    if (port === undefined) throw new Violation("a replica opens its transport");
    // The transport asks the replica who may call, so it is only reachable from here on.
    network.open(port);
    // A commit index is a hint and may be lost with a crash.
    const { term, commitIndex } = replica.raft;
    this.#glimpse = { term, commitIndex };
    return { incarnation: this.#starts, clock, machine, storage: watched, replica, port };
  }

  #port(
    clock: SimulatedClock,
    incarnation: number,
    events: TransportEvents<KvResult>,
    member: MembershipView,
    receiveSnapshot: () => SnapshotSink,
  ): Port {
    const onSend = (envelope: Envelope): void => this.#sending(envelope);
    const nobody = { links: new Set<number>(), members: new Set<number>() };
    const refusedBy = new Set<number>();
    const { id } = this;
    const port = { id, incarnation, clock, events, member, receiveSnapshot, onSend };
    return { ...port, ...nobody, refusedBy, isOpen: true };
  }

  #guard(start: number, clock: SimulatedClock, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof Error) || !this.#endsByItself(start, clock, error)) throw error;
    }
  }

  /** True when the process may end of this. */
  #endsByItself(start: number, clock: SimulatedClock, error: Error): boolean {
    const { tally, scheduler, trace } = this.#around;
    const { drive } = this;
    const isDiskError = error instanceof FileSystemError || error instanceof StorageFailedError;
    const isBroken = drive.hasFailed && isDiskError;
    if (error instanceof ProcessDied || isBroken) {
      require(drive.hasKilled || drive.hasFailed, () =>
        `node ${this.id} ended by itself: ${error.message}`);
      trace.note(`node ${this.id} dies ${error.message}`);
      tally.count(drive.hasFailed ? "ended by a failed call" : "death in a call");
      this.#end(clock, drive.deathKeeps);
      this.#restartLater(start);
      return true;
    }
    if (this.#process === undefined && drive.isFull && isAllocationFailure(error)) {
      tally.count("start refused by a full disk");
      this.#end(clock, "everything");
      scheduler.after(SUPERVISOR_MS, () => this.start());
      return true;
    }
    // Alone there is nobody to ask: it refuses to start, until somebody brings the disk back.
    if (
      this.#process === undefined &&
      this.#configurations.isAlone &&
      this.#isHurt &&
      error instanceof CorruptionError
    ) {
      tally.count("start refused by damage, alone");
      this.#end(clock, "everything");
      drive.undoDamage();
      this.#isHurt = false;
      this.#restartLater(start);
      return true;
    }
    return false;
  }

  #restartLater(start: number): void {
    this.#around.scheduler.after(SUPERVISOR_MS, () => {
      if (this.#starts === start) this.start();
    });
  }

  #end(clock: SimulatedClock, keeps: CrashKeeps): void {
    const { network, tally, trace } = this.#around;
    const process = this.#process;
    const repair = this.#repair;
    this.#process = undefined;
    this.#repair = undefined;
    clock.end();
    const loss = this.drive.crash(keeps);
    tally.count(keeps === "everything" ? "process ended" : "power lost");
    trace.note(`node ${this.id} ends, disk keeps ${keeps}`);
    if (loss.files > 0) tally.count(keeps === "nothing" ? "unflushed writes lost" : "write torn");
    if (loss.names > 0) tally.count("unflushed names lost");
    if (repair !== undefined) network.closePort(repair.port);
    if (process === undefined) return;
    network.closePort(process.port);
    this.#onEnd(this, process);
  }

  #sending(envelope: Envelope): void {
    const { ledger, trace } = this.#around;
    const { message, term, from, to } = envelope;
    if (message.kind === "append-entries" || message.kind === "heartbeat") ledger.led(from, term);
    this.durable.checkPromise(envelope);
    if (message.kind === "request-vote") {
      this.#configurations.checkStands(term, this.#process?.replica.raft);
    }
    trace.mix(1, from * 64 + to, term, message.kind.length);
    if (trace.keepsLines) trace.line(`send ${formatEnvelope(envelope)}`);
  }

  /** A leader knows first that the configuration before this one is committed. */
  #appending(entries: readonly Entry[]): void {
    const change = entries.findLast(({ type }) => type === "conf-change");
    const raft = change === undefined ? undefined : this.#process?.replica.raft;
    if (change !== undefined && raft !== undefined) {
      const { membership, ledger } = this.#around;
      membership.committed(raft.commitIndex);
      if (raft.role === "leader") {
        this.#configurations.checkOwnTerm(change, ledger.termAt(raft.commitIndex));
      }
    }
    this.#configurations.appending(entries);
  }

  #applied(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const { trace, membership } = this.#around;
    membership.applied(entries);
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
    if (message.startsWith("whole again")) tally.count("whole again");
    if (trace.keepsLines) trace.line(`node ${this.id}: ${message} ${JSON.stringify(fields)}`);
  };

  #mint(): number {
    return 1 + this.#random.below(2 ** 31);
  }
}
