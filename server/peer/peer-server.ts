/**
 * The listening side of the peer port: sockets, their limits, and the Upgrade of a stream. Who may
 * come in is the app's business, what is said on a stream the transport's.
 *
 * Node forgets an upgraded socket: neither its time-outs nor `server.close()` reach it. So every
 * socket is kept in a set here and destroyed at the end.
 */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { type HostPort, parseAddress } from "./address.ts";
import { answerHeaders, type LocalPeer, UPGRADE_PROTOCOL } from "./handshake.ts";
import type { PeerApp, UpgradeSlot } from "./peer-app.ts";

const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_MAX = 64;
const HEADERS_TIMEOUT_MS = 5_000;
/** A body that stops arriving, or an answer that is not read. */
const SILENT_SOCKET_MS = 30_000;
const CONNECTIONS_MAX = 1_024;
const KEEP_ALIVE_MS = 65_000;

export interface PeerServerOptions {
  readonly self: LocalPeer;
  readonly app: PeerApp;
  isFresh(): boolean;
  stream(accepted: NonNullable<UpgradeSlot["accepted"]>, socket: Socket, head: Buffer): void;
}

export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: PeerServerOptions) {
    this.#options = options;
    const limits = {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // A snapshot takes as long as it takes; a silent socket does not.
      requestTimeout: 0,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
    };
    const listener = getRequestListener(options.app.fetch, { overrideGlobalObjects: false });
    const server = createServer(limits, (incoming, outgoing) => {
      void listener(incoming, outgoing);
    });
    server.maxHeadersCount = HEADERS_MAX;
    server.maxConnections = CONNECTIONS_MAX;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.setTimeout(SILENT_SOCKET_MS);
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("upgrade", (incoming, _duplex, head) => {
      // At once: a reset while the app thinks would otherwise end the process.
      incoming.socket.on("error", ignore);
      void this.#upgrade(incoming, head);
    });
    this.#server = server;
  }

  /** Undefined before the server listens. */
  get address(): HostPort | undefined {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") return undefined;
    return { host: bound.address, port: bound.port };
  }

  listen(address: string, done: (error: Error | undefined) => void): void {
    const parsed = parseAddress(address);
    if (parsed === undefined) {
      process.nextTick(done, new Error(`not an address: ${address}`));
      return;
    }
    const onError = (error: Error): void => done(error);
    this.#server.once("error", onError);
    this.#server.listen(parsed, () => {
      this.#server.off("error", onError);
      // Running out of descriptors fails one accept, not the server.
      this.#server.on("error", ignore);
      done(undefined);
    });
  }

  close(done: () => void): void {
    this.#server.close(() => done());
    for (const socket of this.#sockets) socket.destroy();
  }

  async #upgrade(incoming: IncomingMessage, head: Buffer): Promise<void> {
    const { socket } = incoming;
    const slot: UpgradeSlot = { accepted: undefined };
    const response = await this.#route(incoming, slot);
    if (socket.destroyed) return;
    if (response.status === 204 && slot.accepted !== undefined) {
      socket.write(this.#acceptance());
      this.#options.stream(slot.accepted, socket, head);
      return;
    }
    const body = await response.text();
    response.headers.set("content-length", String(Buffer.byteLength(body)));
    socket.end(`${headText(response.status, response.headers)}${body}`);
    socket.destroySoon();
  }

  async #route(incoming: IncomingMessage, upgrade: UpgradeSlot): Promise<Response> {
    // The app reads path and headers from `incoming`; only the method has to be right here.
    const method =
      incoming.method === "GET" || incoming.method === "POST" ? incoming.method : "PUT";
    const request = new Request("http://peer/", { method });
    return await this.#options.app.fetch(request, { incoming, upgrade });
  }

  #acceptance(): string {
    const answer = answerHeaders(this.#options.self, this.#options.isFresh());
    const headers = new Headers({ ...answer, connection: "Upgrade", upgrade: UPGRADE_PROTOCOL });
    return headText(101, headers);
  }
}

function headText(status: number, headers: Headers): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function ignore(): void {}
