/** The network between members, as a phase of the node opens it. */
import type { Clock, Random } from "../raft/index.ts";
import type { Identity } from "../storage/index.ts";
import { formatHostPort } from "./address.ts";
import type { ServerConfig } from "./config.ts";
import type { Logger } from "./logger.ts";
import {
  HttpTransport,
  type SnapshotStore,
  type TransportEvents,
  type TransportNotice,
} from "./peer/index.ts";
import type { MembershipView } from "./replica/options.ts";

export interface PeerPortParts {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly identity: Identity;
  readonly snapshots: SnapshotStore;
}

/** A replica opens its transport itself, because each knows the other. */
export class PeerPort {
  readonly #parts: PeerPortParts;
  #transport: HttpTransport | undefined;

  constructor(parts: PeerPortParts) {
    this.#parts = parts;
  }

  readonly open = (events: TransportEvents, member: MembershipView): HttpTransport => {
    const { config, clock, random, log, identity, snapshots } = this.#parts;
    const { clusterId, nodeId: id, incarnation } = identity;
    const listenAddress = formatHostPort(config.peerListen);
    const own = config.members.find((candidate) => candidate.id === id);
    const peerAddress = own?.peerAddress ?? listenAddress;
    const transport = new HttpTransport({
      self: { clusterId, id, incarnation, peerAddress },
      listenAddress,
      clock,
      random,
      events,
      snapshots,
      membership: (caller) => member.checkMember(caller),
      isFresh: () => member.isFresh,
      configurationIndex: () => member.configurationIndex,
      notice: (notice) => logNotice(log, notice),
    });
    this.#transport = transport;
    return transport;
  };

  listen(done: (error: Error | undefined) => void): void {
    if (this.#transport === undefined) throw new Error("the replica opens its transport");
    this.#transport.listen(done);
  }
}

function logNotice(log: Logger, notice: TransportNotice): void {
  const { kind, id, reason } = notice;
  if (kind === "refused") log.warn({ peer: id, reason }, "a member refuses our calls");
  else if (kind === "link-lost") log.info({ peer: id, reason }, "lost the link to a member");
  else log.warn({ peer: id, reason }, "ended a connection that broke the protocol");
}
