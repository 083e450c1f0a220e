/**
 * Clients that work while everything breaks, through the TypeScript client with its sessions and
 * retries. All they do is written down: the history for the checker, what must be there in the end
 * for the audit, and the acknowledgements in time for whoever asks how long nobody could write.
 *
 * Two kinds of keys: shared ones, which all clients read, write, delete and list, a fresh set
 * every few seconds so that each stays checkable; and keys that are written once, by one client,
 * with the condition that they are absent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Entry, KvClient, KvClientError, type KvClientOptions } from "../../clients/index.ts";
import { SeededRandom } from "../../raft/index.ts";
import { HistoryRecorder, type ObservedRecord } from "../linearizability/index.ts";
import { Pulse } from "./pulse.ts";
import { contentOf, labelOf } from "./value.ts";

export const ONCE_PREFIX = "once/";
const SHARED_KEYS = 10;
const EPOCH_MS = 5_000;
const CALM_MS_MAX = 16;
type Temper = Required<Pick<KvClientOptions, "timeoutMs" | "session">>;
const PATIENT: Temper = { timeoutMs: 8_000, session: true };
/**
 * Clients of all tempers: one waits long and so always learns what became of its writes, one gives
 * up early, and one writes without a session; the last two meet outcomes that stay unknown. And
 * while half of them find the leader, the others know one node and no other, so that followers read
 * and forward, and a leader that was left behind is still asked.
 */
const TEMPERS: readonly Temper[] = [
  PATIENT,
  { timeoutMs: 1_000, session: true },
  { timeoutMs: 3_000, session: false },
];
const TRY_TIMEOUT_MS = 700;
/** Of the values, one in so many is big. */
const BIG_EVERY = 40;
const BIG_BYTES = 6_000;

export interface WorkloadOptions {
  readonly endpoints: readonly string[];
  readonly clients: number;
  readonly seed: number;
}

/** A key that was written once. */
export interface OnceKey {
  readonly label: string;
  readonly outcome: "ok" | "fail" | "unknown";
}

export class Workload {
  readonly recorder = new HistoryRecorder(() => Math.round(performance.now() - this.#startedAtMs));
  readonly pulse = new Pulse();
  readonly once = new Map<string, OnceKey>();
  readonly #options: WorkloadOptions;
  readonly #startedAtMs = performance.now();
  readonly #clients: KvClient[] = [];
  readonly #loops: Promise<void>[] = [];
  readonly #prefixes = new Set<string>();
  #isStopping = false;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  start(): void {
    for (let index = 0; index < this.#options.clients; index += 1) {
      this.#loops.push(this.#work(index));
    }
  }

  /** Lets what is under way come to its end. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** One more look at every shared key, when all is calm. */
  async readEverything(): Promise<void> {
    const { endpoints, seed } = this.#options;
    const worker = this.#worker("last", seed, { ...PATIENT, endpoints });
    for (const prefix of this.#prefixes) await worker.list(prefix);
    await worker.kv.close();
  }

  async #work(index: number): Promise<void> {
    const seed = this.#options.seed * 1000 + index;
    const random = new SeededRandom(seed);
    const { endpoints } = this.#options;
    const own = endpoints[(index >> 1) % endpoints.length];
    const worker = this.#worker(`c${index + 1}`, seed + 500, {
      ...(TEMPERS[index % TEMPERS.length] ?? PATIENT),
      endpoints: index % 2 === 0 || own === undefined ? endpoints : [own],
    });
    this.#clients.push(worker.kv);
    while (!this.#isStopping) {
      await this.#act(worker, random);
      await sleep(random.next() * CALM_MS_MAX);
    }
  }

  #worker(name: string, seed: number, temper: Temper & Pick<KvClientOptions, "endpoints">): Worker {
    const random = new SeededRandom(seed);
    const kv = new KvClient({
      ...temper,
      retry: { tryTimeoutMs: TRY_TIMEOUT_MS },
      random: () => random.next(),
    });
    return new Worker(name, kv, this);
  }

  async #act(worker: Worker, random: SeededRandom): Promise<void> {
    const epoch = Math.floor((performance.now() - this.#startedAtMs) / EPOCH_MS);
    const prefix = `shared/${String(epoch).padStart(5, "0")}/`;
    this.#prefixes.add(prefix);
    const key = `${prefix}${random.below(SHARED_KEYS)}`;
    const bigBytes = random.below(BIG_EVERY) === 0 ? BIG_BYTES : 0;
    switch (random.below(20)) {
      case 0:
        return await worker.list(prefix);
      case 1:
      case 2:
        return await worker.delete(key);
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        return await worker.get(key);
      case 8:
      case 9:
      case 10:
        return await worker.create(bigBytes);
      case 11:
        return await worker.replace(key, bigBytes);
      case 12:
        return await worker.put(key, bigBytes, true);
      default:
        return await worker.put(key, bigBytes, false);
    }
  }
}

