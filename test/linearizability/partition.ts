/**
 * Cuts a history into parts that can be checked one by one, and says the same with less. Owns what
 * may be left out, and why; knows nothing of the search.
 *
 * - Linearizability is local (Herlihy and Wing, theorem 1): a history is linearizable when it is
 *   for each object. Keys that a transaction or a list touches together are one object.
 * - What certainly had no effect, and reads that were not answered, constrain nothing.
 * - A write without an answer whose value somebody saw did take effect, and the record that was
 *   seen is its answer. That is certain only when nobody else wrote that value.
 * - The value of a write without an answer, if nobody saw it, is as good as any other; so all such
 *   writes are made the same, and the search need not try one after the other.
 */
import { assert } from "../../raft/index.ts";
import type {
  AnsweredOperation,
  HistoryOperation,
  Input,
  ObservedRecord,
  Output,
} from "./history.ts";
import type { Operation } from "./model.ts";

export const UNSEEN_VALUE = "(a value nobody saw)";

/** An operation as the checker takes it, and where it comes from. */
export interface KvOperation extends Operation<Input, Output> {
  readonly source: HistoryOperation;
}

export interface Partition {
  readonly keys: readonly string[];
  readonly operations: readonly KvOperation[];
}

export function partitionsOf(history: readonly HistoryOperation[]): readonly Partition[] {
  const relevant = history.filter(isRelevant);
  const groups = new KeyGroups();
  const keys = new Set(relevant.flatMap(namedKeys));
  for (const key of keys) groups.add(key);
  for (const { input } of relevant) groups.join(touchedKeys(input, keys));
  const known = new KnownValues(relevant);
  const partitions = new Map<string, { keys: string[]; operations: KvOperation[] }>();
  for (const key of keys) {
    const name = groups.nameOf(key);
    const partition = partitions.get(name) ?? { keys: [], operations: [] };
    partition.keys.push(key);
    partitions.set(name, partition);
  }
  for (const operation of relevant) {
    const [key] = touchedKeys(operation.input, keys);
    // A list of nothing where nothing ever was.
    if (key === undefined) continue;
    const partition = partitions.get(groups.nameOf(key));
    assert(partition !== undefined, "every key is in a partition");
    partition.operations.push(known.complete(operation));
  }
  return [...partitions.values()];
}

function isRelevant({ outcome, input }: HistoryOperation): boolean {
  if (outcome === "fail") return false;
  return outcome === "ok" || (input.kind !== "get" && input.kind !== "list");
}

/** Also the keys that only a list has shown: somebody must have written them. */
function namedKeys(operation: HistoryOperation): readonly string[] {
  const { input } = operation;
  switch (input.kind) {
    case "list":
      return operation.outcome === "ok" && operation.output.kind === "list"
        ? operation.output.items.map(({ key }) => key)
        : [];
    case "txn":
      return [...input.compare, ...input.then, ...input.else].map(({ key }) => key);
    default:
      return [input.key];
  }
}

function touchedKeys(input: Input, keys: ReadonlySet<string>): readonly string[] {
  switch (input.kind) {
    case "list":
      return [...keys].filter((key) => key.startsWith(input.prefix));
    case "txn":
      return [...input.compare, ...input.then, ...input.else].map(({ key }) => key);
    default:
      return [input.key];
  }
}

/** Disjoint sets of keys, by union and find. */
class KeyGroups {
  readonly #parents = new Map<string, string>();

  add(key: string): void {
    this.#parents.set(key, key);
  }

  join(keys: readonly string[]): void {
    const [first, ...others] = keys;
    if (first === undefined) return;
    for (const key of others) this.#parents.set(this.nameOf(key), this.nameOf(first));
  }

  nameOf(key: string): string {
    const parent = this.#parents.get(key);
    assert(parent !== undefined, "a key is in a group");
    if (parent === key) return key;
    const name = this.nameOf(parent);
    this.#parents.set(key, name);
    return name;
  }
}

interface Sighting {
  readonly record: ObservedRecord;
  /** When the first who saw it knew. */
  readonly returnOrder: number;
}

/** Which values were written by whom and seen by whom. */
class KnownValues {
  readonly #writers = new Map<string, number>();
  readonly #sightings = new Map<string, Sighting>();
  /** Keys whose value decided something, seen or not. */
  readonly #compared = new Set<string>();

  constructor(operations: readonly HistoryOperation[]) {
    for (const operation of operations) {
      this.#noteWrites(operation.input);
      if (operation.outcome === "ok") this.#noteSightings(operation);
    }
  }

  complete(source: HistoryOperation): KvOperation {
    const { input, callOrder } = source;
    if (source.outcome === "ok") {
      return { source, input, output: source.output, callOrder, returnOrder: source.returnOrder };
    }
    const open = { source, input, output: undefined, callOrder, returnOrder: undefined };
    if (input.kind !== "put") return open;
    const name = nameOf(input.key, input.value);
    const sighting = this.#sightings.get(name);
    if (sighting === undefined) {
      if (this.#compared.has(input.key)) return open;
      return { ...open, input: { ...input, value: UNSEEN_VALUE } };
    }
    const isCertain = this.#writers.get(name) === 1 && sighting.returnOrder >= callOrder;
    if (!isCertain) return open;
    const { revision, createRevision, version } = sighting.record;
    const output: Output = { kind: "put", revision, createRevision, version };
    return { ...open, output, returnOrder: sighting.returnOrder };
  }

  #noteWrites(input: Input): void {
    const parts = input.kind === "txn" ? [...input.then, ...input.else] : [input];
    for (const part of parts) {
      if (part.kind !== "put") continue;
      const name = nameOf(part.key, part.value);
      this.#writers.set(name, (this.#writers.get(name) ?? 0) + 1);
    }
    if (input.kind !== "txn") return;
    for (const { key, target } of input.compare) {
      if (target === "value") this.#compared.add(key);
    }
  }

  #noteSightings({ input, output, returnOrder }: AnsweredOperation): void {
    for (const { key, record } of recordsSeen(input, output)) {
      const name = nameOf(key, record.value);
      const earlier = this.#sightings.get(name);
      if (earlier !== undefined && earlier.returnOrder <= returnOrder) continue;
      this.#sightings.set(name, { record, returnOrder });
    }
  }
}

interface SeenRecord {
  readonly key: string;
  readonly record: ObservedRecord;
}

/** Every record in an answer, with its key. */
export function recordsSeen(input: Input, output: Output): readonly SeenRecord[] {
  if (output.kind === "list") return output.items;
  if (output.kind === "txn") {
    if (input.kind !== "txn") return [];
    const parts = output.succeeded ? input.then : input.else;
    return output.results.flatMap((result, at) => {
      const part = parts[at];
      return part === undefined ? [] : recordsSeen(part, result);
    });
  }
  const record = recordIn(output);
  if (record === null || record === undefined || !("key" in input)) return [];
  return [{ key: input.key, record }];
}

function recordIn(
  output: Exclude<Output, { readonly kind: "list" | "txn" }>,
): ObservedRecord | null | undefined {
  switch (output.kind) {
    case "record":
      return output.record;
    case "condition-failed":
      return output.current;
    default:
      return output.previous;
  }
}

function nameOf(key: string, value: string): string {
  return JSON.stringify([key, value]);
}
