/**
 * Load from the TypeScript client while nodes die: writers, each with its ledger, and readers that
 * check that what was acknowledged before they asked is seen. Remembers when writes began and were
 * acknowledged, for whoever measures how long nobody could write.
 */
import { KvClient, KvClientError } from "../../clients/index.ts";
import { SeededRandom } from "../../raft/index.ts";
import { Ledger } from "./ledger.ts";

export interface LoadOptions {
  readonly endpoints: readonly string[];
  readonly writers: number;
  readonly readers: number;
  readonly seed: number;
}

const WRITERS_PER_CLIENT = 2;

interface Waiter {
  readonly begunAfterMs: number;
  readonly resolve: (atMs: number) => void;
}

export class Load {
  readonly ledgers: readonly Ledger[];
  reads = 0;
  failedReads = 0;
  /** The highest revision of an acknowledgement. */
  revision = 0;
  readonly violations: string[] = [];
  readonly #clients: KvClient[] = [];
  readonly #loops: Promise<void>[] = [];
  readonly #options: LoadOptions;
  #waiters: Waiter[] = [];
  #isStopping = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.ledgers = Array.from({ length: options.writers }, (_, index) => new Ledger(`w${index}`));
  }

  get acknowledged(): number {
    return this.ledgers.reduce((sum, ledger) => sum + ledger.acknowledged, 0);
  }

  get unknown(): number {
    return this.ledgers.reduce((sum, ledger) => sum + ledger.unknown, 0);
  }

  start(): void {
    let client = this.#client(0);
    this.ledgers.forEach((ledger, index) => {
      if (index > 0 && index % WRITERS_PER_CLIENT === 0) client = this.#client(index);
      this.#loops.push(this.#write(client, ledger));
    });
    for (let index = 0; index < this.#options.readers; index += 1) {
      const random = new SeededRandom(this.#options.seed + 7919 * (index + 1));
      this.#loops.push(this.#read(this.#client(1000 + index), random));
    }
  }

  /** Lets what is under way come to its end. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** When the next write that begins after `begunAfterMs` is acknowledged. */
  nextAcknowledgement(begunAfterMs: number): Promise<number> {
    return new Promise((resolve) => {
      this.#waiters.push({ begunAfterMs, resolve });
    });
  }

  #client(number: number): KvClient {
    const random = new SeededRandom(this.#options.seed + number);
    const { endpoints } = this.#options;
    const client = new KvClient({ endpoints, random: () => random.next() });
    this.#clients.push(client);
    return client;
  }

  async #write(client: KvClient, ledger: Ledger): Promise<void> {
    while (!this.#isStopping) {
      const intent = ledger.next();
      const begunAtMs = performance.now();
      try {
        const written = await client.put(
          intent.key,
          intent.value,
          intent.ifAbsent ? { ifAbsent: true } : {},
        );
        ledger.acknowledge(intent, written.ok ? written.version : undefined);
        if (written.ok) this.revision = Math.max(this.revision, written.revision);
        this.#acknowledged(begunAtMs);
      } catch (error) {
        if (!(error instanceof KvClientError)) throw error;
        ledger.fail(intent, error.outcome);
      }
    }
  }

  #acknowledged(begunAtMs: number): void {
    if (this.#waiters.length === 0) return;
    const now = performance.now();
    const met = this.#waiters.filter(({ begunAfterMs }) => begunAtMs >= begunAfterMs);
    this.#waiters = this.#waiters.filter(({ begunAfterMs }) => begunAtMs < begunAfterMs);
    for (const { resolve } of met) resolve(now);
  }

  async #read(client: KvClient, random: SeededRandom): Promise<void> {
    while (!this.#isStopping) {
      const ledger = this.ledgers[random.below(this.ledgers.length)];
      if (ledger === undefined) return;
      const known = ledger.counterVersionMin;
      try {
        const entry = await client.get(ledger.counterKey);
        const seen = entry?.version ?? 0;
        this.reads += 1;
        if (seen < known) {
          const what = `version ${seen} of ${ledger.counterKey}`;
          this.violations.push(`a read saw ${what} after ${known} was acknowledged`);
        }
      } catch (error) {
        if (!(error instanceof KvClientError)) throw error;
        this.failedReads += 1;
      }
    }
  }
}
