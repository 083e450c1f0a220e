/**
 * The network of a simulation: one-way links with delay, loss, copies, overtaking and cuts, all
 * drawn from one seeded generator. Everything may be lost, copied and overtaken, also a forwarded
 * write: no transport of ours sends one twice, and the leader must not have to rely on that.
 *
 * A link is up for a node from the handshake until it notices a break. A cut may be noticed soon,
 * late or never, as with a half-open connection; so links do not follow cuts at once.
 */
import type { Envelope, SeededRandom } from "../../raft/index.ts";
import type { PeerMessage, TransportEvents } from "../../server/peer/index.ts";
import type { MembershipView } from "../../server/replica/options.ts";
import type { SnapshotSink } from "../../storage/index.ts";
import { between, chance, exponential } from "./chance.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import type { Tally } from "./tally.ts";
import type { Wire } from "./wire.ts";

/** What goes wrong on every link. Chances from 0 to 1. */
export interface LinkFaults {
  drop: number;
  duplicate: number;
  /** A copy may come this much later. */
  duplicateDelayMsMax: number;
  /** How often a message takes up to `delayMsMax` more. */
  delay: number;
  delayMsMax: number;
  /** Messages of one link may overtake each other. */
  reorder: boolean;
}

const CALM: LinkFaults = {
  drop: 0,
  duplicate: 0,
  duplicateDelayMsMax: 0,
  delay: 0,
  delayMsMax: 0,
  reorder: false,
};

/** What becomes of one message; it may overtake others of its link. */
export interface Fate {
  readonly isLost: boolean;
  /** On top of what the link takes anyway. */
  readonly delayMs: number;
}

/** Undefined: whatever `faults` says. */
export type Conduct = (message: PeerMessage) => Fate | undefined;

const LATENCY_MS_MIN = 0.1;
const LATENCY_MS_MAX = 0.8;
/** How long a broken link stays unnoticed, when it is noticed at all. */
const NOTICE_MS_MEAN = 250;
const RECONNECT_MS = 30;
const CALL_AGAIN_MS_MIN = 20;
const CALL_AGAIN_MS_MAX = 100;

/** One node's side: opened by its process and gone with it. */
export interface Port {
  readonly id: number;
  readonly incarnation: number;
  readonly clock: SimulatedClock;
  readonly events: TransportEvents;
  readonly member: MembershipView;
  readonly receiveSnapshot: () => SnapshotSink;
  /** Every envelope as it leaves. */
  readonly onSend: (envelope: Envelope) => void;
  isOpen: boolean;
  /** Peers this node has a link to, as far as it knows. */
  readonly links: Set<number>;
  /** Whom it calls, as its replica has it. */
  members: ReadonlySet<number>;
  /** Who refused its call and will be called again. */
  readonly refusedBy: Set<number>;
}

export class SimulatedNetwork {
  faults: LinkFaults = { ...CALM };
  /** Sees every message, and may decide about it by what it says. */
  conduct: Conduct = () => undefined;
  readonly scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #tally: Tally;
  /** The production codec; without it messages travel as they are, which is faster. */
  readonly #wire: Wire | undefined;
  readonly #ports = new Map<number, Port>();
  /** By link: how many reasons there are for it to be cut. */
  readonly #cuts = new Map<number, number>();
  readonly #lastArrivalMs = new Map<number, number>();

  constructor(scheduler: Scheduler, random: SeededRandom, tally: Tally, wire: Wire | undefined) {
    this.scheduler = scheduler;
    this.#random = random;
    this.#tally = tally;
    this.#wire = wire;
  }

  /**
   * No link is spoiled any more, and nothing new waits for what is still on its way. Copies on
   * their way are lost: an old heartbeat that comes late keeps its hearer from helping a candidate.
   */
  calm(): void {
    this.faults = { ...CALM };
    this.#lastArrivalMs.clear();
  }

  /** Opens a node's side; it and the peers that are up learn of each other. */
  open(port: Port): void {
    this.#ports.set(port.id, port);
    for (const other of this.#ports.values()) {
      if (other === port || !other.isOpen) continue;
      this.#connect(other, port.id);
      this.#connect(port, other.id);
    }
  }

