/**
 * One upgraded connection, used in one direction: we dialled it, so we send on it. The other end
 * answers nothing but keep-alives.
 *
 * A peer that vanished without a reset (a cut cable, a stopped process) is found by keep-alives
 * that stay unanswered. They are counted, not timed: a stall of this process delivers one tick, and
 * so never condemns a healthy connection.
 */
import type { Socket } from "node:net";
import { ByteWriter } from "./byte-writer.ts";
import type { Carrier } from "./carrier.ts";
import { encodeKeepAlive } from "./peer-codec.ts";

const UNANSWERED_MAX = 4;

export interface StreamCarrierEvents {
  /** The first sign of life, and each one after it. */
  alive(): void;
  lost(reason: string): void;
}

export class StreamCarrier implements Carrier {
  readonly isReady = true;
  readonly #socket: Socket;
  readonly #events: StreamCarrierEvents;
  readonly #keepAlive = keepAliveFrame();
  #unanswered = 0;
  #isClosed = false;

  constructor(socket: Socket, events: StreamCarrierEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.setTimeout(0);
    socket.setNoDelay(true);
    socket.on("data", () => {
      this.#unanswered = 0;
      events.alive();
    });
    socket.on("error", (error) => this.#lose(error.message));
    socket.on("end", () => this.#lose("closed by the peer"));
    socket.on("close", () => this.#lose("closed"));
    socket.resume();
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  send(bytes: Buffer): boolean {
    this.#socket.write(bytes);
    // The kernel is tried first; what it took at once is no longer ours.
    return this.#socket.writableLength === 0;
  }

  tick(): void {
    if (this.#unanswered >= UNANSWERED_MAX) {
      this.#lose("keep-alives stay unanswered");
      return;
    }
    this.#unanswered += 1;
    this.#socket.write(this.#keepAlive);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #lose(reason: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#events.lost(reason);
  }
}

export function keepAliveFrame(): Buffer {
  const writer = new ByteWriter();
  encodeKeepAlive(writer);
  return Buffer.from(writer.take());
}
