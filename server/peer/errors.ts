/**
 * How the peer network fails. Bytes of another member that break the protocol are an environment
 * failure, never a broken invariant: the connection they came on ends, the process does not.
 */

/** Received bytes are not a message of this protocol. Nothing of them has taken effect. */
export class PeerProtocolError extends Error {
  override readonly name = "PeerProtocolError";
  readonly code = "PEER_PROTOCOL";
}
