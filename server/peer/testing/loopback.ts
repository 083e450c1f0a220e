/**
 * Transports on loopback for tests: real sockets on ports the system picks, events recorded and
 * awaited (never slept for), the one-second tick driven by hand.
 */
import type { Clock, Entry, Envelope, Member, Message, Timer } from "../../../raft/index.ts";
import { SeededRandom } from "../../../raft/index.ts";
import { encodeEntry, type ReceivedSnapshot } from "../../../storage/index.ts";
import { SystemClock } from "../../clock.ts";
import type { Membership } from "../handshake.ts";
import { HttpTransport, type TransportNotice } from "../http-transport.ts";
import type { PeerMessage } from "../peer-message.ts";
import type { Caller, PeerInfo } from "../transport.ts";
import { MemorySnapshotStore } from "./memory-snapshots.ts";

export type LoopbackEvent =
  | { readonly kind: "message"; readonly message: PeerMessage }
  | { readonly kind: "snapshot-received"; readonly received: ReceivedSnapshot }
  | { readonly kind: "snapshot-sent"; readonly to: number; readonly ok: boolean }
  | { readonly kind: "up"; readonly info: PeerInfo }
  | { readonly kind: "down"; readonly id: number }
  | { readonly kind: "notice"; readonly notice: TransportNotice };

/** Time passes by itself, except that intervals only fire when told to. */
export class HandTickedClock implements Clock {
  readonly #real = new SystemClock();
  readonly #intervals = new Set<() => void>();

  now(): number {
    return this.#real.now();
  }

  every(_intervalMs: number, run: () => void): Timer {
    this.#intervals.add(run);
    return { cancel: () => this.#intervals.delete(run) };
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#real.after(delayMs, run);
  }

  soon(run: () => void): void {
    this.#real.soon(run);
  }

  tick(): void {
    for (const run of this.#intervals) run();
  }
}

interface Waiter {
  readonly matches: (event: LoopbackEvent) => boolean;
  readonly resolve: () => void;
}

export class LoopbackNode {
  readonly id: number;
  readonly clock = new HandTickedClock();
  readonly snapshots = new MemorySnapshotStore();
  readonly events: LoopbackEvent[] = [];
  readonly transport: HttpTransport;
  membership: (caller: Caller) => Membership = () => "member";
  isFresh = false;
  configurationIndex = 0;
  #waiters: Waiter[] = [];

  constructor(id: number, incarnation = 100 + id, listenAddress = "127.0.0.1:0") {
    this.id = id;
    this.transport = new HttpTransport({
      self: { id, incarnation, clusterId: "loopback", peerAddress: listenAddress },
      clock: this.clock,
      random: new SeededRandom(id),
      snapshots: this.snapshots,
      membership: (caller) => this.membership(caller),
      isFresh: () => this.isFresh,
      configurationIndex: () => this.configurationIndex,
      notice: (notice) => this.#record({ kind: "notice", notice }),
      events: {
        message: (message) => this.#record({ kind: "message", message }),
        snapshotReceived: (_envelope, received) =>
          this.#record({ kind: "snapshot-received", received }),
        snapshotSent: (to, ok) => this.#record({ kind: "snapshot-sent", to, ok }),
        peerUp: (info) => this.#record({ kind: "up", info }),
        peerDown: (downId) => this.#record({ kind: "down", id: downId }),
      },
      outboxBytesMax: 4 * 1024 * 1024,
    });
  }

  get port(): number {
    return this.transport.address?.port ?? 0;
  }

  get member(): Member {
    return memberAt(this.id, this.port);
  }

  get messages(): PeerMessage[] {
    return this.events.flatMap((event) => (event.kind === "message" ? [event.message] : []));
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.transport.listen((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.transport.close(resolve);
    });
  }

  /** Resolves at the first event, past or coming, that matches. */
  until(matches: (event: LoopbackEvent) => boolean): Promise<void> {
    if (this.events.some(matches)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ matches, resolve });
    });
  }

  /** Resolves when `count` messages have arrived. */
  untilMessages(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count);
  }

  untilUp(id: number): Promise<void> {
    return this.until((event) => event.kind === "up" && event.info.id === id);
  }

  /** Forgets what has happened, so that `until` waits for it to happen again. */
  forget(): void {
    this.events.length = 0;
  }

  #record(event: LoopbackEvent): void {
    this.events.push(event);
    const due = this.#waiters.filter((waiter) => waiter.matches(event));
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    for (const waiter of due) waiter.resolve();
  }
}

/** Nodes 1 to `count`, all listening, every link up. */
export async function connectedNodes(count: number): Promise<LoopbackNode[]> {
  const nodes = Array.from({ length: count }, (_, at) => new LoopbackNode(at + 1));
  await Promise.all(nodes.map((node) => node.listen()));
  const members = nodes.map((node) => node.member);
  for (const node of nodes) node.transport.setMembers(members);
  for (const node of nodes) {
    for (const other of nodes) if (other !== node) await node.untilUp(other.id);
  }
  return nodes;
}

export function memberAt(id: number, port: number): Member {
  const peerAddress = `127.0.0.1:${port}`;
  return { id, incarnation: 0, role: "voter", peerAddress, clientAddress: "127.0.0.1:1" };
}

export function envelope(from: number, to: number, message: Message, term = 7): Envelope {
  return { group: 0, from, to, term, isRecovering: false, message };
}

/** A command entry of `byteLength` data bytes, encoded as it would be before it is sent. */
export function commandEntry(index: number, byteLength: number): Entry {
  const data = new Uint8Array(byteLength).fill(index % 256);
  const entry: Entry = { type: "command", group: 0, term: 7, index, time: 1_000 + index, data };
  encodeEntry(entry, { term: 7, checksum: index });
  return entry;
}
