/**
 * A simulated network of one-way links that lose, copy, hold back and overtake. It decides what
 * happens to a packet and when; it never looks inside one.
 */
import type { SeededRandom } from "../random.ts";
import type { NodeId } from "../types.ts";
import type { Coverage } from "./coverage.ts";

export interface NetworkFaults {
  /** Each a chance from 0 to 1 for every packet. */
  readonly drop: number;
  readonly duplicate: number;
  readonly delay: number;
  /** How long a delayed packet is held back at most; ordinary ones take 1 to 5 ms. */
  readonly delayMsMax: number;
  /** Packets of one link may overtake each other. */
  readonly reorder: boolean;
}

export const CALM: NetworkFaults = {
  drop: 0,
  duplicate: 0,
  delay: 0,
  delayMsMax: 0,
  reorder: false,
};

export class Network {
  faults: NetworkFaults = CALM;
  readonly #random: SeededRandom;
  readonly #coverage: Coverage;
  readonly #blocked = new Set<string>();
  /** When the packet sent last on each link arrives. */
  readonly #lastArrivalMs = new Map<string, number>();

  constructor(random: SeededRandom, coverage: Coverage) {
    this.#random = random;
    this.#coverage = coverage;
  }

  block(from: NodeId, to: NodeId): void {
    this.#blocked.add(`${from}>${to}`);
  }

  heal(): void {
    this.#blocked.clear();
  }

  /** When the copies of a packet sent now arrive; none when it is lost. */
  arrivals(from: NodeId, to: NodeId, nowMs: number): readonly number[] {
    const link = `${from}>${to}`;
    if (this.#blocked.has(link)) {
      this.#coverage.count("blocked");
      return [];
    }
    const { faults } = this;
    if (faults.drop > 0 && this.#random.next() < faults.drop) {
      this.#coverage.count("drop");
      return [];
    }
    const arrivals = [this.#arrival(link, nowMs)];
    if (faults.duplicate > 0 && this.#random.next() < faults.duplicate) {
      this.#coverage.count("duplicate");
      arrivals.push(this.#arrival(link, nowMs));
    }
    return arrivals;
  }

  #arrival(link: string, nowMs: number): number {
    const { faults } = this;
    let atMs = nowMs + 1 + this.#random.next() * 4;
    if (faults.delay > 0 && this.#random.next() < faults.delay) {
      this.#coverage.count("delay");
      atMs += this.#random.next() * faults.delayMsMax;
    }
    const lastMs = this.#lastArrivalMs.get(link) ?? 0;
    if (atMs >= lastMs) this.#lastArrivalMs.set(link, atMs);
    else if (faults.reorder) this.#coverage.count("reorder");
    else atMs = lastMs;
    return atMs;
  }
}
