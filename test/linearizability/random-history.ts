/**
 * Random histories of a store that is right by construction: each operation takes effect at one
 * moment on a plain Map, and only calls, effects and answers of different clients are interleaved.
 * Knows nothing of models or searches, so that it can judge them.
 */
import type { SeededRandom } from "../../raft/index.ts";
import type { HistoryOperation, Input, ObservedRecord, Output } from "./history.ts";
import { HistoryRecorder, type RecordedCall } from "./history-recorder.ts";

export interface RandomHistoryOptions {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
  /** Of a hundred operations, so many are not answered, and so many certainly refused. */
  readonly unknownPercent: number;
  readonly failPercent: number;
  /** Of a hundred operations, so many are lists and so many transactions. */
  readonly listPercent: number;
  readonly txnPercent: number;
  /** False: a plain register, whose answers name no revisions or versions. */
  readonly hasVersions: boolean;
}

export const RANDOM_HISTORY_DEFAULTS: RandomHistoryOptions = {
  operations: 400,
  clients: 6,
  keys: 4,
  unknownPercent: 4,
  failPercent: 2,
  listPercent: 0,
  txnPercent: 0,
  hasVersions: true,
};

interface StoredRecord {
  readonly value: string;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
}

type SingleInput = Extract<Input, { readonly kind: "get" | "put" | "delete" }>;
type SingleOutput = Extract<Output, { readonly kind: "record" | "put" | "deleted" }>;

/** One operation at a time, on a Map. */
export class AtomicStore {
  readonly #records = new Map<string, StoredRecord>();
  #revision = 0;

  get(key: string): StoredRecord | undefined {
    return this.#records.get(key);
  }

  /** What no store does. */
  tamper(key: string, record: StoredRecord): void {
    this.#records.set(key, record);
  }

