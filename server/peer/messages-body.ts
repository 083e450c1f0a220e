/**
 * The body of a POST with messages: the same frames as on a stream. It is taken whole or not at
 * all: nothing of a body takes effect before all of it was checked.
 */
import type { IncomingMessage } from "node:http";
import { PeerProtocolError } from "./errors.ts";
import { FRAME_BYTES_MAX } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import type { Handshake } from "./handshake.ts";
import { checkSender } from "./inbound-stream.ts";
import { decodeFrame } from "./peer-codec.ts";
import type { PeerMessage } from "./peer-message.ts";

/** What waits in a full outbox, and the frame that filled it. */
export const OUTBOX_BYTES_MAX = 16 * 1024 * 1024;
const BODY_BYTES_MAX = OUTBOX_BYTES_MAX + FRAME_BYTES_MAX;

export type MessagesBody =
  | { readonly kind: "messages"; readonly messages: readonly PeerMessage[] }
  | { readonly kind: "refused"; readonly status: 400 | 413; readonly code: string };

export async function receiveMessages(
  incoming: IncomingMessage,
  handshake: Handshake,
): Promise<MessagesBody> {
  if (Number(incoming.headers["content-length"] ?? 0) > BODY_BYTES_MAX) return TOO_LARGE;
  const reader = new FrameReader();
  const messages: PeerMessage[] = [];
  let bodyBytes = 0;
  try {
    for await (const chunk of bodyChunks(incoming)) {
      bodyBytes += chunk.length;
      if (bodyBytes > BODY_BYTES_MAX) return TOO_LARGE;
      reader.push(chunk);
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        const message = decodeFrame(frame);
        if (message === undefined) continue;
        checkSender(message, handshake);
        messages.push(message);
      }
    }
  } catch (error) {
    if (error instanceof PeerProtocolError) return refused(error.code);
    if (incoming.errored !== null) return refused("ABORTED");
    throw error;
  }
  if (!reader.isAtBoundary) return refused("CUT_SHORT");
  return { kind: "messages", messages };
}

/** The bytes of a request. Leaving early does not destroy the socket: the refusal must go out. */
export function bodyChunks(incoming: IncomingMessage): AsyncIterable<Buffer> {
  return incoming.iterator({ destroyOnReturn: false });
}

const TOO_LARGE: MessagesBody = { kind: "refused", status: 413, code: "BODY_TOO_LARGE" };

function refused(code: string): MessagesBody {
  return { kind: "refused", status: 400, code };
}
