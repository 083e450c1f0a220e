/**
 * The client port: node:http with tight limits, the gate in front of Hono, and a graceful end.
 * Owns connections; knows nothing of routes, keys or replicas.
 *
 * - Requests of one connection run one after the other, also when they are pipelined: a later one
 *   must see the effect of an earlier one, and nothing may run behind a refusal that closes.
 * - A connection that is closing runs nothing more.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { LIMITS } from "../../clients/contract.ts";
import type { Clock } from "../../raft/index.ts";
import type { App } from "./app.ts";
import { ConnectionLimits } from "./connection-limits.ts";
import { errorResponse, internalErrorResponse } from "./error-response.ts";
import type { HttpLogger } from "./logger.ts";
import { answerBrokenSocket, answerInFlight, answerRefusal, endGently } from "./raw-answer.ts";
import { RequestGate } from "./request-gate.ts";

export interface HttpServerOptions {
  readonly app: App;
  readonly clock: Clock;
  readonly logger: HttpLogger;
  /** The address to listen on. A loopback one answers only to host names it knows. */
  readonly bindAddress: string;
  readonly allowedHosts?: readonly string[] | undefined;
  readonly bodyBytesMax?: number | undefined;
  readonly socketsMax?: number | undefined;
  readonly socketsPerAddressMax?: number | undefined;
  readonly timeouts?: HttpTimeouts | undefined;
}

export interface HttpTimeouts {
  readonly headersMs: number;
  /** From the first byte of a request to the last of its body. */
  readonly requestMs: number;
  readonly checkMs: number;
  readonly keepAliveMs: number;
  /** A connection on which nothing moves while an answer is due, or is not being read. */
  readonly stalledMs: number;
}

export const HTTP_TIMEOUTS: HttpTimeouts = {
  headersMs: 5_000,
  requestMs: 15_000,
  checkMs: 1_000,
  keepAliveMs: 65_000,
  stalledMs: 60_000,
};

const SOCKETS_MAX = 1_024;
const SOCKETS_PER_ADDRESS_MAX = 256;
/** Connections above the limits that are told so at a time; more of them are just closed. */
const SOCKETS_REFUSED_MAX = 64;
/** Requests that may wait behind an unfinished one on the same connection. */
const PIPELINED_MAX = 256;

type Listener = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;

