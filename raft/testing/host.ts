/**
 * One simulated replica: a `RaftNode` with a disk and a toy state machine (the list of applied
 * commands), doing for each `Ready` exactly what the contract in `ready.ts` asks, and having every
 * property checked after every call.
 *
 * It knows neither time nor network: whoever owns it decides when a batch becomes durable, when a
 * message arrives and when the power fails. A stopped host keeps its disk and nothing else.
 */
import { assert } from "../assert.ts";
import type { RaftConfig } from "../config.ts";
import type { Envelope } from "../message.ts";
import { RaftNode } from "../node.ts";
import type { Random } from "../random.ts";
import type { Ready } from "../ready.ts";
import type { CommandEntry, Entry, HardState, LogIndex, MonotonicMs, NodeId } from "../types.ts";
import { Disk, type SnapshotImage } from "./disk.ts";
import { formatId } from "./format.ts";
import { type History, mustHold, type Watched } from "./history.ts";
import * as check from "./invariants.ts";
import { ConfigurationStack, LogImage } from "./log-image.ts";

/** An envelope under way; the bytes of a snapshot travel with its announcement. */
export interface Packet {
  readonly envelope: Envelope;
  readonly snapshot: SnapshotImage | undefined;
}

/** What an owner hears of its hosts. */
export interface HostOwner {
  send(packet: Packet): void;
  /** A batch is on its way to the disk; the owner calls `completeWrite` for each, in order. */
  wrote(host: Host, ready: Ready): void;
  changed(host: Host, ready: Ready): void;
  /** The owner calls `endRecovery` some time later. */
  becameWhole(host: Host): void;
  applied(host: Host, entries: readonly Entry[]): void;
  restored(host: Host, image: SnapshotImage): void;
  /** `index` undefined: the read was aborted. */
  readEnded(host: Host, context: number, index: LogIndex | undefined): void;
}

export interface HostOptions {
  readonly config: RaftConfig;
  readonly history: History;
  readonly owner: HostOwner;
  readonly random: Random;
}

/** More Readys in a row than this without new input is a core that never comes to rest. */
const READYS_MAX = 1000;

export class Host {
  readonly id: NodeId;
  readonly disk = new Disk();
  readonly config: RaftConfig;
  /** Counts starts, so that what was set off before a crash is recognised after it. */
  boot = 0;
  readonly #options: HostOptions;
  #life: Life | undefined;

  constructor(options: HostOptions) {
    this.config = options.config;
    this.id = options.config.id;
    this.#options = options;
    options.history.disks.set(this.id, this.disk);
  }

  get isUp(): boolean {
    return this.#life !== undefined;
  }

  get node(): RaftNode {
    return this.#alive().node;
  }

  get appliedIndex(): LogIndex {
    return this.#alive().appliedIndex;
  }

  get commands(): readonly CommandEntry[] {
    return this.#alive().commands;
  }

  get log(): LogImage {
    return this.#alive().log;
  }

  /** Reads asked for and not ended, with the index each must at least see. */
  get pendingReads(): ReadonlyMap<number, LogIndex> {
    return this.#alive().reads;
  }

