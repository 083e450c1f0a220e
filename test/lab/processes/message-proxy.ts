/**
 * The lab's network (labrpc) between real processes: one proxy in front of each server, through
 * which its peers reach it. It cuts what it carries into messages, so that one of them can be lost,
 * late or overtaken while its connection stands, which TCP alone would not allow.
 *
 * A server dials every other and sends only on what it dialled; who is calling stands in the
 * handshake with which each connection begins. A snapshot is one request: it is late or lost whole.
 */
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import type { SeededRandom } from "../../../raft/index.ts";
import { FRAME_KINDS, FRAME_PREFIX_BYTES } from "../../../server/peer/frame.ts";
import { LOSS, longDelayMs, REQUEST_WAIT_MS_MAX } from "../weather.ts";
import type { Traffic, Weather } from "../world.ts";

const CALLER = /^x-raft-from: (\d+)\r$/imu;
const UPGRADE = /^upgrade: raft-kv\r$/imu;
const END_OF_HEAD = "\r\n\r\n";
const HEAD_BYTES_MAX = 16 * 1024;
/** Half of the cuts reset connections; through the others nothing comes any more. */
const RESET_SHARE = 0.5;

const ANSWERS: ReadonlySet<number> = new Set([
  FRAME_KINDS["request-vote-response"],
  FRAME_KINDS["append-entries-response"],
  FRAME_KINDS["heartbeat-response"],
  FRAME_KINDS["install-snapshot-response"],
  FRAME_KINDS["read-index-response"],
  FRAME_KINDS["forward-results"],
  FRAME_KINDS["repair-answer"],
]);

interface Connection {
  readonly from: number;
  readonly to: number;
  readonly isStream: boolean;
  readonly caller: Socket;
  readonly server: Socket;
}

export class MessageNetwork {
  weather: Weather = { isUnreliable: false, hasLongReordering: false };
  readonly #random: SeededRandom;
  readonly #proxies: Server[] = [];
  readonly #connections = new Set<Connection>();
  #isOpen: (one: number, other: number) => boolean = () => true;
  #requests = 0;
  #bytes = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get traffic(): Traffic {
    return { requests: this.#requests, bytes: this.#bytes };
  }

  /** Puts a proxy in front of a server; resolves with the address at which peers find it. */
  standBefore(id: number, listenAddress: string, proxyPort: number): Promise<string> {
    const [host = "", port = ""] = listenAddress.split(":");
    const target = { host, port: Number(port) };
    const proxy = createServer({ noDelay: true }, (caller) => {
      caller.on("error", () => undefined);
      this.#identify(caller, id, target);
    });
    this.#proxies.push(proxy);
    return new Promise((resolve, reject) => {
      proxy.once("error", reject);
      proxy.listen(proxyPort, host, () => resolve(`${host}:${proxyPort}`));
    });
  }

  setLinks(isOpen: (one: number, other: number) => boolean): void {
    const wasOpen = this.#isOpen;
    this.#isOpen = isOpen;
    for (const { from, to, isStream, caller } of [...this.#connections]) {
      if (isOpen(from, to) || !wasOpen(from, to)) continue;
      if (!isStream || this.#random.next() < RESET_SHARE) caller.destroy();
    }
  }

  close(): void {
    for (const proxy of this.#proxies) proxy.close();
    for (const { caller } of [...this.#connections]) caller.destroy();
  }

  #identify(caller: Socket, to: number, target: { host: string; port: number }): void {
    let head = Buffer.alloc(0);
    const listen = (bytes: Buffer): void => {
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf(END_OF_HEAD);
      if (end === -1) {
        if (head.length > HEAD_BYTES_MAX) caller.destroy();
        return;
      }
      caller.off("data", listen);
      const text = head.subarray(0, end + 2).toString("latin1");
      const from = Number(CALLER.exec(text)?.[1] ?? 0);
      const isLost = this.weather.isUnreliable && this.#random.next() < LOSS;
      if (!this.#isOpen(from, to) || isLost) {
        caller.destroy();
        return;
      }
      const server = dial({ ...target, noDelay: true });
      this.#join({ from, to, isStream: UPGRADE.test(text), caller, server }, head, end + 4);
    };
    caller.on("data", listen);
  }

  #join(connection: Connection, begun: Buffer, headBytes: number): void {
    const { caller, server, isStream } = connection;
    this.#connections.add(connection);
    const end = (): void => {
      this.#connections.delete(connection);
      caller.destroy();
      server.destroy();
    };
    caller.on("close", end);
    server.on("close", end);
    server.on("error", () => undefined);
    server.write(begun.subarray(0, headBytes));
    server.on("data", (bytes: Buffer) => void caller.write(bytes));
    let rest: Buffer = Buffer.alloc(0);
    const take = (bytes: Buffer): void => {
      if (!isStream) {
        this.#bytes += bytes.length;
        server.write(bytes);
        return;
      }
      rest = this.#carry(connection, rest.length === 0 ? bytes : Buffer.concat([rest, bytes]));
    };
    if (!isStream) this.#requests += 1;
    take(begun.subarray(headBytes));
    caller.on("data", take);
  }

  /** Every whole message meets its fate; what is left of the last one comes back. */
  #carry(connection: Connection, bytes: Buffer): Buffer {
    let at = 0;
    while (bytes.length - at >= FRAME_PREFIX_BYTES) {
      const end = at + FRAME_PREFIX_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      this.#meet(connection, bytes.subarray(at, end));
      at = end;
    }
    return bytes.subarray(at);
  }

  #meet({ from, to, server }: Connection, frame: Buffer): void {
    const kind = frame[FRAME_PREFIX_BYTES + 1] ?? 0;
    const isAnswer = ANSWERS.has(kind);
    this.#bytes += frame.length;
    if (!isAnswer && kind !== FRAME_KINDS["keep-alive"]) this.#requests += 1;
    if (!this.#isOpen(from, to)) return;
    const { isUnreliable, hasLongReordering } = this.weather;
    if (!isUnreliable) {
      server.write(frame);
      return;
    }
    if (this.#random.next() < LOSS) return;
    const waitMs = isAnswer ? 0 : this.#random.below(REQUEST_WAIT_MS_MAX + 1);
    const delayMs = isAnswer && hasLongReordering ? longDelayMs(this.#random) : waitMs;
    if (delayMs === 0) server.write(frame);
    else setTimeout(() => void server.write(frame), delayMs);
  }
}
