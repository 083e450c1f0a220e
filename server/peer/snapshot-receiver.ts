/**
 * Takes a snapshot that another member sends: an install-snapshot frame, then the file's raw bytes
 * straight into storage, as fast as the disk takes them. It is handed on only when it is whole,
 * passed every checksum and is the snapshot its envelope announced; otherwise nothing stays.
 *
 * One per sender: a sender that starts again has given up the one before.
 */
import type { IncomingMessage } from "node:http";
import { type Envelope, InvariantError } from "../../raft/index.ts";
import type { ReceivedSnapshot, SnapshotSink } from "../../storage/index.ts";
import { PeerProtocolError } from "./errors.ts";
import { FrameReader } from "./frame-reader.ts";
import type { Handshake } from "./handshake.ts";
import { bodyChunks } from "./messages-body.ts";
import type { PeerRefusal } from "./peer-app.ts";
import { decodeFrame } from "./peer-codec.ts";

const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024 * 1024;

export interface SnapshotStore {
  receiveSnapshot(): SnapshotSink;
  discardSnapshot(received: ReceivedSnapshot): void;
}

export class SnapshotReceiver {
  readonly #store: SnapshotStore;
  readonly #received: (envelope: Envelope, received: ReceivedSnapshot) => void;
  readonly #bySender = new Map<number, IncomingMessage>();

  constructor(
    store: SnapshotStore,
    received: (envelope: Envelope, received: ReceivedSnapshot) => void,
  ) {
    this.#store = store;
    this.#received = received;
  }

  async receive(incoming: IncomingMessage, handshake: Handshake): Promise<PeerRefusal | undefined> {
    const bodyBytes = incoming.headers["content-length"];
    if (bodyBytes === undefined) return { status: 411, code: "LENGTH_REQUIRED" };
    if (Number(bodyBytes) > SNAPSHOT_BYTES_MAX) return { status: 413, code: "BODY_TOO_LARGE" };
    this.#bySender.get(handshake.from)?.destroy();
    this.#bySender.set(handshake.from, incoming);
    const intake = new Intake(this.#store, handshake);
    const outcome = await intake.run(incoming);
    if (this.#bySender.get(handshake.from) === incoming) this.#bySender.delete(handshake.from);
    if (outcome.kind === "refused") return outcome.refusal;
    this.#received(outcome.envelope, outcome.received);
    return undefined;
  }
}

type IntakeOutcome =
  | { readonly kind: "refused"; readonly refusal: PeerRefusal }
  | { readonly kind: "whole"; readonly envelope: Envelope; readonly received: ReceivedSnapshot };

/** One snapshot on its way in. */
class Intake {
  readonly #store: SnapshotStore;
  readonly #handshake: Handshake;
  #sink: SnapshotSink | undefined;
  #envelope: Envelope | undefined;

  constructor(store: SnapshotStore, handshake: Handshake) {
    this.#store = store;
    this.#handshake = handshake;
  }

  async run(incoming: IncomingMessage): Promise<IntakeOutcome> {
    try {
      return await this.#take(incoming);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#sink?.abort();
      const isProtocol = error instanceof PeerProtocolError;
      if (isProtocol) return refused(400, error.code);
      return incoming.errored !== null ? refused(400, "ABORTED") : refused(503, "NOT_STORED");
    }
  }

  async #take(incoming: IncomingMessage): Promise<IntakeOutcome> {
    const reader = new FrameReader();
    for await (const chunk of bodyChunks(incoming)) {
      if (this.#sink !== undefined) {
        await written(this.#sink, chunk);
        continue;
      }
      reader.push(chunk);
      const frame = reader.next();
      if (frame === undefined) continue;
      this.#envelope = announced(frame, this.#handshake);
      this.#sink = this.#store.receiveSnapshot();
      const rest = reader.rest();
      if (rest.length > 0) await written(this.#sink, rest);
    }
    if (this.#sink === undefined || this.#envelope === undefined) return refused(400, "CUT_SHORT");
    // Checking and syncing a large file may take longer than a silent socket is allowed to.
    incoming.socket.setTimeout(0);
    const sink = this.#sink;
    this.#sink = undefined;
    const received = await finished(sink);
    if (received === undefined) return refused(400, "DAMAGED_SNAPSHOT");
    if (!isAnnounced(this.#envelope, received)) {
      this.#store.discardSnapshot(received);
      return refused(400, "ANOTHER_SNAPSHOT");
    }
    return { kind: "whole", envelope: this.#envelope, received };
  }
}

function announced(frame: Buffer, handshake: Handshake): Envelope {
  const message = decodeFrame(frame);
  const isSnapshot =
    message?.kind === "raft" && message.envelope.message.kind === "install-snapshot";
  if (!isSnapshot) throw new PeerProtocolError("a snapshot begins with its envelope");
  const { envelope } = message;
  if (envelope.from !== handshake.from || envelope.to !== handshake.to) {
    throw new PeerProtocolError("a snapshot speaks for somebody else");
  }
  return envelope;
}

function isAnnounced(envelope: Envelope, received: ReceivedSnapshot): boolean {
  if (envelope.message.kind !== "install-snapshot") return false;
  const wanted = envelope.message.metadata;
  const found = received.description.metadata;
  return wanted.index === found.index && wanted.term === found.term && wanted.group === found.group;
}

function written(sink: SnapshotSink, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(bytes, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

/** Undefined when the file was refused. */
function finished(sink: SnapshotSink): Promise<ReceivedSnapshot | undefined> {
  return new Promise((resolve) => {
    sink.finish((_error, received) => resolve(received));
  });
}

function refused(status: PeerRefusal["status"], code: string): IntakeOutcome {
  return { kind: "refused", refusal: { status, code } };
}
