/**
 * A connection another member dialled: it sends, we listen, and answer keep-alives only. Frames are
 * decoded here; the first one that is not of the protocol, or speaks for somebody else than the
 * handshake did, ends the connection before it has any effect.
 */
import type { Socket } from "node:net";
import { PeerProtocolError } from "./errors.ts";
import { FrameReader } from "./frame-reader.ts";
import type { ChannelName, Handshake } from "./handshake.ts";
import { decodeFrame } from "./peer-codec.ts";
import type { PeerMessage } from "./peer-message.ts";
import { keepAliveFrame } from "./stream-carrier.ts";

/** The dialling side sends a keep-alive every second. */
const SILENT_TICKS_MAX = 10;

export interface InboundStreamEvents {
  message(message: PeerMessage): void;
  protocolError(stream: InboundStream, error: PeerProtocolError): void;
  closed(stream: InboundStream): void;
}

export class InboundStream {
  readonly handshake: Handshake;
  readonly channel: ChannelName;
  readonly #socket: Socket;
  readonly #events: InboundStreamEvents;
  readonly #reader = new FrameReader();
  readonly #keepAlive = keepAliveFrame();
  #silentTicks = 0;

  constructor(
    socket: Socket,
    handshake: Handshake,
    channel: ChannelName,
    events: InboundStreamEvents,
  ) {
    this.handshake = handshake;
    this.channel = channel;
    this.#socket = socket;
    this.#events = events;
    socket.setTimeout(0);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("end", () => socket.destroy());
    socket.on("close", () => events.closed(this));
  }

  /** `head` is what arrived together with the request. */
  start(head: Buffer): void {
    if (head.length > 0) this.#receive(head);
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  /** Called once a second. Counted, not timed: a stall of this process is one tick. */
  tick(): void {
    this.#silentTicks += 1;
    if (this.#silentTicks > SILENT_TICKS_MAX) this.#socket.destroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#socket.destroyed) return;
    this.#silentTicks = 0;
    this.#reader.push(chunk);
    // Whatever a message sets off happens outside the `try`: a broken invariant is not caught.
    for (;;) {
      const message = this.#next();
      if (message === undefined) return;
      this.#events.message(message);
      if (this.#socket.destroyed) return;
    }
  }

  #next(): PeerMessage | undefined {
    try {
      for (;;) {
        const frame = this.#reader.next();
        if (frame === undefined) return undefined;
        const message = decodeFrame(frame);
        if (message === undefined) {
          this.#socket.write(this.#keepAlive);
          continue;
        }
        checkSender(message, this.handshake);
        return message;
      }
    } catch (error) {
      if (!(error instanceof PeerProtocolError)) throw error;
      this.#socket.destroy();
      this.#events.protocolError(this, error);
      return undefined;
    }
  }
}

/** Throws unless the message is from whom the handshake named, to this node. */
export function checkSender(message: PeerMessage, handshake: Handshake): void {
  const { from, to } = message.kind === "raft" ? message.envelope : message;
  if (from !== handshake.from || to !== handshake.to) {
    throw new PeerProtocolError("a message speaks for somebody else");
  }
  if (message.kind === "raft" && message.envelope.message.kind === "install-snapshot") {
    throw new PeerProtocolError("a snapshot is announced without its bytes");
  }
}