/** One client: one operation at a time, each written down. */
class Worker {
  readonly kv: KvClient;
  readonly #name: string;
  readonly #workload: Workload;
  #written = 0;
  /** What it saw last of some keys, to write with the condition that it is still so. */
  readonly #seen = new Map<string, number>();

  constructor(name: string, kv: KvClient, workload: Workload) {
    this.#name = name;
    this.kv = kv;
    this.#workload = workload;
  }

  async get(key: string): Promise<void> {
    const call = this.#workload.recorder.call(this.#name, { kind: "get", key });
    try {
      const entry = await this.kv.get(key);
      call.ok({ kind: "record", record: entry === undefined ? null : recordOf(entry) });
      if (entry !== undefined) this.#seen.set(key, entry.revision);
    } catch (error) {
      call[outcomeOf(error)]();
    }
  }

  async list(prefix: string): Promise<void> {
    const call = this.#workload.recorder.call(this.#name, { kind: "list", prefix });
    try {
      const { items, revision } = await this.kv.list({ prefix });
      const shown = items.map((entry) => ({ key: String(entry.key), record: recordOf(entry) }));
      call.ok({ kind: "list", items: shown, revision });
    } catch (error) {
      call[outcomeOf(error)]();
    }
  }

  async put(key: string, bigBytes: number, ifAbsent: boolean): Promise<void> {
    const label = this.#label(bigBytes);
    const condition = ifAbsent ? { kind: "absent" as const } : { kind: "none" as const };
    await this.#put(key, label, condition);
  }

  /** Only if nobody has written since this client looked. */
  async replace(key: string, bigBytes: number): Promise<void> {
    const revision = this.#seen.get(key);
    if (revision === undefined) return await this.get(key);
    await this.#put(key, this.#label(bigBytes), { kind: "revision", revision });
  }

  /** A key of its own, written once. */
  async create(bigBytes: number): Promise<void> {
    const label = this.#label(bigBytes);
    const key = `${ONCE_PREFIX}${label}`;
    const outcome = await this.#put(key, label, { kind: "absent" });
    this.#workload.once.set(key, { label, outcome });
  }

  async delete(key: string): Promise<void> {
    const call = this.#workload.recorder.call(this.#name, { kind: "delete", key });
    const begunAtMs = performance.now();
    try {
      const { deleted, revision } = await this.kv.delete(key);
      call.ok({ kind: "deleted", deleted: deleted ? 1 : 0, revision });
      this.#workload.pulse.acknowledged(begunAtMs);
    } catch (error) {
      call[outcomeOf(error)]();
    }
  }

  async #put(key: string, label: string, condition: WriteCondition): Promise<OnceKey["outcome"]> {
    const { recorder, pulse } = this.#workload;
    const call = recorder.call(this.#name, { kind: "put", key, value: label, condition });
    const begunAtMs = performance.now();
    try {
      const written = await this.kv.put(key, contentOf(label), optionsOf(condition));
      if (written.ok) {
        const { revision, createRevision, version } = written;
        call.ok({ kind: "put", revision, createRevision, version });
        this.#seen.set(key, revision);
      } else {
        const current = written.current === undefined ? null : recordOf(written.current);
        call.ok({ kind: "condition-failed", current });
      }
      pulse.acknowledged(begunAtMs);
      return written.ok ? "ok" : "fail";
    } catch (error) {
      const outcome = outcomeOf(error);
      call[outcome]();
      return outcome;
    }
  }

  #label(bigBytes: number): string {
    this.#written += 1;
    const name = `${this.#name}-${this.#written}`;
    return bigBytes === 0 ? name : `${name}~${bigBytes}`;
  }
}

type WriteCondition =
  | { readonly kind: "none" }
  | { readonly kind: "absent" }
  | { readonly kind: "revision"; readonly revision: number };

function optionsOf(condition: WriteCondition) {
  switch (condition.kind) {
    case "none":
      return {};
    case "absent":
      return { ifAbsent: true } as const;
    default:
      return { ifRevision: condition.revision };
  }
}

function recordOf({ value, revision, createRevision, version }: Entry): ObservedRecord {
  return { value: labelOf(value), revision, createRevision, version };
}

function outcomeOf(error: unknown): "fail" | "unknown" {
  if (!(error instanceof KvClientError)) throw error;
  return error.outcome === "not_applied" ? "fail" : "unknown";
}
