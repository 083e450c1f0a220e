/**
 * One session as this side sees it: which sequences are unanswered. The servers remember the
 * answer to every sequence from the lowest unanswered one on, so that a repeat is answered and
 * not applied again (thesis 6.3). Knows nothing of HTTP.
 *
 * Invariants:
 * - a sequence is handed out once, in rising order, and keeps its place until it is finished;
 * - the sequences from the lowest unanswered to the newest never span more than the window, which
 *   bounds what the servers have to remember. A write that would is queued, first come first
 *   served.
 *
 * A write given up with an unknown outcome is finished, too: from then on the servers refuse a
 * late copy of it, since its sequence is below the lowest unanswered.
 */
import type { Operation } from "./operation.ts";

/** What the servers are asked to remember for one session, at most. */
export const SEQUENCES_UNANSWERED_MAX = 512;

export class Session {
  readonly id: string;
  /** True when the servers no longer know it. */
  isExpired = false;
  #next = 1;
  /** In rising order, since sequences are added in that order. */
  readonly #unanswered = new Set<number>();
  /** In order of arrival; each is called once when it may try to begin. */
  readonly #queue = new Set<() => void>();
  readonly #windowMax: number;

  constructor(id: string, windowMax = SEQUENCES_UNANSWERED_MAX) {
    this.id = id;
    this.#windowMax = windowMax;
  }

  get unansweredCount(): number {
    return this.#unanswered.size;
  }

  /** The sequence of a new write; waits while the window is full. Undefined once expired. */
  async begin(operation: Operation): Promise<number | undefined> {
    operation.check();
    if (this.isExpired) return undefined;
    if (this.#hasRoom() && this.#queue.size === 0) return this.#take();
    return new Promise((resolve, reject) => {
      const admit = () => {
        stop();
        resolve(this.isExpired ? undefined : this.#take());
      };
      const stop = operation.onEnd((error) => {
        this.#queue.delete(admit);
        reject(error);
      });
      this.#queue.add(admit);
    });
  }

  /** The write was answered, or is given up. */
  finish(sequence: number): void {
    this.#unanswered.delete(sequence);
    this.#admit();
  }

  expire(): void {
    this.isExpired = true;
    this.#admit();
  }

  /** The value of the `Session` header for a try made now. */
  header(sequence: number): string {
    return `${this.id};${sequence};${this.#lowestUnanswered()}`;
  }

  #admit(): void {
    for (const admit of this.#queue) {
      if (!this.isExpired && !this.#hasRoom()) return;
      this.#queue.delete(admit);
      admit();
    }
  }

  #take(): number {
    const sequence = this.#next;
    this.#next += 1;
    this.#unanswered.add(sequence);
    return sequence;
  }

  #hasRoom(): boolean {
    return this.#next - this.#lowestUnanswered() < this.#windowMax;
  }

  #lowestUnanswered(): number {
    for (const sequence of this.#unanswered) return sequence;
    return this.#next;
  }
}