  /** The replica behind a port has other members to talk to, or to listen to, than before. */
  setMembers(port: Port, members: ReadonlySet<number>): void {
    const before = port.members;
    port.members = members;
    if (this.#ports.get(port.id) !== port) return;
    for (const id of before) if (!members.has(id)) this.#disconnect(port, id);
    for (const id of members) {
      if (id !== port.id && !before.has(id)) this.#connect(port, id);
    }
    for (const other of this.#ports.values()) {
      if (other.links.has(port.id) && !isHeard(other, port)) this.#disconnect(other, port.id);
    }
  }

  /** The process behind a port is gone: its peers see their links break. */
  closePort(port: Port): void {
    port.isOpen = false;
    for (const other of this.#ports.values()) {
      if (!other.isOpen) continue;
      this.scheduler.after(this.#latencyMs(), () => this.#disconnect(other, port.id));
    }
  }

  /** Cuts a link in one direction, on top of what cut it before. */
  cut(from: number, to: number): void {
    const link = linkOf(from, to);
    this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1);
    if (!chance(this.#random, 0.5)) return;
    this.scheduler.after(exponential(this.#random, NOTICE_MS_MEAN), () => {
      if (!this.isCut(from, to)) return;
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        const port = this.#ports.get(one);
        if (port !== undefined) this.#disconnect(port, other);
      }
    });
  }

  mend(from: number, to: number): void {
    const link = linkOf(from, to);
    const left = (this.#cuts.get(link) ?? 0) - 1;
    if (left > 0) this.#cuts.set(link, left);
    else this.#cuts.delete(link);
    if (left > 0) return;
    this.#reconnect(from, to);
    this.#reconnect(to, from);
  }

  isCut(from: number, to: number): boolean {
    return this.#cuts.has(linkOf(from, to));
  }

  post(from: Port, to: number, message: PeerMessage): boolean {
    if (!from.isOpen || !from.links.has(to)) return false;
    const fate = this.conduct(message);
    if (fate !== undefined) {
      this.#meet(fate, from.id, to, (port) => port.events.message(message));
      return true;
    }
    if (this.#wire === undefined) {
      this.carry(from, to, true, (port) => port.events.message(message));
      return true;
    }
    for (const copy of this.#wire.copy(message)) {
      this.carry(from, to, true, (port) => port.events.message(copy));
    }
    return true;
  }

  /** Sends something over a link that may lose, delay and (if allowed) copy it. */
  carry(from: Port, to: number, canCopy: boolean, arrive: (port: Port) => void): void {
    const { faults } = this;
    const { drop, duplicate, duplicateDelayMsMax } = faults;
    if (chance(this.#random, drop)) this.#tally.count("drop");
    else this.#arriveLater(from.id, to, 0, arrive);
    if (!canCopy || !chance(this.#random, duplicate)) return;
    this.#tally.count("duplicate");
    const lateMs = between(this.#random, 0, duplicateDelayMsMax);
    this.#arriveLater(from.id, to, lateMs, (port) => {
      if (this.faults === faults) arrive(port);
    });
  }

  port(id: number): Port | undefined {
    const port = this.#ports.get(id);
    return port?.isOpen === true ? port : undefined;
  }

  #meet(fate: Fate, from: number, to: number, arrive: (port: Port) => void): void {
    if (fate.isLost) this.#tally.count("drop");
    else this.#arriveAt(this.scheduler.nowMs + this.#latencyMs() + fate.delayMs, from, to, arrive);
  }

  #arriveLater(from: number, to: number, lateMs: number, arrive: (port: Port) => void): void {
    this.#arriveAt(this.#arrivalMs(from, to) + lateMs, from, to, arrive);
  }

  #arriveAt(atMs: number, from: number, to: number, arrive: (port: Port) => void): void {
    this.scheduler.at(atMs, () => {
      if (this.isCut(from, to)) {
        this.#tally.count("lost in a cut");
        return;
      }
      const port = this.port(to);
      port?.clock.deliver(() => arrive(port));
    });
  }

  /** Links keep their order, unless they may not. */
  #arrivalMs(from: number, to: number): number {
    const { delay, delayMsMax, reorder } = this.faults;
    let delayMs = this.#latencyMs();
    if (chance(this.#random, delay)) {
      this.#tally.count("delay");
      delayMs += between(this.#random, 0, delayMsMax);
    }
    const link = linkOf(from, to);
    const atMs = this.scheduler.nowMs + delayMs;
    const lastMs = this.#lastArrivalMs.get(link) ?? 0;
    if (atMs < lastMs && reorder) {
      this.#tally.count("reorder");
      return atMs;
    }
    const arrivalMs = Math.max(atMs, lastMs);
    this.#lastArrivalMs.set(link, arrivalMs);
    return arrivalMs;
  }

  #reconnect(from: number, to: number): void {
    this.scheduler.after(between(this.#random, 1, RECONNECT_MS), () => {
      const port = this.port(from);
      if (port !== undefined && !port.links.has(to)) this.#connect(port, to);
    });
  }

  /** A handshake: both ways must be open, and the other must know the caller. */
  #connect(port: Port, to: number): void {
    if (!port.members.has(to)) return;
    this.scheduler.after(this.#latencyMs(), () => {
      const peer = this.port(to);
      if (peer === undefined || !port.isOpen || port.links.has(to)) return;
      if (!port.members.has(to)) return;
      if (this.isCut(port.id, to) || this.isCut(to, port.id)) {
        this.#reconnect(port.id, to);
        return;
      }
      if (!isHeard(port, peer)) {
        this.#callAgain(port, to);
        return;
      }
      port.links.add(to);
      const info = { id: to, incarnation: peer.incarnation, fresh: peer.member.isFresh };
      port.clock.deliver(() => port.events.peerUp(info));
    });
  }

  /** It may be a member that the other has not heard of yet. */
  #callAgain(port: Port, to: number): void {
    this.#tally.count("call refused");
    if (port.refusedBy.has(to)) return;
    port.refusedBy.add(to);
    const delayMs = between(this.#random, CALL_AGAIN_MS_MIN, CALL_AGAIN_MS_MAX);
    this.scheduler.after(delayMs, () => {
      port.refusedBy.delete(to);
      if (port.isOpen) this.#connect(port, to);
    });
  }

  #disconnect(port: Port, to: number): void {
    if (!port.isOpen || !port.links.delete(to)) return;
    port.clock.deliver(() => {
      if (port.isOpen) port.events.peerDown(to);
    });
    this.#reconnect(port.id, to);
  }

  #latencyMs(): number {
    return between(this.#random, LATENCY_MS_MIN, LATENCY_MS_MAX);
  }
}

/** What the gate of a real transport asks (server/peer/handshake.ts). */
function isHeard(caller: Port, by: Port): boolean {
  const { id, incarnation, member } = caller;
  const { configurationIndex } = member;
  const peerAddress = `node${id}:1`;
  const call = { id, incarnation, peerAddress, configurationIndex };
  return by.member.checkMember(call) === "member";
}

function linkOf(from: number, to: number): number {
  return from * 1024 + to;
}
