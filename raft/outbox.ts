/**
 * What a node has to say since the last Ready: messages that may leave now, messages that promise
 * something and so wait for the disk, and the fate of reads.
 */
import type { Envelope } from "./message.ts";
import type { ReadState } from "./ready.ts";

const NOTHING: readonly never[] = [];

export class Outbox {
  #messages: Envelope[] = [];
  #messagesAfterSync: Envelope[] = [];
  #readStates: ReadState[] = [];
  #abortedReads: number[] = [];

  get isEmpty(): boolean {
    return (
      this.#messages.length === 0 &&
      this.#messagesAfterSync.length === 0 &&
      this.#readStates.length === 0 &&
      this.#abortedReads.length === 0
    );
  }

  get hasMessagesAfterSync(): boolean {
    return this.#messagesAfterSync.length > 0;
  }

  send(envelope: Envelope): void {
    this.#messages.push(envelope);
  }

  /** Thesis 3.8: what promises something leaves when the promise is on disk. */
  sendAfterSync(envelope: Envelope): void {
    const last = this.#messagesAfterSync.at(-1);
    if (last !== undefined && supersedes(envelope, last)) this.#messagesAfterSync.pop();
    this.#messagesAfterSync.push(envelope);
  }

  readConfirmed(context: number, index: number): void {
    this.#readStates.push({ context, index });
  }

  readAborted(context: number): void {
    this.#abortedReads.push(context);
  }

  takeMessages(): readonly Envelope[] {
    if (this.#messages.length === 0) return NOTHING;
    const taken = this.#messages;
    this.#messages = [];
    return taken;
  }

  takeMessagesAfterSync(): readonly Envelope[] {
    if (this.#messagesAfterSync.length === 0) return NOTHING;
    const taken = this.#messagesAfterSync;
    this.#messagesAfterSync = [];
    return taken;
  }

  takeReadStates(): readonly ReadState[] {
    if (this.#readStates.length === 0) return NOTHING;
    const taken = this.#readStates;
    this.#readStates = [];
    return taken;
  }

  takeAbortedReads(): readonly number[] {
    if (this.#abortedReads.length === 0) return NOTHING;
    const taken = this.#abortedReads;
    this.#abortedReads = [];
    return taken;
  }
}

/** Of several acknowledgements that wait for one flush, the furthest says it all. */
function supersedes(next: Envelope, last: Envelope): boolean {
  if (next.to !== last.to || next.term !== last.term) return false;
  if (next.message.kind !== "append-entries-response") return false;
  if (last.message.kind !== "append-entries-response") return false;
  if (next.message.result !== "accepted" || last.message.result !== "accepted") return false;
  return next.message.matchIndex >= last.message.matchIndex;
}
