/**
 * Streams one snapshot to one member: a POST whose body is the install-snapshot envelope as a frame
 * and then the snapshot file as it stands on disk. One piece is in memory at a time.
 */
import type { ClientRequest } from "node:http";
import type { Clock, Envelope, Member, Timer } from "../../raft/index.ts";
import type { SnapshotSource } from "../../storage/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import { encodeEnvelope } from "./peer-codec.ts";
import type { PeerCaller } from "./peer-request.ts";

export const SNAPSHOT_PATH = "/raft/snapshot";
/** Seconds without a piece leaving, and for the other end to check the whole file. */
const IDLE_TICKS_MAX = 60;
const TICK_MS = 1_000;

export class SnapshotSender {
  readonly #source: SnapshotSource;
  readonly #request: ClientRequest | undefined;
  readonly #done: (ok: boolean) => void;
  readonly #timer: Timer;
  #idleTicks = 0;
  #isOver = false;

  constructor(
    context: { readonly caller: PeerCaller; readonly clock: Clock },
    member: Member,
    envelope: Envelope,
    source: SnapshotSource,
    done: (ok: boolean) => void,
  ) {
    const writer = new ByteWriter();
    encodeEnvelope(writer, envelope);
    const header = writer.take();
    this.#source = source;
    this.#done = done;
    this.#timer = context.clock.every(TICK_MS, () => this.#tick());
    this.#request = context.caller.call(member, {
      method: "POST",
      path: SNAPSHOT_PATH,
      headers: {
        "content-length": header.length + source.byteLength,
        "content-type": "application/octet-stream",
      },
      agent: false,
    });
    this.#request?.on("error", () => this.#finish(false));
    this.#request?.on("response", (response) => {
      response.on("error", () => undefined);
      response.resume();
      this.#finish(response.statusCode === 204);
    });
    this.#write(header);
  }

  /** Gives up; nothing is reported. */
  abort(): void {
    if (this.#isOver) return;
    this.#end();
  }

  #write(bytes: Uint8Array): void {
    // The next piece is read when this one has left: a source may use its memory again.
    this.#request?.write(bytes, (error) => {
      if (error === null || error === undefined) this.#readNext();
    });
  }

  #readNext(): void {
    if (this.#isOver) return;
    this.#idleTicks = 0;
    this.#source.read((error, bytes) => {
      if (this.#isOver) return;
      if (error !== undefined) this.#finish(false);
      else if (bytes === undefined) this.#request?.end();
      else this.#write(bytes);
    });
  }

  #tick(): void {
    this.#idleTicks += 1;
    if (this.#idleTicks > IDLE_TICKS_MAX || this.#request === undefined) this.#finish(false);
  }

  #finish(ok: boolean): void {
    if (this.#isOver) return;
    this.#end();
    this.#done(ok);
  }

  #end(): void {
    this.#isOver = true;
    this.#timer.cancel();
    this.#source.close();
    this.#request?.destroy();
  }
}
