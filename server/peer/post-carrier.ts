/**
 * The fallback: the same frames in the bodies of POSTs, one in flight, so that order holds. A POST
 * that failed is never sent again: what it carried may have arrived.
 */
import { Agent, type ClientRequest, type IncomingMessage } from "node:http";
import type { Member } from "../../raft/index.ts";
import type { Carrier } from "./carrier.ts";
import { readAnswer } from "./handshake.ts";
import { type PeerCaller, refusalText } from "./peer-request.ts";
import type { PeerInfo } from "./transport.ts";

export const MESSAGES_PATH = "/raft/messages";
/** Seconds one POST may take. */
const TICKS_MAX = 4;

export interface PostCarrierEvents {
  /** The POST before arrived; the next may go. */
  ready(info: PeerInfo): void;
  lost(reason: string): void;
}

export class PostCarrier implements Carrier {
  readonly #caller: PeerCaller;
  readonly #member: Member;
  readonly #events: PostCarrierEvents;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1, noDelay: true });
  #inFlight: ClientRequest | undefined;
  #inFlightBytes = 0;
  #inFlightTicks = 0;
  #isClosed = false;

  constructor(caller: PeerCaller, member: Member, events: PostCarrierEvents) {
    this.#caller = caller;
    this.#member = member;
    this.#events = events;
  }

  get isReady(): boolean {
    return this.#inFlight === undefined;
  }

  get queuedBytes(): number {
    return this.#inFlightBytes;
  }

  send(bytes: Buffer): boolean {
    const headers = { "content-length": bytes.length, "content-type": "application/octet-stream" };
    const call = { method: "POST", path: MESSAGES_PATH, headers, agent: this.#agent } as const;
    const request = this.#caller.call(this.#member, call);
    if (request === undefined) return false;
    this.#inFlight = request;
    this.#inFlightBytes = bytes.length;
    this.#inFlightTicks = 0;
    request.on("error", (error) => this.#lose(error.message));
    request.on("response", (response) => this.#onResponse(response));
    request.end(bytes);
    return false;
  }

  tick(): void {
    if (this.#inFlight === undefined) return;
    this.#inFlightTicks += 1;
    if (this.#inFlightTicks > TICKS_MAX) this.#lose("a POST stays unanswered");
  }

  close(): void {
    this.#isClosed = true;
    this.#inFlight?.destroy();
    this.#agent.destroy();
  }

  #onResponse(response: IncomingMessage): void {
    response.on("error", (error) => this.#lose(error.message));
    response.resume();
    const info = readAnswer(response.headers);
    if (response.statusCode !== 204 || info === undefined) {
      this.#lose(`refused with ${refusalText(response)}`);
      return;
    }
    response.on("end", () => {
      if (this.#isClosed) return;
      this.#inFlight = undefined;
      this.#inFlightBytes = 0;
      this.#events.ready(info);
    });
  }

  #lose(reason: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#events.lost(reason);
  }
}
