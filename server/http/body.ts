/**
 * Reads a request body as the bytes that were sent. Bodies are counted while they arrive, because
 * a chunked one does not say its length, and a text reader would lose a BOM and bad UTF-8.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { badRequest, type RequestRefusal, tooLarge } from "./refusal.ts";

/**
 * "too-large": more than allowed; the rest is being read and dropped.
 * "aborted": the client is gone, or its body broke the protocol; nobody waits for an answer.
 */
export type Body = Buffer | "too-large" | "aborted";

const EMPTY = Buffer.alloc(0);

/** `done` is called exactly once, never before this returns. */
export function readBody(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  bytesMax: number,
  done: (body: Body) => void,
): void {
  let chunks: Buffer[] | undefined;
  let first: Buffer = EMPTY;
  let bytes = 0;
  let isDone = false;

  const finish = (body: Body): void => {
    if (isDone) return;
    isDone = true;
    done(body);
  };
  incoming.on("data", (chunk: Buffer) => {
    if (isDone) return;
    bytes += chunk.length;
    if (bytes > bytesMax) {
      chunks = undefined;
      first = EMPTY;
      finish("too-large");
    } else if (first.length === 0) {
      first = chunk;
    } else {
      chunks ??= [first];
      chunks.push(chunk);
    }
  });
  incoming.on("end", () => finish(chunks === undefined ? first : Buffer.concat(chunks)));
  // "close" always comes; it comes before "end" only when the request was cut off.
  incoming.on("close", () => finish("aborted"));

  // A client that asked first gets its go-ahead only now, when the body is really wanted.
  if (incoming.headers.expect !== undefined && incoming.httpVersionMinor > 0) {
    outgoing.writeContinue();
  }
}

export function checkBody(body: Body, bytesMax: number): Buffer | RequestRefusal {
  if (body === "too-large") return tooLarge(bytesMax);
  // Nobody will read this answer; what matters is that the write is not submitted.
  return body === "aborted" ? badRequest("The body was cut off.") : body;
}
