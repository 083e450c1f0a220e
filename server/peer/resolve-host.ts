/**
 * Names to addresses without the thread pool. `dns.lookup` blocks one of libuv's four threads for
 * as long as a name server is silent, and the log is written by the same four; so c-ares is asked
 * first, and `lookup` only for what it does not know (names from the hosts file). IP literals never
 * come here: `net.connect` sees them itself.
 */
import { type LookupAddress, lookup, Resolver } from "node:dns";
import type { LookupFunction } from "node:net";
import type { Clock } from "../../raft/index.ts";

const CACHE_MS = 5_000;
const LOOPBACK: readonly LookupAddress[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];

type Resolved = (error: Error | null, addresses: readonly LookupAddress[]) => void;

interface CachedHost {
  readonly addresses: readonly LookupAddress[];
  readonly until: number;
}

export class HostResolver {
  readonly #clock: Clock;
  readonly #resolver = new Resolver({ timeout: 500, tries: 2 });
  readonly #cache = new Map<string, CachedHost>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For the `lookup` option of a connection. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.#resolve(host, (error, addresses) => {
      const first = addresses[0];
      if (error !== null || first === undefined) {
        callback(error ?? new Error(`no address for ${host}`), "", 0);
      } else if (options.all === true) {
        callback(null, [...addresses]);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };

  close(): void {
    this.#isClosed = true;
    this.#resolver.cancel();
  }

  #resolve(host: string, done: Resolved): void {
    const known = host === "localhost" ? LOOPBACK : this.#cached(host);
    if (known !== undefined) {
      process.nextTick(done, null, known);
      return;
    }
    const keep: Resolved = (error, addresses) => {
      if (error === null) this.#cache.set(host, { addresses, until: this.#clock.now() + CACHE_MS });
      done(error, addresses);
    };
    this.#resolver.resolve4(host, (error4, found4) => {
      if (error4 === null && found4.length > 0) {
        keep(null, withFamily(found4, 4));
        return;
      }
      this.#resolver.resolve6(host, (error6, found6) => {
        if (error6 === null && found6.length > 0) keep(null, withFamily(found6, 6));
        else if (this.#isClosed) done(error6, []);
        else
          lookup(host, { all: true }, (error, found) => keep(error, error === null ? found : []));
      });
    });
  }

  #cached(host: string): readonly LookupAddress[] | undefined {
    const cached = this.#cache.get(host);
    return cached !== undefined && cached.until > this.#clock.now() ? cached.addresses : undefined;
  }
}

function withFamily(addresses: readonly string[], family: 4 | 6): LookupAddress[] {
  return addresses.map((address) => ({ address, family }));
}
