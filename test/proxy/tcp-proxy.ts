/**
 * A TCP proxy that can be told to misbehave: it stands in front of one server, and each of its
 * callers has a link of its own, whose state decides what becomes of the bytes. No root needed.
 *
 * - What a link lets through arrives complete and in order: this is TCP. So nothing is ever left
 *   out of a stream; what is lost is lost together with its connection.
 * - A held link is a cable pulled out: bytes, connections and even their ends wait, and all of it
 *   arrives, late, when the link is released.
 * - Nothing is buffered without bound: a sender whose bytes do not get through is not read.
 */
import { createServer, connect as dial, type Server, type Socket } from "node:net";

export type LinkState =
  | { readonly kind: "open" }
  /** Connections are reset, and so is every new one. */
  | { readonly kind: "cut" }
  /** Half-open: connections stand and new ones are accepted, but nothing gets through. */
  | { readonly kind: "held" }
  | { readonly kind: "slow"; readonly delayMs: number }
  | { readonly kind: "trickle"; readonly bytesPerSecond: number }
  /** Of the next bytes only a part gets through, then the connection is reset; and so again. */
  | { readonly kind: "torn" };

const OPEN: LinkState = { kind: "open" };
/** As much waits in one direction before its sender is no longer read. */
const QUEUED_BYTES_MAX = 256 * 1024;
const HEAD_BYTES_MAX = 16 * 1024;
const TRICKLE_EVERY_MS = 20;

/** All connections of one caller to the server. */
export class Link {
  /** From the caller to the server, and back. */
  bytesThere = 0;
  bytesBack = 0;
  connections = 0;
  /** How often a state other than open did something to a connection or to bytes. */
  disturbances = 0;
  readonly #open = new Set<Connection>();
  #state: LinkState = OPEN;

  get state(): LinkState {
    return this.#state;
  }

  set(state: LinkState): void {
    this.#state = state;
    for (const connection of [...this.#open]) connection.stateChanged();
  }

  adopt(connection: Connection): void {
    this.connections += 1;
    this.#open.add(connection);
  }

  forget(connection: Connection): void {
    this.#open.delete(connection);
  }

  reset(): void {
    for (const connection of [...this.#open]) connection.reset();
  }
}

export interface TcpProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** 0 for any. */
  readonly listenPort?: number;
  /** The link a connection belongs to, from its first bytes; undefined: these do not tell yet. */
  readonly linkOf: (head: Buffer) => Link | undefined;
}

export class TcpProxy {
  readonly #options: TcpProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: TcpProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#identify(socket);
    });
  }

  /** Resolves with the port. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#options.listenPort ?? 0, "127.0.0.1", () => {
        const address = this.#server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Reads just enough to know whose connection it is. */
  #identify(caller: Socket): void {
    this.#track(caller);
    let head = Buffer.alloc(0);
    const listen = (bytes: Buffer): void => {
      head = Buffer.concat([head, bytes]);
      const link = this.#options.linkOf(head);
      if (link === undefined) {
        if (head.length > HEAD_BYTES_MAX) caller.destroy();
        return;
      }
      caller.off("data", listen);
      caller.off("end", giveUp);
      const connection = new Connection(link, caller, head, () => this.#dial());
      link.adopt(connection);
      connection.stateChanged();
    };
    const giveUp = (): void => void caller.destroy();
    caller.on("data", listen);
    caller.on("end", giveUp);
  }