  execute(input: Input): Output {
    switch (input.kind) {
      case "get":
      case "put":
      case "delete": {
        if (input.kind !== "get" && !this.#meets(input)) {
          const current = this.#records.get(input.key) ?? null;
          return { kind: "condition-failed", revision: this.#revision, current };
        }
        const output = this.#single(input, this.#revision + 1);
        this.#revision = Math.max(this.#revision, output.revision ?? 0);
        return output;
      }
      case "list": {
        const items = [...this.#records]
          .filter(([key]) => key.startsWith(input.prefix))
          .map(([key, record]) => ({ key, record }));
        return { kind: "list", items, revision: this.#revision };
      }
      default: {
        const succeeded = input.compare.every(
          ({ key, value }) => (this.#records.get(key)?.version ?? 0) === value,
        );
        const parts = succeeded ? input.success : input.failure;
        const next = this.#revision + 1;
        const results = parts.map((part) => this.#single(part, next));
        if (results.some(({ revision }) => revision === next)) this.#revision = next;
        return { kind: "txn", succeeded, results, revision: this.#revision };
      }
    }
  }

  #meets({ key, condition }: Exclude<SingleInput, { readonly kind: "get" }>): boolean {
    const record = this.#records.get(key);
    if (condition?.kind === "absent") return record === undefined;
    if (condition?.kind === "exists") return record !== undefined;
    if (condition?.kind === "revision") return record?.revision === condition.revision;
    return true;
  }

  /** A change makes the revision `next`. */
  #single(input: SingleInput, next: number): SingleOutput {
    const before = this.#records.get(input.key);
    if (input.kind === "get") {
      return { kind: "record", record: before ?? null, revision: this.#revision };
    }
    if (input.kind === "delete") {
      this.#records.delete(input.key);
      const deleted = before === undefined ? 0 : 1;
      const revision = deleted === 1 ? next : this.#revision;
      return { kind: "deleted", deleted, revision, previous: before ?? null };
    }
    const createRevision = before?.createRevision ?? next;
    const version = (before?.version ?? 0) + 1;
    this.#records.set(input.key, { value: input.value, revision: next, createRevision, version });
    return { kind: "put", revision: next, createRevision, version, previous: before ?? null };
  }
}

/** An operation between its call and its end. */
interface Pending {
  readonly input: Input;
  readonly call: RecordedCall;
  readonly fate: "ok" | "fail" | "unknown";
  output: Output | undefined;
}

/** `meddle` may do to the store, before each call, what no store does. */
export function randomHistory(
  random: SeededRandom,
  options: RandomHistoryOptions,
  meddle?: (store: AtomicStore, recorder: HistoryRecorder) => void,
): readonly HistoryOperation[] {
  const store = new AtomicStore();
  const recorder = new HistoryRecorder();
  const pending: (Pending | undefined)[] = Array.from({ length: options.clients });
  // Given up by its client, but still under way to the store.
  const late: Input[] = [];
  let called = 0;
  while (called < options.operations || pending.some((each) => each !== undefined)) {
    const client = random.below(options.clients);
    const current = pending[client];
    if (late.length > 0 && random.below(20) === 0) {
      store.execute(late.splice(random.below(late.length), 1)[0] ?? { kind: "get", key: "" });
    } else if (current === undefined) {
      if (called === options.operations) continue;
      meddle?.(store, recorder);
      const input = randomInput(random, options, called, store);
      const fate = randomFate(random, options);
      pending[client] = {
        input,
        call: recorder.call(`c${client}`, input),
        fate,
        output: undefined,
      };
      called += 1;
    } else if (current.output === undefined && current.fate === "ok") {
      current.output = store.execute(current.input);
    } else {
      end(random, current, store, late, options.hasVersions);
      pending[client] = undefined;
    }
  }
  return recorder.history();
}

function end(
  random: SeededRandom,
  { input, call, fate, output }: Pending,
  store: AtomicStore,
  late: Input[],
  hasVersions: boolean,
): void {
  if (fate === "fail") {
    call.fail();
  } else if (fate === "unknown") {
    // Never, before its client gave up, or some time after.
    const when = random.below(3);
    if (when === 1) store.execute(input);
    if (when === 2) late.push(input);
    call.unknown();
  } else if (output !== undefined) {
    call.ok(hasVersions ? output : withoutNumbers(output));
  }
}

function randomFate(random: SeededRandom, options: RandomHistoryOptions): Pending["fate"] {
  const percent = random.below(100);
  if (percent < options.unknownPercent) return "unknown";
  return percent < options.unknownPercent + options.failPercent ? "fail" : "ok";
}

function randomInput(
  random: SeededRandom,
  options: RandomHistoryOptions,
  number: number,
  store: AtomicStore,
): Input {
  const key = randomKey(random, options);
  const percent = random.below(100);
  if (percent < options.listPercent) return { kind: "list", prefix: "k" };
  if (percent < options.listPercent + options.txnPercent) return randomTxn(random, options, number);
  const condition = options.hasVersions ? randomCondition(random, store.get(key)) : undefined;
  switch (random.below(5)) {
    case 0:
      return { kind: "delete", key, condition };
    case 1:
    case 2:
      return { kind: "put", key, value: `v${number}`, condition };
    default:
      return { kind: "get", key };
  }
}

/** The first key gets a quarter more than its share: keys are never equally busy. */
function randomKey(random: SeededRandom, { keys }: RandomHistoryOptions): string {
  return `k${random.below(4) === 0 ? 0 : random.below(keys)}`;
}

function randomCondition(random: SeededRandom, record: StoredRecord | undefined) {
  switch (random.below(6)) {
    case 0:
      return { kind: "absent" } as const;
    case 1:
      return { kind: "exists" } as const;
    case 2:
      return { kind: "revision", revision: record?.revision ?? 1 } as const;
    default:
      return undefined;
  }
}

function randomTxn(random: SeededRandom, options: RandomHistoryOptions, number: number): Input {
  const from = randomKey(random, options);
  const to = `k${(Number(from.slice(1)) + 1) % options.keys}`;
  return {
    kind: "txn",
    compare: [{ key: from, target: "version", op: "=", value: random.below(3) }],
    success: [
      { kind: "put", key: from, value: `v${number}` },
      { kind: "put", key: to, value: `v${number}` },
    ],
    failure: [
      { kind: "get", key: from },
      { kind: "delete", key: to },
    ],
  };
}

/** As a plain register answers. */
export function withoutNumbers(output: Output): Output {
  switch (output.kind) {
    case "record":
      return { kind: "record", record: onlyValue(output.record) };
    case "put":
      return { kind: "put" };
    case "deleted":
      return { kind: "deleted", deleted: output.deleted };
    case "condition-failed":
      return { kind: "condition-failed" };
    case "list":
      return {
        kind: "list",
        items: output.items.map(({ key, record }) => ({ key, record: { value: record.value } })),
      };
    default:
      return {
        kind: "txn",
        succeeded: output.succeeded,
        results: output.results?.map((result) =>
          result.kind === "record"
            ? { kind: "record", record: onlyValue(result.record) }
            : result.kind === "put"
              ? { kind: "put" }
              : { kind: "deleted", deleted: result.deleted },
        ),
      };
  }
}

function onlyValue(record: ObservedRecord | null): ObservedRecord | null {
  return record === null ? null : { value: record.value };
}
