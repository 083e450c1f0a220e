/**
 * An in-memory cluster in virtual time: hosts with skewed clocks and slow disks on a bad network.
 *
 * Everything that happens is an event of one queue, and all chance comes from one seed, forked by
 * purpose so that a new fault does not shift the old ones. It owns time and delivery; what goes
 * wrong and when is the business of `swarm.ts`, what must hold is the business of `invariants.ts`.
 */
import { assert } from "../assert.ts";
import { type RaftConfig, validateRaftConfig } from "../config.ts";
import type { RaftNode } from "../node.ts";
import { SeededRandom } from "../random.ts";
import type { Ready } from "../ready.ts";
import type { Configuration, Entry, LogIndex, MonotonicMs, NodeId } from "../types.ts";
import { Coverage } from "./coverage.ts";
import type { SnapshotImage } from "./disk.ts";
import { EventQueue } from "./event-queue.ts";
import { formatEnvelope, formatId, formatReady } from "./format.ts";
import { History } from "./history.ts";
import { Host, type HostOwner, type Packet } from "./host.ts";
import { Network } from "./network.ts";

export interface ClusterOptions {
  readonly seed: number;
  /** First members, with ids from 1. */
  readonly voters: number;
  /** Nodes that run from the start and belong to no configuration yet; ids follow the voters'. */
  readonly spares: number;
  readonly config: Omit<RaftConfig, "id" | "initialConfiguration">;
  /** Clock rates are drawn from 1 - skew to 1 + skew. */
  readonly clockSkew: number;
  /** This node always draws the shortest election timeout; 0 for none. */
  readonly hastyNode: NodeId;
  readonly diskMsMax: number;
  /** How many pieces of mail a host may gather before it looks at what came of them. */
  readonly gatherMax: number;
  /** A snapshot is taken every so many applied entries; 0 for never. */
  readonly snapshotEvery: number;
  /** How many entries below a snapshot stay in the log for slow followers. */
  readonly retain: number;
  readonly trace: boolean;
}

/** A host in time: its clock, its unhandled mail and what it is busy with. */
interface Site {
  readonly host: Host;
  readonly clockOffsetMs: MonotonicMs;
  readonly clockRate: number;
  mail: (() => void)[];
  turnIsDue: boolean;
  stalledUntilMs: number;
  tickIsLate: boolean;
  /** How long one flush may take. */
  diskMsMax: number;
  diskFreeAtMs: number;
  /** What happens while the next batch is on its way to the disk. */
  atNextWrite: (() => void) | undefined;
  isSaving: boolean;
}

/** Larger draws are not about election timeouts. */
const LONGEST_DRAW_MS = 10_000;

export function initialConfiguration(voters: number): Configuration {
  const members = Array.from({ length: voters }, (_, at) => member(at + 1, "voter"));
  return { members };
}

export function member(id: NodeId, role: "voter" | "learner"): Configuration["members"][number] {
  return {
    id,
    incarnation: 1000 + id,
    role,
    peerAddress: `peer-${id}:1`,
    clientAddress: `client-${id}:1`,
  };
}

export class Cluster implements HostOwner {
  readonly options: ClusterOptions;
  readonly history = new History();
  readonly coverage = new Coverage();
  readonly network: Network;
  readonly trace: string[] = [];
  readonly #queue = new EventQueue();
  readonly #sites = new Map<NodeId, Site>();
  readonly #diskRandom: SeededRandom;
  readonly #hostRandom: SeededRandom;
  #contexts = 0;

