/**
 * Refuses a request inside the application, and ends its connection where it cannot be used again:
 * when the rest of a body is not going to be read, the next request cannot be found behind it.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { refusalResponse } from "./error-response.ts";
import type { RequestRefusal } from "./refusal.ts";

/** How long a connection that is being closed may still send what nobody reads. */
const LINGER_MS = 500;

export function refuse(incoming: IncomingMessage, refusal: RequestRefusal): Response {
  const close = closesConnection(refusal, incoming);
  if (close) lingerAfterAnswer(incoming);
  return refusalResponse(refusal, { close });
}

/** True when the connection cannot carry another request after this refusal. */
export function closesConnection(refusal: RequestRefusal, incoming: IncomingMessage): boolean {
  switch (refusal.code) {
    case "BODY_TOO_LARGE":
    case "HEADERS_TOO_LARGE":
    case "URL_TOO_LONG":
      return true;
    default:
      // A client that was not told to go on may or may not send its body now.
      return incoming.headers.expect !== undefined && !incoming.complete;
  }
}

/**
 * Makes the end of this connection gentle: half-close, then read and drop what still arrives for
 * a moment. Closing with unread bytes would send a reset, and the reset can overtake the answer.
 */
export function lingerAfterAnswer(incoming: IncomingMessage): void {
  const { socket } = incoming;
  // node:http ends a connection it will not reuse with destroySoon(), which does not wait.
  socket.destroySoon = () => endGently(socket);
}

export function endGently(socket: Socket): void {
  if (socket.writableEnded) return;
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("end", () => socket.destroy());
  socket.once("close", () => clearTimeout(timer));
}
