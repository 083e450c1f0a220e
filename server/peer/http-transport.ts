/**
 * The network between members over HTTP, for real: `Transport` on sockets.
 *
 * - Each node dials every other and sends only on what it dialled; what it receives came in on
 *   what others dialled.
 * - Everything queued while one callback of the event loop runs leaves in one write per channel, as
 *   soon as that callback has returned. Waiting for the end of the loop's turn would make every
 *   append wait for whatever client input is parsed in between, and would merge no more writes: the
 *   replica loop queues a whole round in one callback.
 * - No envelope is kept for a peer that is not connected: Raft repeats what matters.
 */
import type { Socket } from "node:net";
import type { Clock, Envelope, Member, Random, Timer } from "../../raft/index.ts";
import type { SnapshotSource } from "../../storage/index.ts";
import type { HostPort } from "./address.ts";
import {
  type ChannelName,
  callerOf,
  HandshakeGate,
  type LocalPeer,
  type Membership,
} from "./handshake.ts";
import { InboundStream } from "./inbound-stream.ts";
import { OUTBOX_BYTES_MAX } from "./messages-body.ts";
import { createPeerApp, type UpgradeSlot } from "./peer-app.ts";
import type { ChannelContext, PeerChannel } from "./peer-channel.ts";
import { type LinkEvents, PeerLink } from "./peer-link.ts";
import type { Forward, ForwardResults, ReplicaMessage } from "./peer-message.ts";
import { PeerCaller } from "./peer-request.ts";
import { PeerServer } from "./peer-server.ts";
import { HostResolver } from "./resolve-host.ts";
import { SnapshotReceiver, type SnapshotStore } from "./snapshot-receiver.ts";
import type { Caller, Transport, TransportEvents } from "./transport.ts";

const TICK_MS = 1_000;

/** For the log; nothing depends on it. */
export type TransportNotice =
  /** A member does not take our calls; told once per reason. */
  | {
      readonly kind: "refused";
      readonly id: number;
      readonly channel: ChannelName;
      readonly reason: string;
    }
  | { readonly kind: "link-lost"; readonly id: number; readonly reason: string }
  /** A connection ended because of what came in on it. */
  | { readonly kind: "protocol-error"; readonly id: number; readonly reason: string };

export interface HttpTransportOptions {
  readonly self: LocalPeer;
  /** Where to listen, when it is not `self.peerAddress`. */
  readonly listenAddress?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: TransportEvents;
  readonly snapshots: SnapshotStore;
  /** What the newest configuration says about a caller. */
  membership(caller: Caller): Membership;
  /** This node's log is empty. */
  isFresh(): boolean;
  /** Where the newest configuration this node knows stands in the log. */
  configurationIndex(): number;
  notice(notice: TransportNotice): void;
  /** Bytes that may wait per channel; for small machines and tests. */
  readonly outboxBytesMax?: number | undefined;
}

export interface TransportStatistics {
  readonly droppedMessages: number;
  readonly receivedMessages: number;
  /** Writes to a socket: how well messages gather. */
  readonly flushes: number;
}

export class HttpTransport implements Transport {
  readonly #options: HttpTransportOptions;
  readonly #resolver: HostResolver;
  readonly #context: ChannelContext;
  readonly #server: PeerServer;
  readonly #links = new Map<number, PeerLink>();
  readonly #inbound = new Set<InboundStream>();
  readonly #filled: PeerChannel[] = [];
  readonly #ticker: Timer;
  #droppedMessages = 0;
  #receivedMessages = 0;
  #flushes = 0;
  #isClosed = false;

  constructor(options: HttpTransportOptions) {
    const { self, clock, random, events } = options;
    this.#options = options;
    this.#resolver = new HostResolver(clock);
    this.#context = {
      caller: new PeerCaller(self, options, this.#resolver.lookup),
      clock,
      random,
      outboxBytesMax: options.outboxBytesMax ?? OUTBOX_BYTES_MAX,
    };
    const receiver = new SnapshotReceiver(options.snapshots, (envelope, received) => {
      if (this.#isClosed) options.snapshots.discardSnapshot(received);
      else events.snapshotReceived(envelope, received);
    });
    const app = createPeerApp({
      self,
      gate: new HandshakeGate(self, options.membership),
      isFresh: options.isFresh,
      message: (message) => {
        if (this.#isClosed) return;
        this.#receivedMessages += 1;
        events.message(message);
      },
      snapshot: (incoming, handshake) => receiver.receive(incoming, handshake),
    });
    this.#server = new PeerServer({
      self,
      app,
      isFresh: options.isFresh,
      stream: (accepted, socket, head) => this.#acceptStream(accepted, socket, head),
    });
    this.#ticker = clock.every(TICK_MS, () => this.#tick());
  }

