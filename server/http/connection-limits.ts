/**
 * How many connections clients may hold at a time: in all, and from one address, so that no single
 * machine keeps the others out. Whoever is on this machine (a proxy that brings in everybody, a
 * load test) is only counted with all.
 */
import { isLoopback } from "../address.ts";

export interface ConnectionMaxima {
  readonly inAll: number;
  readonly perAddress: number;
}

export class ConnectionLimits {
  readonly #maxima: ConnectionMaxima;
  readonly #byAddress = new Map<string, number>();
  #inAll = 0;

  constructor(maxima: ConnectionMaxima) {
    this.#maxima = maxima;
  }

  /** Counts a connection; or says why there may not be another one. */
  take(address: string): string | undefined {
    const { inAll, perAddress } = this.#maxima;
    if (this.#inAll >= inAll) {
      return `This node serves at most ${inAll} connections at a time (--max-connections).`;
    }
    const held = this.#byAddress.get(address) ?? 0;
    if (held >= perAddress && !isThisMachine(address)) {
      return (
        `This node serves at most ${perAddress} connections from one address ` +
        "(--max-connections-per-address)."
      );
    }
    this.#inAll += 1;
    this.#byAddress.set(address, held + 1);
    return undefined;
  }

  /** For each one taken, when it has ended. */
  release(address: string): void {
    this.#inAll -= 1;
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }
}

/** A socket that listens on IPv6 shows IPv4 addresses as mapped ones. */
function isThisMachine(address: string): boolean {
  return isLoopback(address.replace(/^::ffff:/u, ""));
}
