/**
 * Refuses a request inside the application, and ends its connection where it cannot be used again:
 * when the rest of a body is not going to be read, the next request cannot be found behind it.
 */
import type { IncomingMessage } from "node:http";
import { refusalResponse } from "./error-response.ts";
import type { RequestRefusal } from "./refusal.ts";

export function refuse(incoming: IncomingMessage, refusal: RequestRefusal): Response {
  return refusalResponse(refusal, { close: closesConnection(refusal, incoming) });
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