  constructor(options: ClusterOptions) {
    this.options = options;
    this.network = new Network(this.fork("network"), this.coverage);
    this.#diskRandom = this.fork("disk");
    this.#hostRandom = this.fork("hosts");
    const nodes = options.voters + options.spares;
    for (let id = 1; id <= nodes; id += 1) this.#add(id);
    for (const site of this.#sites.values()) this.#start(site);
  }

  get nowMs(): number {
    return this.#queue.nowMs;
  }

  get hosts(): readonly Host[] {
    return [...this.#sites.values()].map((site) => site.host);
  }

  get running(): readonly Host[] {
    return this.hosts.filter((host) => host.isUp);
  }

  /** The leader of the newest term, if one of the running hosts leads. */
  get leader(): Host | undefined {
    let newest: Host | undefined;
    for (const host of this.running) {
      if (host.node.role !== "leader") continue;
      if (newest === undefined || host.node.term > newest.node.term) newest = host;
    }
    return newest;
  }

  /** An independent stream of chance for one purpose. */
  fork(purpose: string): SeededRandom {
    let mixed = this.options.seed >>> 0;
    for (const char of purpose) {
      mixed = Math.imul(mixed ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    }
    return new SeededRandom(mixed);
  }

  run(durationMs: number): void {
    this.#queue.run(this.nowMs + durationMs);
  }

  after(delayMs: number, run: () => void): void {
    this.#queue.after(delayMs, run);
  }

  /** What the host's own clock shows. */
  localNow(host: Host): MonotonicMs {
    const site = this.#site(host.id);
    return site.clockOffsetMs + site.clockRate * this.nowMs;
  }

  /** A request from outside: a stalled or stopped host does not hear it. */
  ask<Result>(host: Host, run: (node: RaftNode, now: MonotonicMs) => Result): Result | undefined {
    if (!this.#isAwake(host)) return undefined;
    const result = host.call((node) => run(node, this.localNow(host)));
    host.turn();
    return result;
  }

  read(host: Host): void {
    if (!this.#isAwake(host)) return;
    this.#contexts += 1;
    this.coverage.count(`read ${host.read(this.#contexts, this.localNow(host))}`);
    host.turn();
  }

  crash(host: Host, keep: number): void {
    const site = this.#site(host.id);
    this.#note(() => `${host.id} crashes, keeps ${keep} of ${host.disk.pendingOperations}`);
    if (host.disk.pending.length > 0) this.coverage.count("crash with unsynced batches");
    if (keep > 0) this.coverage.count("crash with a torn tail");
    host.crash(keep);
    this.history.running.delete(host.id);
    site.mail = [];
    site.isSaving = false;
    site.stalledUntilMs = 0;
    site.tickIsLate = false;
  }

  restart(host: Host): void {
    if (!host.isUp) this.#start(this.#site(host.id));
  }

  /** The process stands still: neither mail nor timers are handled. */
  stall(host: Host, durationMs: number): void {
    const site = this.#site(host.id);
    this.#note(() => `${host.id} stalls for ${durationMs.toFixed(1)} ms`);
    site.stalledUntilMs = this.nowMs + durationMs;
    this.#queue.after(durationMs, () => this.#wake(site));
  }

  /** Runs `run` while the next batch of the host is under way, at a random moment of that. */
  atNextWrite(host: Host, run: () => void): void {
    this.#site(host.id).atNextWrite = run;
  }

  endStall(host: Host): void {
    const site = this.#site(host.id);
    if (site.stalledUntilMs <= this.nowMs) return;
    site.stalledUntilMs = this.nowMs;
    this.#wake(site);
  }

  /** Flushes take up to `msMax`; undefined: as they used to. */
  slowDisk(host: Host, msMax: number | undefined): void {
    this.#site(host.id).diskMsMax = msMax ?? this.options.diskMsMax;
  }

  send(packet: Packet): void {
    const { envelope, snapshot } = packet;
    const sender = this.#site(envelope.from);
    this.#note(() => `send ${formatEnvelope(envelope)}`);
    const arrivals = this.network.arrivals(envelope.from, envelope.to, this.nowMs);
    if (arrivals.length === 0) this.#reportLoss(sender, packet);
    for (const atMs of arrivals) {
      this.#queue.after(atMs - this.nowMs, () => {
        const target = this.#sites.get(envelope.to);
        if (target === undefined || !target.host.isUp) return this.#reportLoss(sender, packet);
        this.#post(target, () => {
          this.#note(() => `receive ${formatEnvelope(envelope)}`);
          target.host.receive(packet, this.localNow(target.host));
        });
        if (snapshot !== undefined) this.#reportSnapshot(sender, envelope.to, true);
      });
    }
  }

  wrote(host: Host): void {
    const site = this.#site(host.id);
    const boot = host.boot;
    const delayMs = this.#diskRandom.next() * site.diskMsMax;
    const { atNextWrite } = site;
    site.atNextWrite = undefined;
    if (atNextWrite !== undefined) {
      this.#queue.after(delayMs * this.#diskRandom.next(), () => {
        if (host.isUp && host.boot === boot) atNextWrite();
      });
    }
    site.diskFreeAtMs = Math.max(site.diskFreeAtMs, this.nowMs + delayMs);
    this.#queue.after(site.diskFreeAtMs - this.nowMs, () => {
      if (!host.isUp || host.boot !== boot) return;
      this.#post(site, () => {
        this.#note(() => `${host.id} synced #${host.disk.pending[0]?.sequence}`);
        host.completeWrite();
      });
    });
  }

  changed(host: Host, ready: Ready): void {
    this.#note(() => `${host.id} ${formatReady(ready)}`);
    if (ready.softState?.role !== "leader") return;
    this.coverage.count("election won");
    const { election } = host.node.status();
    if (election === "all-voters") this.coverage.count("election won by all voters");
  }

  /** Removing the mark takes the disk a while. */
  becameWhole(host: Host): void {
    this.coverage.count("whole again");
    const site = this.#site(host.id);
    const boot = host.boot;
    this.#queue.after(this.#diskRandom.next() * site.diskMsMax, () => {
      if (!host.isUp || host.boot !== boot) return;
      this.#post(site, () => {
        this.#note(() => `${host.id} is whole`);
        host.endRecovery();
      });
    });
  }

  applied(host: Host, entries: readonly Entry[]): void {
    this.coverage.count("entry applied", entries.length);
    const { snapshotEvery } = this.options;
    const site = this.#site(host.id);
    if (snapshotEvery === 0 || site.isSaving) return;
    if (host.appliedIndex - host.disk.snapshotIndex < snapshotEvery) return;
    site.isSaving = true;
    const boot = host.boot;
    // Not from inside `applied`: the host is in the middle of a Ready.
    this.#queue.after(0, () => {
      if (host.isUp && host.boot === boot) this.#post(site, () => this.#saveSnapshot(site));
    });
  }

  restored(host: Host, image: SnapshotImage): void {
    this.coverage.count("snapshot installed");
    this.#note(() => `${host.id} restored ${formatId(image.metadata)}`);
  }

  readEnded(host: Host, context: number, index: LogIndex | undefined): void {
    this.coverage.count(index === undefined ? "read aborted" : "read served");
    this.#note(() => `${host.id} read ${context} ${index === undefined ? "aborted" : index}`);
  }

  #add(id: NodeId): void {
    const { options } = this;
    const isMember = id <= options.voters;
    const config: RaftConfig = {
      ...options.config,
      id,
      initialConfiguration: isMember ? initialConfiguration(options.voters) : { members: [] },
    };
    validateRaftConfig(config);
    const own = this.fork(`node ${id}`);
    const hasty = { below: (limit: number) => (limit > LONGEST_DRAW_MS ? own.below(limit) : 0) };
    const random = id === options.hastyNode ? hasty : own;
    this.#sites.set(id, {
      host: new Host({ config, history: this.history, owner: this, random }),
      clockOffsetMs: this.#hostRandom.below(100_000),
      clockRate: 1 + options.clockSkew * (2 * this.#hostRandom.next() - 1),
      mail: [],
      turnIsDue: false,
      stalledUntilMs: 0,
      tickIsLate: false,
      diskMsMax: options.diskMsMax,
      diskFreeAtMs: 0,
      atNextWrite: undefined,
      isSaving: false,
    });
  }

  #start(site: Site): void {
    const { host } = site;
    this.#note(() => `${host.id} starts`);
    host.start(this.localNow(host));
    const boot = host.boot;
    const intervalMs = this.options.config.tickMs / site.clockRate;
    const tick = (): void => {
      if (!host.isUp || host.boot !== boot) return;
      this.#queue.after(intervalMs, tick);
      if (site.stalledUntilMs > this.nowMs) site.tickIsLate = true;
      else this.#tick(site);
    };
    this.#queue.after(this.#hostRandom.next() * intervalMs, tick);
  }

  #tick(site: Site): void {
    site.host.call((node) => node.tick(this.localNow(site.host)));
    site.host.turn();
  }

  /** Handles what piled up, mail before the one late tick. */
  #wake(site: Site): void {
    if (!site.host.isUp || site.stalledUntilMs === 0) return;
    if (site.stalledUntilMs > this.nowMs) return;
    this.coverage.count("stall");
    site.stalledUntilMs = 0;
    this.#handleMail(site);
    if (!site.tickIsLate || !site.host.isUp) return;
    site.tickIsLate = false;
    this.#tick(site);
  }

  #post(site: Site, work: () => void): void {
    site.mail.push(work);
    if (site.stalledUntilMs > this.nowMs || site.turnIsDue) return;
    if (this.options.gatherMax <= 1) {
      this.#handleMail(site);
      return;
    }
    site.turnIsDue = true;
    this.#queue.after(this.#hostRandom.next() * this.options.gatherMax, () => {
      site.turnIsDue = false;
      if (site.host.isUp && site.stalledUntilMs <= this.nowMs) this.#handleMail(site);
    });
  }

  #handleMail(site: Site): void {
    const { mail } = site;
    if (mail.length === 0) return;
    site.mail = [];
    if (mail.length > 1) this.coverage.count("gathered mail");
    for (const work of mail) work();
    site.host.turn();
  }

  #saveSnapshot(site: Site): void {
    const { host } = site;
    const image = host.captureSnapshot();
    if (image === undefined) {
      site.isSaving = false;
      return;
    }
    const boot = host.boot;
    this.#queue.after(this.#diskRandom.next() * 10 * site.diskMsMax, () => {
      if (!host.isUp || host.boot !== boot) return;
      this.#post(site, () => {
        site.isSaving = false;
        const isSaved = host.finishSnapshot(image, this.options.retain);
        this.coverage.count(isSaved ? "snapshot taken" : "snapshot overtaken");
        this.#note(() => `${host.id} saved ${formatId(image.metadata)}: ${isSaved}`);
      });
    });
  }

  /** A transport notices some losses, and always that a snapshot did not get through. */
  #reportLoss(sender: Site, packet: Packet): void {
    const { to } = packet.envelope;
    if (packet.snapshot !== undefined) {
      this.coverage.count("snapshot lost");
      this.#reportSnapshot(sender, to, false);
    } else if (this.#hostRandom.next() < 0.3) {
      this.coverage.count("reported unreachable");
      this.#report(sender, (node) => node.reportUnreachable(to));
    }
  }

  #reportSnapshot(sender: Site, to: NodeId, ok: boolean): void {
    this.#report(sender, (node) => node.reportSnapshot(to, ok));
  }

  #report(sender: Site, run: (node: RaftNode) => void): void {
    const { host } = sender;
    const boot = host.boot;
    this.#queue.after(1 + this.#hostRandom.next() * 20, () => {
      if (!host.isUp || host.boot !== boot) return;
      this.#post(sender, () => host.call(run));
    });
  }

  #isAwake(host: Host): boolean {
    return host.isUp && this.#site(host.id).stalledUntilMs <= this.nowMs;
  }

  #site(id: NodeId): Site {
    const site = this.#sites.get(id);
    assert(site !== undefined, `node ${id} exists`);
    return site;
  }

  #note(line: () => string): void {
    if (this.options.trace) this.trace.push(`${this.nowMs.toFixed(3)} ${line()}`);
  }
}
