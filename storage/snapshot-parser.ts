/**
 * Takes a snapshot file's bytes in pieces of any size and hands out what has been proven: the
 * description, then each chunk. Any damage is a CorruptionError that names file and offset.
 */
import { getUint32 } from "./bytes.ts";
import { checksum, checksumOfFirst } from "./checksum.ts";
import { CorruptionError, MalformedError } from "./errors.ts";
import {
  type DescribedSnapshot,
  decodeDescription,
  decodeFooter,
  FRAME_BYTES_MAX,
  FRAME_CHUNK,
  FRAME_DESCRIPTION,
  FRAME_FOOTER,
  FRAME_HEADER_BYTES,
} from "./snapshot-codec.ts";

export class SnapshotParser {
  readonly #file: string;
  readonly #onChunk: (bytes: Uint8Array) => void;
  #pending: Buffer = Buffer.alloc(0);
  /** Where `#pending` begins in the file. */
  #offset = 0;
  #frames = 0;
  #stateBytes = 0;
  #checksum = 0;
  #description: DescribedSnapshot | undefined;
  #closed = false;

  constructor(file: string, onChunk: (bytes: Uint8Array) => void) {
    this.#file = file;
    this.#onChunk = onChunk;
  }

  get description(): DescribedSnapshot | undefined {
    return this.#description;
  }

  feed(bytes: Uint8Array): void {
    this.#pending =
      this.#pending.length === 0 ? viewOf(bytes) : Buffer.concat([this.#pending, bytes]);
    let at = 0;
    for (;;) {
      const frameBytes = this.#frameBytes(at);
      if (frameBytes === undefined || at + frameBytes > this.#pending.length) break;
      this.#frame(this.#pending.subarray(at, at + frameBytes), this.#offset + at);
      at += frameBytes;
    }
    // What is left is kept beyond this call, while `bytes` belongs to the caller again.
    this.#pending = Buffer.from(this.#pending.subarray(at));
    this.#offset += at;
  }

  /** To be called at the end of the file. */
  end(): DescribedSnapshot {
    if (!this.#closed || this.#description === undefined || this.#pending.length > 0) {
      throw this.#corrupt(this.#offset, "the snapshot ends too early");
    }
    return this.#description;
  }

  /** Undefined while the header is incomplete; its length is believed only when its CRC holds. */
  #frameBytes(at: number): number | undefined {
    const offset = this.#offset + at;
    if (this.#closed && at < this.#pending.length) {
      throw this.#corrupt(offset, "bytes follow the footer");
    }
    if (at + FRAME_HEADER_BYTES > this.#pending.length) return undefined;
    const head = this.#pending.subarray(at, at + FRAME_HEADER_BYTES);
    if (checksumOfFirst(head, 16) !== getUint32(head, 16)) {
      throw this.#corrupt(offset, "a frame header fails its checksum");
    }
    const payloadBytes = getUint32(head, 8);
    if (payloadBytes > FRAME_BYTES_MAX) throw this.#corrupt(offset, "a frame is too long");
    return FRAME_HEADER_BYTES + payloadBytes;
  }

  #frame(frame: Buffer, offset: number): void {
    const payload = frame.subarray(FRAME_HEADER_BYTES);
    if (checksum(payload) !== getUint32(frame, 12)) {
      throw this.#corrupt(offset + FRAME_HEADER_BYTES, "a frame fails its checksum");
    }
    if (getUint32(frame, 4) !== this.#frames) throw this.#corrupt(offset, "a frame is missing");
    try {
      this.#take(getUint32(frame, 0), payload, offset);
    } catch (error) {
      if (error instanceof MalformedError) throw this.#corrupt(offset, error.message);
      throw error;
    }
    this.#frames += 1;
    this.#checksum = checksum(frame, this.#checksum);
  }

  #take(kind: number, payload: Buffer, offset: number): void {
    const isFirst = this.#frames === 0;
    if (isFirst !== (kind === FRAME_DESCRIPTION)) {
      throw this.#corrupt(offset, "the description is not the first frame");
    }
    switch (kind) {
      case FRAME_DESCRIPTION:
        this.#description = decodeDescription(payload);
        return;
      case FRAME_CHUNK:
        this.#stateBytes += payload.length;
        this.#onChunk(payload);
        return;
      case FRAME_FOOTER:
        this.#footer(payload, offset);
        return;
      default:
        throw this.#corrupt(offset, `frame kind ${kind} is unknown`);
    }
  }

  #footer(payload: Buffer, offset: number): void {
    const footer = decodeFooter(payload);
    const whole =
      footer.chunkCount === this.#frames - 1 &&
      footer.stateBytes === this.#stateBytes &&
      footer.fileChecksum === this.#checksum;
    if (!whole) throw this.#corrupt(offset, "the footer does not fit the file");
    this.#closed = true;
  }

  #corrupt(offset: number, reason: string): CorruptionError {
    return new CorruptionError(this.#file, offset, reason);
  }
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
