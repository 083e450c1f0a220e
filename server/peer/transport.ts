/**
 * The port between the replica loop and the network. Types only. `send` never blocks and never
 * throws; it may drop, duplicate or reorder Raft envelopes, and it never sends a Forward twice.
 */
import type { Envelope, Member } from "../../raft/index.ts";
import type { ReceivedSnapshot, SnapshotSource } from "../../storage/index.ts";
import type { KvResult } from "../kv/result.ts";
import type { Forward, ForwardResults, PeerMessage, ReplicaMessage } from "./peer-message.ts";

/** What a handshake told about another member. */
export interface PeerInfo {
  readonly id: number;
  readonly incarnation: number;
  /** Its log is empty: it has no past. */
  readonly fresh: boolean;
}

/** What a caller says of itself in its handshake. */
export interface Caller {
  readonly id: number;
  readonly incarnation: number;
  readonly peerAddress: string;
  /** Where the newest configuration it knows stands in the log; 0 for none but the first. */
  readonly configurationIndex: number;
}

/** What the transport tells the loop; each call is one event for the inbox. */
export interface TransportEvents<Result = KvResult> {
  message(message: PeerMessage<Result>): void;
  /** A whole, verified snapshot arrived together with its install-snapshot envelope. */
  snapshotReceived(envelope: Envelope, received: ReceivedSnapshot): void;
  /** The outcome of `sendSnapshot`. */
  snapshotSent(to: number, ok: boolean): void;
  peerUp(info: PeerInfo): void;
  /** The link is gone: forwards on it without an answer have an unknown outcome. */
  peerDown(id: number): void;
}

export interface Transport<Result = KvResult> {
  /** The members to talk to; called again whenever the configuration changes. */
  setMembers(members: readonly Member[]): void;
  send(envelopes: readonly Envelope[]): void;
  /** Returns false when nothing was sent and nothing will be (the outcome is "not applied"). */
  forward(message: Forward): boolean;
  forwardResults(message: ForwardResults<Result>): void;
  /** Like an envelope, it may be dropped. */
  tell(message: ReplicaMessage): void;
  /** Streams the snapshot over HTTP, apart from all other traffic; reports `snapshotSent`. */
  sendSnapshot(envelope: Envelope, source: SnapshotSource): void;
  close(done: () => void): void;
}
