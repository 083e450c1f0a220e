/**
 * Who is calling whom: the headers of every request between members, and the checks that stand
 * before anything else happens. A refused call has no effect; in particular no term is adopted
 * from it.
 *
 * - The cluster id keeps two clusters apart that were given each other's addresses by mistake.
 * - The caller names its incarnation, so that a wiped disk does not speak for the member it was,
 *   and the target (with the incarnation it knows), so that a re-used address is noticed.
 * - The caller says how new a configuration it knows, and where it can be reached: a member that
 *   was away does not know all who may lead by now (thesis 4.1).
 * - Each request carries a nonce that is taken once: a captured request can not be played again.
 */
import type { IncomingHttpHeaders } from "node:http";
import * as z from "zod";
import { FRAME_FORMAT_VERSION } from "./frame.ts";
import type { Caller, PeerInfo } from "./transport.ts";

/** What a connection is for, so that large appends never block a heartbeat. */
export type ChannelName = "control" | "entries";

export const UPGRADE_PROTOCOL = "raft-kv";

export interface Handshake {
  readonly clusterId: string;
  readonly from: number;
  readonly fromIncarnation: number;
  readonly fromAddress: string;
  /** Where the newest configuration the caller knows stands in the log. */
  readonly configurationIndex: number;
  /** The caller's log is empty and its term 0. */
  readonly fresh: boolean;
  readonly to: number;
  /** 0: the caller has not learned it yet. */
  readonly toIncarnation: number;
  readonly nonce: string;
}

/** This process, as handshakes need it. */
export interface LocalPeer {
  readonly id: number;
  readonly incarnation: number;
  readonly clusterId: string;
  /** Where other members reach it. */
  readonly peerAddress: string;
}

/** What the replica's configuration says about a caller. */
export type Membership = "member" | "unknown" | "wrong-incarnation";

export type HandshakeRefusal =
  | "BAD_HANDSHAKE"
  | "WRONG_CLUSTER"
  | "WRONG_TARGET"
  | "UNKNOWN_MEMBER"
  | "WRONG_INCARNATION"
  | "REPLAYED";

export type HandshakeCheck =
  | { readonly kind: "accepted"; readonly handshake: Handshake }
  | { readonly kind: "refused"; readonly status: 400 | 403; readonly code: HandshakeRefusal };

const HEADER = {
  version: "x-raft-version",
  cluster: "x-raft-cluster",
  from: "x-raft-from",
  fromIncarnation: "x-raft-from-incarnation",
  fromAddress: "x-raft-from-address",
  configuration: "x-raft-configuration",
  fresh: "x-raft-fresh",
  to: "x-raft-to",
  toIncarnation: "x-raft-to-incarnation",
  nonce: "x-raft-nonce",
} as const;

const unsigned = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,15})$/)
  .transform(Number)
  .refine(Number.isSafeInteger);
const flag = z.enum(["true", "false"]).transform((text) => text === "true");
const version = z.literal(String(FRAME_FORMAT_VERSION));

/** The longest host name, and a port. */
const ADDRESS_CHARACTERS_MAX = 260;

const requestSchema = z.object({
  [HEADER.version]: version,
  [HEADER.cluster]: z.string().min(1).max(1024),
  [HEADER.from]: unsigned,
  [HEADER.fromIncarnation]: unsigned,
  [HEADER.fromAddress]: z.string().min(1).max(ADDRESS_CHARACTERS_MAX),
  [HEADER.configuration]: unsigned,
  [HEADER.fresh]: flag,
  [HEADER.to]: unsigned,
  [HEADER.toIncarnation]: unsigned,
  [HEADER.nonce]: z.string().regex(/^[0-9a-zA-Z-]{8,64}$/),
});

const answerSchema = z.object({
  [HEADER.version]: version,
  [HEADER.from]: unsigned,
  [HEADER.fromIncarnation]: unsigned,
  [HEADER.fresh]: flag,
});

export function handshakeHeaders(handshake: Handshake): Record<string, string> {
  return {
    [HEADER.version]: String(FRAME_FORMAT_VERSION),
    [HEADER.cluster]: encodeURIComponent(handshake.clusterId),
    [HEADER.from]: String(handshake.from),
    [HEADER.fromIncarnation]: String(handshake.fromIncarnation),
    [HEADER.fromAddress]: handshake.fromAddress,
    [HEADER.configuration]: String(handshake.configurationIndex),
    [HEADER.fresh]: String(handshake.fresh),
    [HEADER.to]: String(handshake.to),
    [HEADER.toIncarnation]: String(handshake.toIncarnation),
    [HEADER.nonce]: handshake.nonce,
  };
}

