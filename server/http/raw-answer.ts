/**
 * Answers below Hono: for requests that the parser or the gate refuses, before there is a route,
 * and for sockets on which there is no request at all. Same JSON as everywhere else.
 */
import { type IncomingMessage, ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ERRORS, type ErrorCode } from "../../clients/contract.ts";
import type { Clock } from "../../raft/index.ts";
import { errorHeaders, errorJson } from "./error-response.ts";
import type { RequestRefusal } from "./refusal.ts";
import { closesConnection } from "./refuse.ts";

/** Answers a request that never reaches the application. */
export function answerRefusal(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  refusal: RequestRefusal,
): void {
  const close = closesConnection(refusal, incoming);
  incoming.resume();
  const extras = { close };
  const body = errorJson(refusal.code, refusal.message, extras);
  outgoing.writeHead(ERRORS[refusal.code].status, {
    ...errorHeaders(refusal.code, extras),
    "Content-Length": Buffer.byteLength(body),
  });
  outgoing.end(body);
}

/**
 * Answers on a socket whose bytes are not HTTP, and closes it. Only when nothing else can be taken
 * for the answer: if an earlier request still waits for its own, the connection just closes, and
 * that client rightly does not know its outcome.
 */
export function answerBrokenSocket(socket: Socket, code: ErrorCode, message: string): void {
  if (socket.writable && isAnswerUnambiguous(socket)) {
    const body = errorJson(code, message, {});
    const { status } = ERRORS[code];
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`];
    for (const [name, value] of Object.entries(errorHeaders(code, { close: true }))) {
      lines.push(`${name}: ${value}`);
    }
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  }
  socket.destroySoon();
}

/** How long a connection that is being closed may still send what nobody reads. */
const LINGER_MS = 500;

/**
 * Makes the end of a connection gentle: half-close, then read and drop what still arrives for a
 * moment. Closing with unread bytes would send a reset, and the reset can overtake the answer.
 */
export function endGently(socket: Socket, clock: Clock): void {
  if (socket.writableEnded) return;
  socket.end();
  const timer = clock.after(LINGER_MS, () => socket.destroy());
  socket.once("end", () => socket.destroy());
  socket.once("close", () => timer.cancel());
}

/** The answer node:http is working on for this socket, if any. */
export function answerInFlight(socket: Socket): ServerResponse | undefined {
  // Not public, but node's own default `clientError` handler decides by the same field.
  const inFlight: unknown = Reflect.get(socket, "_httpMessage");
  return inFlight instanceof ServerResponse ? inFlight : undefined;
}

function isAnswerUnambiguous(socket: Socket): boolean {
  const inFlight = answerInFlight(socket);
  if (inFlight === undefined) return true;
  // Its request is still arriving, so it is the broken one itself, and has had no effect.
  return !inFlight.headersSent && !inFlight.req.complete;
}
