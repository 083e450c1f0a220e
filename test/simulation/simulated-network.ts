/**
 * The network of a simulation: one-way links with delay, loss, copies and cuts, all drawn from one
 * seeded generator. Raft envelopes may be lost, copied and overtaken; a forwarded write is never
 * copied by the transport itself, as the port demands.
 */
import type { Envelope, Member, Random } from "../../raft/index.ts";
import type {
  Forward,
  ForwardResults,
  Transport,
  TransportEvents,
} from "../../server/peer/index.ts";
import type { SnapshotSink, SnapshotSource } from "../../storage/index.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedClock } from "./simulated-clock.ts";

export interface LinkFaults {
  /** Chances from 0 to 1. */
  drop: number;
  duplicate: number;
  delayMsMin: number;
  delayMsMax: number;
}

interface Port {
  readonly id: number;
  readonly incarnation: number;
  readonly isFresh: () => boolean;
  readonly clock: SimulatedClock;
  readonly events: TransportEvents;
  readonly receiveSnapshot: () => SnapshotSink;
  isOpen: boolean;
}

export class SimulatedNetwork {
  readonly faults: LinkFaults = { drop: 0, duplicate: 0, delayMsMin: 0.2, delayMsMax: 1 };
  /** How often each fault really happened. */
  readonly fired = { dropped: 0, duplicated: 0, cut: 0, delivered: 0, snapshots: 0 };
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #ports = new Map<number, Port>();
  readonly #cuts = new Set<string>();

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** Opens a node's side; the peers that are up learn of each other. */
  open(port: Omit<Port, "isOpen">): Transport {
    const opened: Port = { ...port, isOpen: true };
    this.#ports.set(port.id, opened);
    for (const other of this.#ports.values()) {
      if (other.id === port.id || !other.isOpen) continue;
      this.#introduce(other, opened);
      this.#introduce(opened, other);
    }
    return new SimulatedTransport(this, opened);
  }

  /** The process behind a port is gone: its peers see their links break. */
  closePort(id: number): void {
    const port = this.#ports.get(id);
    if (port === undefined) return;
    port.isOpen = false;
    for (const other of this.#ports.values()) {
      if (other.isOpen) this.#deliver(other, () => other.events.peerDown(id));
    }
  }

  /** Cuts the link in one direction. */
  cut(from: number, to: number): void {
    this.#cuts.add(`${from}>${to}`);
  }

  /** Cuts a node off from all others, both ways. */
  isolate(id: number): void {
    for (const other of this.#ports.keys()) {
      this.cut(id, other);
      this.cut(other, id);
    }
  }

  heal(): void {
    this.#cuts.clear();
  }

  isCut(from: number, to: number): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** Sends something over a link that may lose, delay and (if allowed) copy it. */
  carry(from: Port, to: number, canCopy: boolean, arrive: (port: Port) => void): boolean {
    const target = this.#ports.get(to);
    if (!from.isOpen || target === undefined || !target.isOpen) return false;
    const copies = canCopy && this.#chance(this.faults.duplicate) ? 2 : 1;
    if (copies === 2) this.fired.duplicated++;
    for (let i = 0; i < copies; i++) {
      if (this.#chance(this.faults.drop)) {
        this.fired.dropped++;
        continue;
      }
      this.#scheduler.after(this.#delayMs(), () => {
        if (this.isCut(from.id, to)) {
          this.fired.cut++;
          return;
        }
        const current = this.#ports.get(to);
        if (current === undefined || !current.isOpen) return;
        this.fired.delivered++;
        current.clock.deliver(() => {
          if (current.isOpen) arrive(current);
        });
      });
    }
    return true;
  }

  #introduce(listener: Port, peer: Port): void {
    const info = { id: peer.id, incarnation: peer.incarnation, fresh: peer.isFresh() };
    this.#deliver(listener, () => listener.events.peerUp(info));
  }

  #deliver(port: Port, run: () => void): void {
    this.#scheduler.after(this.#delayMs(), () => port.clock.deliver(() => port.isOpen && run()));
  }

  #delayMs(): number {
    const { delayMsMin, delayMsMax } = this.faults;
    return delayMsMin + (this.#random.below(1_000_000) / 1_000_000) * (delayMsMax - delayMsMin);
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random.below(1_000_000) < probability * 1_000_000;
  }
}

class SimulatedTransport implements Transport {
  readonly #network: SimulatedNetwork;
  readonly #port: Port;

  constructor(network: SimulatedNetwork, port: Port) {
    this.#network = network;
    this.#port = port;
  }

  setMembers(_members: readonly Member[]): void {}

  send(envelopes: readonly Envelope[]): void {
    for (const envelope of envelopes) {
      this.#network.carry(this.#port, envelope.to, true, ({ events }) =>
        events.message({ kind: "raft", envelope }),
      );
    }
  }

  forward(message: Forward): boolean {
    return this.#network.carry(this.#port, message.to, false, ({ events }) =>
      events.message(message),
    );
  }

  forwardResults(message: ForwardResults): void {
    this.#network.carry(this.#port, message.to, false, ({ events }) => events.message(message));
  }

  sendSnapshot(envelope: Envelope, source: SnapshotSource): void {
    this.#network.fired.snapshots++;
    const report = (ok: boolean) => {
      source.close();
      if (this.#port.isOpen) this.#port.events.snapshotSent(envelope.to, ok);
    };
    const sent = this.#network.carry(this.#port, envelope.to, false, (target) => {
      pump(source, target.receiveSnapshot(), (received) => {
        if (received !== undefined) target.events.snapshotReceived(envelope, received);
        report(received !== undefined);
      });
    });
    if (!sent) report(false);
  }

  close(done: () => void): void {
    this.#network.closePort(this.#port.id);
    done();
  }
}

type Finished = Parameters<Parameters<SnapshotSink["finish"]>[0]>[1];

function pump(
  source: SnapshotSource,
  sink: SnapshotSink,
  done: (received: Finished) => void,
): void {
  source.read((readError, bytes) => {
    if (readError !== undefined) {
      sink.abort();
      done(undefined);
    } else if (bytes === undefined) {
      sink.finish((error, received) => done(error === undefined ? received : undefined));
    } else {
      sink.write(bytes, (error) => {
        if (error === undefined) {
          pump(source, sink, done);
        } else {
          sink.abort();
          done(undefined);
        }
      });
    }
  });
}
