/**
 * All there is towards one other member: a channel for what is small and urgent, a channel for
 * entries, and at most one snapshot. It knows which message goes where.
 */
import { type Envelope, type Member, type Message, unreachable } from "../../raft/index.ts";
import type { SnapshotSource } from "../../storage/index.ts";
import type { ChannelName } from "./handshake.ts";
import { type ChannelContext, PeerChannel } from "./peer-channel.ts";
import type { Forward, ForwardResults, ReplicaMessage } from "./peer-message.ts";
import { SnapshotSender } from "./snapshot-sender.ts";
import type { PeerInfo } from "./transport.ts";

export interface LinkEvents {
  filled(channel: PeerChannel): void;
  up(member: Member, info: PeerInfo): void;
  down(member: Member, reason: string): void;
  refused(member: Member, channel: ChannelName, reason: string): void;
  snapshotSent(member: Member, ok: boolean): void;
}

export class PeerLink {
  readonly #context: ChannelContext;
  readonly #events: LinkEvents;
  readonly #control: PeerChannel;
  readonly #entries: PeerChannel;
  #member: Member;
  #snapshot: SnapshotSender | undefined;

  constructor(context: ChannelContext, member: Member, events: LinkEvents) {
    this.#context = context;
    this.#events = events;
    this.#member = member;
    this.#control = this.#channel("control");
    this.#entries = this.#channel("entries");
  }

  get member(): Member {
    return this.#member;
  }

  setMember(member: Member): void {
    this.#member = member;
    this.#control.setMember(member);
    this.#entries.setMember(member);
  }

  /** False when the envelope was dropped. */
  send(envelope: Envelope): boolean {
    switch (channelOf(envelope.message)) {
      case "control":
        return this.#control.send(envelope);
      case "entries":
        return this.#entries.send(envelope);
      case "snapshot":
        return false;
    }
  }

  forward(message: Forward): boolean {
    return this.#entries.forward(message);
  }

  forwardResults(message: ForwardResults): boolean {
    return this.#entries.forwardResults(message);
  }

  /** They carry entries, so they must not stand in front of a heartbeat. */
  tell(message: ReplicaMessage): boolean {
    return this.#entries.tell(message);
  }

  /** False when one is on its way already. */
  sendSnapshot(envelope: Envelope, source: SnapshotSource): boolean {
    if (this.#snapshot !== undefined) return false;
    this.#snapshot = new SnapshotSender(this.#context, this.#member, envelope, source, (ok) => {
      this.#snapshot = undefined;
      this.#events.snapshotSent(this.#member, ok);
    });
    return true;
  }

  tick(): void {
    this.#control.tick();
    this.#entries.tick();
  }

  wake(): void {
    this.#control.wake();
    this.#entries.wake();
  }

  /** Returns whether the link was up. */
  close(): boolean {
    const wasUp = this.#entries.isUp;
    this.#control.close();
    this.#entries.close();
    this.#snapshot?.abort();
    this.#snapshot = undefined;
    return wasUp;
  }

  /** The link counts as up while entries can be sent: forwarded writes travel with them. */
  #channel(name: ChannelName): PeerChannel {
    let lastRefusal = "";
    return new PeerChannel(this.#context, name, this.#member, {
      filled: (channel) => this.#events.filled(channel),
      up: (info) => {
        lastRefusal = "";
        if (name === "entries") this.#events.up(this.#member, info);
      },
      down: (reason) => {
        if (name === "entries") this.#events.down(this.#member, reason);
      },
      refused: (reason) => {
        if (reason === lastRefusal) return;
        lastRefusal = reason;
        this.#events.refused(this.#member, name, reason);
      },
    });
  }
}

/** A big append must not stand in front of a heartbeat: an election would follow. */
function channelOf(message: Message): ChannelName | "snapshot" {
  switch (message.kind) {
    case "heartbeat":
    case "heartbeat-response":
    case "request-vote":
    case "request-vote-response":
    case "timeout-now":
    case "read-index":
    case "read-index-response":
      return "control";
    case "append-entries":
    case "append-entries-response":
    case "install-snapshot-response":
      return "entries";
    case "install-snapshot":
      return "snapshot";
    default:
      return unreachable(message);
  }
}