  get statistics(): TransportStatistics {
    return {
      droppedMessages: this.#droppedMessages,
      receivedMessages: this.#receivedMessages,
      flushes: this.#flushes,
    };
  }

  /** Where the peer port is bound; undefined before `listen` is done. */
  get address(): HostPort | undefined {
    return this.#server.address;
  }

  listen(done: (error: Error | undefined) => void): void {
    this.#server.listen(this.#options.listenAddress ?? this.#options.self.peerAddress, done);
  }

  setMembers(members: readonly Member[]): void {
    if (this.#isClosed) return;
    const wanted = new Map<number, Member>();
    for (const member of members) {
      if (member.id !== this.#options.self.id) wanted.set(member.id, member);
    }
    for (const [id, link] of this.#links) {
      if (wanted.get(id)?.peerAddress !== link.member.peerAddress) this.#removeLink(id, link);
    }
    for (const [id, member] of wanted) {
      const link = this.#links.get(id);
      if (link === undefined) this.#links.set(id, this.#newLink(member));
      else link.setMember(member);
    }
    for (const stream of this.#inbound) {
      if (this.#options.membership(callerOf(stream.handshake)) !== "member") stream.close();
    }
  }

  send(envelopes: readonly Envelope[]): void {
    for (const envelope of envelopes) {
      const link = this.#links.get(envelope.to);
      if (link?.send(envelope) !== true) this.#droppedMessages += 1;
    }
  }

  forward(message: Forward): boolean {
    return this.#links.get(message.to)?.forward(message) ?? false;
  }

  forwardResults(message: ForwardResults): void {
    const link = this.#links.get(message.to);
    if (link?.forwardResults(message) !== true) this.#droppedMessages += 1;
  }

  tell(message: ReplicaMessage): void {
    if (this.#links.get(message.to)?.tell(message) !== true) this.#droppedMessages += 1;
  }

  sendSnapshot(envelope: Envelope, source: SnapshotSource): void {
    if (this.#links.get(envelope.to)?.sendSnapshot(envelope, source) === true) return;
    source.close();
    this.#options.clock.soon(() => {
      if (!this.#isClosed) this.#options.events.snapshotSent(envelope.to, false);
    });
  }

  close(done: () => void): void {
    this.#isClosed = true;
    this.#ticker.cancel();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    for (const stream of this.#inbound) stream.close();
    this.#resolver.close();
    this.#server.close(done);
  }

  #newLink(member: Member): PeerLink {
    return new PeerLink(this.#context, member, this.#linkEvents);
  }

  #removeLink(id: number, link: PeerLink): void {
    this.#links.delete(id);
    if (link.close()) this.#options.events.peerDown(id);
  }

  readonly #linkEvents: LinkEvents = {
    filled: (channel) => {
      this.#filled.push(channel);
      if (this.#filled.length === 1) process.nextTick(this.#flush);
    },
    up: (_member, info) => this.#options.events.peerUp(info),
    down: (member, reason) => {
      this.#options.notice({ kind: "link-lost", id: member.id, reason });
      this.#options.events.peerDown(member.id);
    },
    refused: (member, channel, reason) => {
      this.#options.notice({ kind: "refused", id: member.id, channel, reason });
    },
    snapshotSent: (member, ok) => this.#options.events.snapshotSent(member.id, ok),
  };

  readonly #flush = (): void => {
    this.#flushes += this.#filled.length;
    for (const channel of this.#filled) channel.flush();
    this.#filled.length = 0;
  };

  #tick(): void {
    for (const link of this.#links.values()) link.tick();
    for (const stream of this.#inbound) stream.tick();
  }

  #acceptStream(
    accepted: NonNullable<UpgradeSlot["accepted"]>,
    socket: Socket,
    head: Buffer,
  ): void {
    const { handshake, channel } = accepted;
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    // A member has one connection per channel: with a new one it has given up the one before.
    for (const stream of this.#inbound) {
      if (stream.handshake.from === handshake.from && stream.channel === channel) stream.close();
    }
    const stream = new InboundStream(socket, handshake, channel, {
      message: (message) => {
        this.#receivedMessages += 1;
        this.#options.events.message(message);
      },
      protocolError: (_stream, error) => {
        const reason = error.message;
        this.#options.notice({ kind: "protocol-error", id: handshake.from, reason });
      },
      closed: (ended) => this.#inbound.delete(ended),
    });
    this.#inbound.add(stream);
    this.#links.get(handshake.from)?.wake();
    stream.start(head);
  }
}
