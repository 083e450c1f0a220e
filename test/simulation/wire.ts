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
import { Violation } from "./violation.ts";

export class Wire {
  readonly #writer = new ByteWriter();
  readonly #reader = new FrameReader();

  /** What arrives: a large batch of answers comes as several messages. */
  copy(message: PeerMessage): readonly PeerMessage[] {
    this.#writer.reuse();
    if (!encode(this.#writer, message)) throw new Violation(`a ${message.kind} fits no frame`);
    this.#reader.push(Buffer.from(this.#writer.take()));
    const copies: PeerMessage[] = [];
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      const copy = decodeFrame(frame);
      if (copy !== undefined) copies.push(copy);
    }
    return copies;
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
  }
}
