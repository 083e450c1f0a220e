/** The door of server/peer/. */
export { type HostPort, parseAddress } from "./address.ts";
export { PeerProtocolError } from "./errors.ts";
export type { LocalPeer, Membership } from "./handshake.ts";
export {
  HttpTransport,
  type HttpTransportOptions,
  type TransportNotice,
  type TransportStatistics,
} from "./http-transport.ts";
export type {
  Forward,
  ForwardResults,
  HelperState,
  PeerMessage,
  RepairAnswer,
  RepairRequest,
  ReplicaMessage,
  StateReport,
  StateVerdict,
} from "./peer-message.ts";
export type { SnapshotStore } from "./snapshot-receiver.ts";
export type { Caller, PeerInfo, Transport, TransportEvents } from "./transport.ts";