/** What the called member says about itself; also on refusals, so that a caller can say why. */
export function answerHeaders(self: LocalPeer, fresh: boolean): Record<string, string> {
  return {
    [HEADER.version]: String(FRAME_FORMAT_VERSION),
    [HEADER.from]: String(self.id),
    [HEADER.fromIncarnation]: String(self.incarnation),
    [HEADER.fresh]: String(fresh),
  };
}

export function readAnswer(headers: IncomingHttpHeaders): PeerInfo | undefined {
  const parsed = answerSchema.safeParse(headers);
  if (!parsed.success) return undefined;
  return {
    id: parsed.data[HEADER.from],
    incarnation: parsed.data[HEADER.fromIncarnation],
    fresh: parsed.data[HEADER.fresh],
  };
}

export function readHandshake(headers: IncomingHttpHeaders): Handshake | undefined {
  const parsed = requestSchema.safeParse(headers);
  if (!parsed.success) return undefined;
  const clusterId = decodedOrUndefined(parsed.data[HEADER.cluster]);
  if (clusterId === undefined) return undefined;
  return {
    clusterId,
    from: parsed.data[HEADER.from],
    fromIncarnation: parsed.data[HEADER.fromIncarnation],
    fromAddress: parsed.data[HEADER.fromAddress],
    configurationIndex: parsed.data[HEADER.configuration],
    fresh: parsed.data[HEADER.fresh],
    to: parsed.data[HEADER.to],
    toIncarnation: parsed.data[HEADER.toIncarnation],
    nonce: parsed.data[HEADER.nonce],
  };
}

export function callerOf(handshake: Handshake): Caller {
  const { from: id, fromIncarnation: incarnation, configurationIndex } = handshake;
  return { id, incarnation, peerAddress: handshake.fromAddress, configurationIndex };
}

/** The gate of one process. It remembers which nonces were used. */
export class HandshakeGate {
  readonly #self: LocalPeer;
  readonly #membership: (caller: Caller) => Membership;
  readonly #nonces = new Map<number, NonceWindow>();

  constructor(self: LocalPeer, membership: (caller: Caller) => Membership) {
    this.#self = self;
    this.#membership = membership;
  }

  check(headers: IncomingHttpHeaders): HandshakeCheck {
    const handshake = readHandshake(headers);
    if (handshake === undefined || handshake.from === 0) return refused(400, "BAD_HANDSHAKE");
    if (handshake.clusterId !== this.#self.clusterId) return refused(403, "WRONG_CLUSTER");
    const { from, to, toIncarnation } = handshake;
    const isTarget =
      to === this.#self.id && (toIncarnation === 0 || toIncarnation === this.#self.incarnation);
    if (!isTarget || from === to) return refused(403, "WRONG_TARGET");
    const membership = this.#membership(callerOf(handshake));
    if (membership === "unknown") return refused(403, "UNKNOWN_MEMBER");
    if (membership === "wrong-incarnation") return refused(403, "WRONG_INCARNATION");
    if (!this.#windowOf(from).take(handshake.nonce)) return refused(403, "REPLAYED");
    return { kind: "accepted", handshake };
  }

  #windowOf(from: number): NonceWindow {
    const known = this.#nonces.get(from);
    if (known !== undefined) return known;
    const window = new NonceWindow();
    this.#nonces.set(from, window);
    return window;
  }
}

/** The newest nonces of one member. Older replays are harmless by the rules of Raft alone. */
class NonceWindow {
  static readonly #SIZE = 1024;
  readonly #seen = new Set<string>();

  take(nonce: string): boolean {
    if (this.#seen.has(nonce)) return false;
    this.#seen.add(nonce);
    if (this.#seen.size > NonceWindow.#SIZE) {
      for (const oldest of this.#seen) {
        this.#seen.delete(oldest);
        break;
      }
    }
    return true;
  }
}

function refused(status: 400 | 403, code: HandshakeRefusal): HandshakeCheck {
  return { kind: "refused", status, code };
}

function decodedOrUndefined(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