  start(now: MonotonicMs): void {
    assert(this.#life === undefined, "a host is started once");
    const { history, random } = this.#options;
    this.boot += 1;
    const restored = this.disk.restored();
    const config = { ...this.#options.config, isRecovering: this.disk.isMarked };
    const node = new RaftNode(config, restored, random, now);
    this.#life = new Life(this, node, config);
    history.running.set(this.id, this.#life);
    history.glimpses.delete(this.id);
    check.restartKeepsPromises(this.#life);
    check.afterCall(history, this.#life);
    this.turn();
  }

  /** The mark is gone from the disk, so the core may speak without reserve. */
  endRecovery(): void {
    this.disk.unmark();
    this.call((node) => node.whole());
    this.turn();
  }

  /** Loses everything but the disk, and `keep` of the operations on their way to it. */
  crash(keep: number): void {
    this.disk.crash(keep);
    this.#life = undefined;
    this.#options.history.running.delete(this.id);
  }

  /** Any call into the core; `turn` later does what came of it. */
  call<Result>(run: (node: RaftNode) => Result): Result {
    const life = this.#alive();
    const result = run(life.node);
    check.afterCall(this.#options.history, life);
    return result;
  }

  receive(packet: Packet, now: MonotonicMs): void {
    const { snapshot, envelope } = packet;
    if (snapshot !== undefined) {
      this.#alive().received.set(formatId(snapshot.metadata), snapshot);
    }
    this.call((node) => node.step(envelope, now));
  }

  /** Asks for a linearizable read; whatever comes of it is checked for freshness. */
  read(context: number, now: MonotonicMs): "confirmed" | "pending" | "no-leader" {
    const { history, owner } = this.#options;
    const floor = history.maxCommitted;
    const life = this.#alive();
    const asked = this.call((node) => node.readIndex(context, now));
    if (asked.kind === "pending") life.reads.set(context, floor);
    if (asked.kind === "confirmed") {
      check.readIsFresh(history, asked.index, floor);
      owner.readEnded(this, context, asked.index);
    }
    return asked.kind;
  }

  /** Does all there is to do now. */
  turn(): void {
    const life = this.#alive();
    for (let count = 0; life.node.hasReady(); count += 1) {
      mustHold(count < READYS_MAX, () => `node ${this.id} always has one more Ready`);
      this.#handle(life, life.node.ready());
      if (this.#life !== life) return;
    }
  }

  /** The oldest batch is durable: what waited for it leaves. False when there was none. */
  completeWrite(): boolean {
    const life = this.#alive();
    const batch = this.disk.completeOldest();
    if (batch === undefined) return false;
    const { owner, history } = this.#options;
    this.call((node) => node.synced(batch.sequence));
    for (const envelope of batch.messages) {
      check.promiseIsDurable(history, this.disk, envelope);
      owner.send(this.#packet(envelope));
    }
    const image = batch.snapshot;
    if (image !== undefined) {
      check.snapshotIsPrefix(history, image);
      check.snapshotCarriesConfiguration(history, image.metadata);
      life.commands = [...image.commands];
      life.appliedIndex = image.metadata.index;
      owner.restored(this, image);
      this.call((node) => node.snapshotInstalled(image.metadata));
    }
    this.turn();
    return true;
  }

  /**
   * Pins the present state; `finishSnapshot` makes it durable some time later. Undefined while the
   * state is being replaced by the leader's.
   */
  captureSnapshot(): SnapshotImage | undefined {
    this.turn();
    const life = this.#alive();
    if (this.disk.isInstalling) return undefined;
    const metadata = this.call((node) => node.snapshotMetadata(life.appliedIndex));
    const image = { metadata, commands: [...life.commands] };
    check.snapshotIsPrefix(this.#options.history, image);
    check.snapshotCarriesConfiguration(this.#options.history, metadata);
    return image;
  }

  /** Returns false when a snapshot from the leader overtook this one. */
  finishSnapshot(image: SnapshotImage, retain: number): boolean {
    const { metadata } = image;
    this.turn();
    if (this.disk.isInstalling || metadata.index <= this.disk.snapshotIndex) return false;
    const retainFrom = Math.max(1, metadata.index + 1 - retain);
    this.disk.saveSnapshot(image, retainFrom);
    this.call((node) => node.compact(metadata, retainFrom));
    this.#alive().log.compactBefore(retainFrom);
    this.turn();
    return true;
  }

  #handle(life: Life, ready: Ready): void {
    const { owner, history } = this.#options;
    this.#checkSequence(life, ready);
    const ledBefore = life.ledTerm === life.node.term;
    if (ready.snapshot !== undefined) life.install(ready.snapshot);
    if (ready.entries.length > 0) {
      check.logMatching(history, life.log, ready.entries);
      check.logGrows(life, ready.entries, ledBefore);
      life.log.append(ready.entries);
      life.configurations.append(ready.entries);
    }
    life.ledTerm = life.node.role === "leader" ? life.node.term : 0;
    check.afterReady(history, life);
    owner.changed(this, ready);
    for (const envelope of ready.messages) {
      check.promiseIsDurable(history, this.disk, envelope);
      owner.send(this.#packet(envelope));
    }
    if (ready.persistSequence > life.sequence) this.#write(life, ready);
    this.#apply(life, ready.committedEntries);
    for (const read of ready.readStates) {
      this.#endRead(life, read.context, read.index);
    }
    for (const context of ready.abortedReads) this.#endRead(life, context, undefined);
    if (ready.becameWhole) owner.becameWhole(this);
  }

  /** Rises by one when something must be written or waits, and stays the same otherwise. */
  #checkSequence(life: Life, ready: Ready): void {
    const needs = ready.hasPersist || ready.messagesAfterSync.length > 0;
    const expected = life.sequence + (needs ? 1 : 0);
    mustHold(
      ready.persistSequence === expected,
      () => `node ${this.id}: persist sequence ${ready.persistSequence} where ${expected} is due`,
    );
    const hasContent =
      ready.hardState !== undefined || ready.entries.length > 0 || ready.snapshot !== undefined;
    mustHold(ready.hasPersist === hasContent, () => `node ${this.id}: hasPersist is wrong`);
    const { hardState } = ready;
    if (hardState === undefined) return;
    const last = life.hardState;
    const changed = hardState.term !== last.term || hardState.vote !== last.vote;
    mustHold(
      !changed || ready.mustSyncHardState,
      () => `node ${this.id}: term or vote changed without mustSyncHardState`,
    );
    life.hardState = hardState;
  }

  #write(life: Life, ready: Ready): void {
    life.sequence = ready.persistSequence;
    const { snapshot } = ready;
    const image = snapshot === undefined ? undefined : life.received.get(formatId(snapshot));
    mustHold(
      snapshot === undefined || image !== undefined,
      () => `node ${this.id} is to install a snapshot it never received`,
    );
    if (image !== undefined) life.received.clear();
    this.disk.write({
      sequence: ready.persistSequence,
      hardState: ready.hardState,
      snapshot: image,
      entries: ready.entries,
      messages: ready.messagesAfterSync,
    });
    this.#options.owner.wrote(this, ready);
  }

  #apply(life: Life, entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    mustHold(!this.disk.isInstalling, () => `node ${this.id} applies during an install`);
    check.stateMachineSafety(this.#options.history, life, entries);
    for (const entry of entries) if (entry.type === "command") life.commands.push(entry);
    life.appliedIndex = last.index;
    this.#options.owner.applied(this, entries);
    this.call((node) => node.applied(last.index));
  }

  #endRead(life: Life, context: number, index: LogIndex | undefined): void {
    const floor = life.reads.get(context);
    mustHold(floor !== undefined, () => `node ${this.id} ends read ${context} nobody waits for`);
    life.reads.delete(context);
    if (index !== undefined) check.readIsFresh(this.#options.history, index, floor);
    this.#options.owner.readEnded(this, context, index);
  }

  #packet(envelope: Envelope): Packet {
    check.appendIsBounded(envelope, this.config.appendBytesMax);
    if (envelope.message.kind !== "install-snapshot") return { envelope, snapshot: undefined };
    const { snapshot } = this.disk;
    const { metadata } = envelope.message;
    mustHold(
      snapshot !== undefined && snapshot.metadata.index === metadata.index,
      () => `node ${this.id} announces snapshot ${formatId(metadata)} it does not have`,
    );
    return { envelope, snapshot };
  }

  #alive(): Life {
    assert(this.#life !== undefined, "the host is running");
    return this.#life;
  }
}

/** What a host loses when it stops. */
class Life implements Watched {
  readonly id: NodeId;
  readonly node: RaftNode;
  readonly disk: Disk;
  readonly log: LogImage;
  configurations: ConfigurationStack;
  appliedIndex: LogIndex;
  commands: CommandEntry[];
  /** Snapshots whose bytes arrived, by position. */
  readonly received = new Map<string, SnapshotImage>();
  readonly reads = new Map<number, LogIndex>();
  sequence = 0;
  /** The hard state of the last Ready that had one. */
  hardState: HardState;
  /** The term this node led at its last Ready; 0 when it did not. */
  ledTerm = 0;

  constructor(host: Host, node: RaftNode, config: RaftConfig) {
    this.id = host.id;
    this.node = node;
    this.disk = host.disk;
    const { snapshot, log } = host.disk;
    const metadata = snapshot?.metadata;
    this.log = LogImage.restored(metadata, log.entries);
    this.configurations = new ConfigurationStack(
      metadata?.configurationIndex ?? 0,
      metadata?.configuration ?? config.initialConfiguration,
    );
    const index = metadata?.index ?? 0;
    this.configurations.append(log.entries.filter((entry) => entry.index > index));
    this.appliedIndex = index;
    this.commands = [...(snapshot?.commands ?? [])];
    this.hardState = host.disk.hardState;
  }

  install(metadata: NonNullable<Ready["snapshot"]>): void {
    this.log.reset(metadata);
    this.configurations = new ConfigurationStack(
      metadata.configurationIndex,
      metadata.configuration,
    );
  }
}