export function createHttpServer(options: HttpServerOptions): HttpServer {
  return new HttpServer(options);
}

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #gate: RequestGate;
  readonly #listener: Listener;
  readonly #limits: ConnectionLimits;
  readonly #socketsMax: number;
  readonly #sockets = new Set<Socket>();
  /** How many requests wait on a connection; only connections that pipeline have an entry. */
  readonly #pipelined = new WeakMap<Socket, number>();
  #isDraining = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#gate = new RequestGate({
      bindAddress: options.bindAddress,
      allowedHosts: options.allowedHosts ?? [],
      bodyBytesMax: options.bodyBytesMax ?? LIMITS.valueBytesMax,
    });
    this.#socketsMax = options.socketsMax ?? SOCKETS_MAX;
    const perAddress = options.socketsPerAddressMax ?? SOCKETS_PER_ADDRESS_MAX;
    this.#limits = new ConnectionLimits({ inAll: this.#socketsMax, perAddress });
    this.#listener = this.#createListener();
    this.#server = this.#createServer(options.timeouts ?? HTTP_TIMEOUTS);
  }

  /** `done` hears of the first outcome only; a later error of the server is logged. */
  listen(port: number, done: (error: Error | undefined) => void): void {
    this.#server.once("error", done);
    this.#server.listen(port, this.#options.bindAddress, () => {
      this.#server.off("error", done);
      this.#server.on("error", (error) => {
        this.#options.logger.error({ error: error.message }, "The HTTP server has a problem.");
      });
      done(undefined);
    });
  }

  /** The port in use; 0 before `listen` is done. */
  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /**
   * Stops accepting, lets what is in flight be answered, closes what is idle. What is not done
   * after `deadlineMs` is cut off. `done` is called once nothing is left.
   */
  drain(deadlineMs: number, done: () => void): void {
    this.#isDraining = true;
    const { clock } = this.#options;
    const deadline = clock.after(deadlineMs, () => this.#server.closeAllConnections());
    this.#server.close(() => {
      deadline.cancel();
      done();
    });
    for (const socket of this.#sockets) this.#retire(socket);
  }

  #retire(socket: Socket): void {
    const inFlight = answerInFlight(socket);
    if (inFlight === undefined) {
      // Connected and silent. node:http takes it for busy, so it would hold up the end.
      if (socket.bytesRead === 0) socket.destroy();
    } else if (inFlight.headersSent) {
      const { clock } = this.#options;
      inFlight.once("finish", () => clock.soon(() => this.#server.closeIdleConnections()));
    } else {
      inFlight.shouldKeepAlive = false;
    }
  }

  #createListener(): Listener {
    return getRequestListener(this.#options.app.fetch, {
      // An HTTP/1.0 client need not send Host.
      hostname: "localhost",
      errorHandler: (error) => {
        // Only the adapter's own refusals arrive here; the application has its own handler.
        if (error instanceof Error && error.name === "RequestError") {
          return errorResponse("BAD_REQUEST", "The request target or Host is not valid.");
        }
        this.#options.logger.error({ error: String(error) }, "The HTTP adapter failed.");
        return internalErrorResponse();
      },
    });
  }

  #createServer(timeouts: HttpTimeouts): Server {
    const server = createServer({
      headersTimeout: timeouts.headersMs,
      requestTimeout: timeouts.requestMs,
      connectionsCheckingInterval: timeouts.checkMs,
      keepAliveTimeout: timeouts.keepAliveMs,
      // The parser counts the target and the headers together; the gate counts them apart.
      maxHeaderSize: LIMITS.headerBytesMax + LIMITS.urlBytesMax,
      // The gate asks for Host itself, to say so in JSON.
      requireHostHeader: false,
    });
    // Without it, a client that never reads its answer keeps the answer in our memory.
    server.timeout = timeouts.stalledMs;
    server.maxConnections = this.#socketsMax + SOCKETS_REFUSED_MAX;
    // A client that has sent all it wants may half-close and still gets its answer.
    Object.assign(server, { httpAllowHalfOpen: true });
    const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void =>
      this.#onRequest(incoming, outgoing);
    server.on("request", onRequest);
    server.on("checkContinue", onRequest);
    server.on("checkExpectation", onRequest);
    server.on("connection", (socket) => this.#onConnection(socket));
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (socket instanceof Socket) onClientError(error, socket);
      else socket.destroy();
    });
    server.on("connect", (_incoming, socket) => {
      if (!(socket instanceof Socket)) return;
      // Taken from node:http by CONNECT, so errors are ours to hear.
      socket.on("error", () => socket.destroy());
      answerBrokenSocket(socket, "BAD_REQUEST", "This is not a proxy.");
    });
    return server;
  }

  #onConnection(socket: Socket): void {
    // node:http ends a connection it will not reuse with destroySoon(), which does not wait.
    socket.destroySoon = () => endGently(socket, this.#options.clock);
    const address = socket.remoteAddress ?? "";
    const refusal = this.#limits.take(address);
    if (refusal !== undefined) {
      answerBrokenSocket(socket, "TOO_MANY_CONNECTIONS", `${refusal} Try again, or use fewer.`);
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#limits.release(address);
    });
  }

  #onRequest(incoming: IncomingMessage, outgoing: ServerResponse): void {
    // A response without a socket stands behind another one on its connection.
    if (outgoing.socket === null) this.#waitForTurn(incoming, outgoing);
    else this.#serve(incoming, outgoing);
  }

  #waitForTurn(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { socket } = incoming;
    const waiting = (this.#pipelined.get(socket) ?? 0) + 1;
    if (waiting > PIPELINED_MAX) {
      socket.destroy();
      return;
    }
    this.#pipelined.set(socket, waiting);
    outgoing.once("socket", () => {
      this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 1) - 1);
      this.#serve(incoming, outgoing);
    });
  }

  #serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (!incoming.socket.writable) return;
    if (this.#isDraining) outgoing.shouldKeepAlive = false;
    const refusal = this.#gate.check(incoming);
    if (refusal === undefined) void this.#listener(incoming, outgoing);
    else answerRefusal(incoming, outgoing, refusal);
  }
}

/** What the parser refuses. Where the next request begins is unknown, so the socket is done. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      if (isInRequestLine(error)) {
        answerBrokenSocket(
          socket,
          "URL_TOO_LONG",
          `A URL has at most ${LIMITS.urlBytesMax} bytes.`,
        );
      } else {
        const message = `Headers have at most ${LIMITS.headerBytesMax} bytes.`;
        answerBrokenSocket(socket, "HEADERS_TOO_LARGE", message);
      }
      return;
    case "ERR_HTTP_REQUEST_TIMEOUT":
      answerBrokenSocket(socket, "REQUEST_TIMEOUT", "The request did not arrive in time.");
      return;
    case "HPE_INVALID_URL":
      answerBrokenSocket(socket, "BAD_REQUEST", "A URL is ASCII: percent-encode other bytes.");
      return;
    default:
      if (error.code?.startsWith("HPE_") === true) {
        answerBrokenSocket(socket, "BAD_REQUEST", "This is not a well-formed HTTP request.");
      } else {
        socket.destroy();
      }
  }
}

/** Whether the bytes that overflowed began a request and had not reached its first line's end. */
function isInRequestLine(error: NodeJS.ErrnoException): boolean {
  const packet: unknown = Reflect.get(error, "rawPacket");
  if (!Buffer.isBuffer(packet)) return false;
  const start = packet.toString("latin1", 0, LIMITS.urlBytesMax);
  return /^[A-Z]+ \S+$/.test(start);
}
