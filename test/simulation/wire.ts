/** Messages through the production codec and back, as they would travel between processes. */
import { ByteWriter } from "../../server/peer/byte-writer.ts";
import { FrameReader } from "../../server/peer/frame-reader.ts";
import type { PeerMessage } from "../../server/peer/index.ts";
import {
  decodeFrame,
  encodeEnvelope,
  encodeForward,
  encodeForwardResults,
} from "../../server/peer/peer-codec.ts";
import { encodeReplicaMessage } from "../../server/peer/replica-message-codec.ts";
import { Violation } from "./violation.ts";

export class Wire {
  readonly #writer = new ByteWriter();
  readonly #reader = new FrameReader();

  /** What arrives: a large batch of answers comes as several messages. */
  copy(message: PeerMessage): readonly PeerMessage[] {
    this.#reader.push(Buffer.from(this.#encoded(message)));
    const copies: PeerMessage[] = [];
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      const copy = decodeFrame(frame);
      if (copy !== undefined) copies.push(copy);
    }
    return copies;
  }

  bytesOf(message: PeerMessage): number {
    return this.#encoded(message).length;
  }

  #encoded(message: PeerMessage): Uint8Array {
    this.#writer.reuse();
    if (!encode(this.#writer, message)) throw new Violation(`a ${message.kind} fits no frame`);
    return this.#writer.take();
  }
}

function encode(writer: ByteWriter, message: PeerMessage): boolean {
  switch (message.kind) {
    case "raft":
      return encodeEnvelope(writer, message.envelope);
    case "forward":
      return encodeForward(writer, message);
    case "forward-results":
      return encodeForwardResults(writer, message);
    default:
      return encodeReplicaMessage(writer, message);
  }
}
