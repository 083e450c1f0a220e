/** A node's transport over the simulated network, snapshots included. */
import type { Envelope, Member } from "../../raft/index.ts";
import type {
  Forward,
  ForwardResults,
  ReplicaMessage,
  Transport,
} from "../../server/peer/index.ts";
import type { SnapshotSink, SnapshotSource } from "../../storage/index.ts";
import type { Port, SimulatedNetwork } from "./simulated-network.ts";

export class SimulatedTransport implements Transport {
  readonly #network: SimulatedNetwork;
  readonly #port: Port;

  constructor(network: SimulatedNetwork, port: Port) {
    this.#network = network;
    this.#port = port;
  }

  setMembers(members: readonly Member[]): void {
    this.#network.setMembers(this.#port, new Set(members.map(({ id }) => id)));
  }

  send(envelopes: readonly Envelope[]): void {
    for (const envelope of envelopes) {
      this.#port.onSend(envelope);
      this.#network.post(this.#port, envelope.to, { kind: "raft", envelope });
    }
  }

  forward(message: Forward): boolean {
    return this.#network.post(this.#port, message.to, message);
  }

  forwardResults(message: ForwardResults): void {
    this.#network.post(this.#port, message.to, message);
  }

  tell(message: ReplicaMessage): void {
    this.#network.post(this.#port, message.to, message);
  }

  sendSnapshot(envelope: Envelope, source: SnapshotSource): void {
    this.#port.onSend(envelope);
    const report = (isReceived: boolean): void => {
      this.#port.clock.deliver(() => {
        source.close();
        if (this.#port.isOpen) this.#port.events.snapshotSent(envelope.to, isReceived);
      });
    };
    const target = this.#network.port(envelope.to);
    if (target === undefined || !this.#port.links.has(envelope.to)) {
      this.#network.scheduler.after(0, () => report(false));
      return;
    }
    new SnapshotTransfer(this.#network, this.#port, target, { envelope, source, report }).start();
  }

  close(done: () => void): void {
    this.#network.closePort(this.#port);
    done();
  }
}

interface Shipment {
  readonly envelope: Envelope;
  readonly source: SnapshotSource;
  readonly report: (isReceived: boolean) => void;
}

/** The sender gives up a piece that is not acknowledged by then. */
const PIECE_TIMEOUT_MS = 1_000;

/**
 * Piece by piece: read at the sender, carried over the link, written at the receiver, acknowledged.
 * A lost piece, and the end of either process, ends the transfer for the side that is left.
 */
class SnapshotTransfer {
  readonly #network: SimulatedNetwork;
  readonly #from: Port;
  readonly #to: Port;
  readonly #shipment: Shipment;
  #sink: SnapshotSink | undefined;
  #isOver = false;
  #piece = 0;

  constructor(network: SimulatedNetwork, from: Port, to: Port, shipment: Shipment) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
    this.#shipment = shipment;
  }

  start(): void {
    this.#next();
  }

  #next(): void {
    if (this.#isOver) return;
    this.#piece += 1;
    const piece = this.#piece;
    this.#network.scheduler.after(PIECE_TIMEOUT_MS, () => {
      if (piece === this.#piece) this.#fail();
    });
    this.#from.clock.deliver(() => {
      this.#shipment.source.read((error, bytes) => {
        if (error !== undefined) this.#fail();
        else this.#network.carry(this.#from, this.#to.id, false, (port) => this.#take(port, bytes));
      });
    });
  }

  #take(port: Port, bytes: Uint8Array | undefined): void {
    if (this.#isOver) return;
    if (port !== this.#to) {
      this.#fail();
      return;
    }
    this.#sink ??= port.receiveSnapshot();
    const sink = this.#sink;
    if (bytes !== undefined) {
      sink.write(bytes, (error) => this.#acknowledge(error === undefined));
      return;
    }
    this.#sink = undefined;
    sink.finish((error, received) => {
      const isReceived = error === undefined && received !== undefined;
      if (isReceived && port.isOpen) {
        port.events.snapshotReceived(this.#shipment.envelope, received);
      }
      this.#end(isReceived);
    });
  }

  /** The answer to a piece may get lost as well; then the sender's patience runs out. */
  #acknowledge(isWritten: boolean): void {
    if (!isWritten) this.#fail();
    else this.#network.carry(this.#to, this.#from.id, false, () => this.#next());
  }

  #fail(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    if (sink !== undefined) this.#to.clock.deliver(() => sink.abort());
    this.#end(false);
  }

  #end(isReceived: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#piece += 1;
    this.#shipment.report(isReceived);
  }
}
