/**
 * How this process calls another member over HTTP: the handshake headers and where to connect. It
 * knows nothing of what is sent.
 */
import { randomUUID } from "node:crypto";
import { type Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import type { LookupFunction } from "node:net";
import type { Member } from "../../raft/index.ts";
import { parseAddress } from "./address.ts";
import { handshakeHeaders, type LocalPeer } from "./handshake.ts";

/** Names the reason of a refusal beside the status, readable without the body. */
export const REFUSAL_HEADER = "x-raft-refusal";

export interface PeerCall {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string | number>>;
  /** False: a connection for this call alone. */
  readonly agent: Agent | false;
}

/** What changes about a caller, asked for each call. */
export interface CallerState {
  isFresh(): boolean;
  configurationIndex(): number;
}

export class PeerCaller {
  readonly #self: LocalPeer;
  readonly #state: CallerState;
  readonly #lookup: LookupFunction;

  constructor(self: LocalPeer, state: CallerState, lookup: LookupFunction) {
    this.#self = self;
    this.#state = state;
    this.#lookup = lookup;
  }

  /** Undefined when the member's address can not be one. */
  call(member: Member, { method, path, headers, agent }: PeerCall): ClientRequest | undefined {
    const address = parseAddress(member.peerAddress);
    if (address === undefined) return undefined;
    const handshake = handshakeHeaders({
      clusterId: this.#self.clusterId,
      from: this.#self.id,
      fromIncarnation: this.#self.incarnation,
      fromAddress: this.#self.peerAddress,
      configurationIndex: this.#state.configurationIndex(),
      fresh: this.#state.isFresh(),
      to: member.id,
      toIncarnation: member.incarnation,
      nonce: randomUUID(),
    });
    return request({
      host: address.host,
      port: address.port,
      method,
      path,
      agent,
      lookup: this.#lookup,
      headers: { ...headers, ...handshake },
    });
  }
}

/** `403 WRONG_CLUSTER`, for a notice to the operator. */
export function refusalText(response: IncomingMessage): string {
  const code = response.headers[REFUSAL_HEADER];
  return typeof code === "string" ? `${response.statusCode} ${code}` : `${response.statusCode}`;
}
