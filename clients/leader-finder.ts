/**
 * Which node to take for the leader. Pure: it is told what went wrong and says where to go next;
 * while nothing goes wrong, it stays where it is.
 *
 * Nodes are asked not to forward, so that one that does not lead names the leader and all further
 * requests save the extra hop. A named leader comes first, else the configured nodes take turns.
 *
 * Invariants:
 * - a hint is dropped at its first failure, and the turns go on from where they were: a node that
 *   keeps naming a dead leader cannot keep us from asking the others;
 * - news about any endpoint but the current one is old and changes nothing: of fifty requests
 *   that lost the same leader, the first moves on and the others follow.
 */
import { type EndpointChooser, hintedEndpoint, type Target } from "./endpoint.ts";

export class LeaderFinder implements EndpointChooser {
  readonly #endpoints: readonly string[];
  /** Whose turn it is among the configured endpoints. */
  #turn = 0;
  #hint: string | undefined = undefined;
  /**
   * True after a named leader that is not a configured endpoint could not be reached: its address
   * may only work inside the cluster's own network. Then the node that named it forwards.
   */
  #forward = false;

  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
  }

  next(): Target {
    return { endpoint: this.#current(), forward: this.#forward };
  }

  redirected(endpoint: string, leader: string | undefined): boolean {
    if (endpoint !== this.#current()) return true;
    const hint = hintedEndpoint(leader, endpoint);
    if (hint === undefined || hint === endpoint) {
      this.#moveOn(endpoint);
      return false;
    }
    this.#hint = hint;
    return true;
  }

  unavailable(endpoint: string): void {
    if (endpoint === this.#current()) this.#moveOn(endpoint);
  }

  unreachable(endpoint: string): void {
    if (endpoint !== this.#current()) return;
    if (this.#endpoints.includes(endpoint)) {
      this.#moveOn(endpoint);
    } else {
      this.#hint = undefined;
      this.#forward = true;
    }
  }

  #moveOn(failed: string): void {
    this.#hint = undefined;
    this.#forward = false;
    this.#turn = (this.#turn + 1) % this.#endpoints.length;
    if (this.#current() === failed) this.#turn = (this.#turn + 1) % this.#endpoints.length;
  }

  #current(): string {
    return this.#hint ?? this.#endpoints[this.#turn] ?? "";
  }
}