  #dial(): Socket {
    const server = dial({ ...this.#options.target, allowHalfOpen: true, noDelay: true });
    this.#track(server);
    return server;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    // An error is followed by close, which is all that matters.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}

/** A caller's connection and ours to the server; that one is made when the link first lets it. */
class Connection {
  readonly #link: Link;
  readonly #caller: Socket;
  readonly #dialServer: () => Socket;
  readonly #there: Pipe;
  #server: Socket | undefined;
  #back: Pipe | undefined;
  #isOver = false;

  constructor(link: Link, caller: Socket, head: Buffer, dialServer: () => Socket) {
    this.#link = link;
    this.#caller = caller;
    this.#dialServer = dialServer;
    this.#there = new Pipe(link, caller, (count) => {
      link.bytesThere += count;
    });
    this.#there.take(head);
    caller.on("close", () => this.#closed());
    this.#there.onTear = () => this.reset();
  }

  stateChanged(): void {
    const { kind } = this.#link.state;
    if (kind === "cut") {
      this.#link.disturbances += 1;
      this.reset();
      return;
    }
    if (kind !== "held") {
      if (this.#caller.destroyed || this.#server?.destroyed) {
        this.reset();
        return;
      }
      if (this.#server === undefined) this.#connect();
    } else {
      this.#link.disturbances += 1;
    }
    this.#there.pump();
    this.#back?.pump();
  }

  reset(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#link.forget(this);
    this.#there.stop();
    this.#back?.stop();
    this.#caller.resetAndDestroy();
    this.#server?.resetAndDestroy();
  }

  #connect(): void {
    const server = this.#dialServer();
    this.#server = server;
    this.#back = new Pipe(this.#link, server, (count) => {
      this.#link.bytesBack += count;
    });
    this.#back.onTear = () => this.reset();
    this.#back.flowInto(this.#caller);
    server.once("connect", () => this.#there.flowInto(server));
    server.on("close", () => this.#closed());
  }

  /** One end is gone: so is the other, but not through a cable that is pulled out. */
  #closed(): void {
    if (this.#link.state.kind !== "held") this.reset();
  }
}

interface Queued {
  readonly bytes: Buffer;
  readonly readAtMs: number;
}

/** One direction of one connection. */
class Pipe {
  onTear: () => void = () => undefined;
  readonly #link: Link;
  readonly #from: Socket;
  readonly #count: (bytes: number) => void;
  readonly #queue: Queued[] = [];
  #to: Socket | undefined;
  #queuedBytes = 0;
  #hasEnded = false;
  #isTearing = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(link: Link, from: Socket, count: (bytes: number) => void) {
    this.#link = link;
    this.#from = from;
    this.#count = count;
    from.on("data", (bytes: Buffer) => {
      this.take(bytes);
      this.pump();
    });
    from.on("end", () => {
      this.#hasEnded = true;
      this.pump();
    });
  }

  flowInto(to: Socket): void {
    this.#to = to;
    to.on("drain", () => this.pump());
    this.pump();
  }

  take(bytes: Buffer): void {
    this.#queue.push({ bytes, readAtMs: performance.now() });
    this.#queuedBytes += bytes.length;
    const { kind } = this.#link.state;
    if (kind !== "open" && kind !== "cut") this.#link.disturbances += 1;
  }

  /** Passes on what the link lets through now. */
  pump(): void {
    if (this.#isTearing) return;
    clearTimeout(this.#timer);
    const to = this.#to;
    const { state } = this.#link;
    const canPass = to !== undefined && !to.destroyed && state.kind !== "held";
    if (canPass) this.#passOn(to, state);
    const isFull = this.#queuedBytes > QUEUED_BYTES_MAX || state.kind === "held";
    if (isFull) this.#from.pause();
    else this.#from.resume();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #passOn(to: Socket, state: LinkState): void {
    switch (state.kind) {
      case "trickle": {
        const count = Math.max(1, Math.round((state.bytesPerSecond * TRICKLE_EVERY_MS) / 1000));
        if (this.#queue.length > 0) {
          this.#write(to, count);
          this.#later(TRICKLE_EVERY_MS);
        }
        break;
      }
      case "torn": {
        const [next] = this.#queue;
        if (next === undefined) break;
        this.#write(to, next.bytes.length >> 1);
        // The part is handed to the system first, so that it arrives before the reset.
        this.#isTearing = true;
        this.#timer = setTimeout(this.onTear, 1);
        return;
      }
      default: {
        const delayMs = state.kind === "slow" ? state.delayMs : 0;
        for (let [next] = this.#queue; next !== undefined; [next] = this.#queue) {
          const leftMs = next.readAtMs + delayMs - performance.now();
          if (leftMs > 0 && delayMs > 0) {
            this.#later(leftMs);
            break;
          }
          if (to.writableNeedDrain) break;
          this.#write(to, next.bytes.length);
        }
      }
    }
    if (this.#hasEnded && this.#queue.length === 0) to.end();
  }

  /** So many bytes of the first chunk. */
  #write(to: Socket, count: number): void {
    const [next] = this.#queue;
    if (next === undefined) return;
    const part = next.bytes.subarray(0, count);
    if (part.length === next.bytes.length) this.#queue.shift();
    else this.#queue[0] = { ...next, bytes: next.bytes.subarray(count) };
    this.#queuedBytes -= part.length;
    this.#count(part.length);
    to.write(part);
  }

  #later(delayMs: number): void {
    this.#timer = setTimeout(() => this.pump(), delayMs);
  }
}
