/**
 * Cuts a history into parts that can be checked one by one. Knows nothing of the search.
 *
 * - Linearizability is local (Herlihy and Wing, theorem 1): a history is linearizable when it is
 *   for each object. Keys that a transaction or a list touches together are one object.
 * - A list that names the store's revision is one read of each key, all at that revision: the
 *   revision holds them together, so their keys need not be one object.
 * - What certainly had no effect, and reads that were not answered, constrain nothing.
 */
import { assert } from "../../raft/index.ts";
import { hasChanged } from "./has-changed.ts";
import type { HistoryOperation, Input } from "./history.ts";
import { RevisionHoles, RevisionKnowledge } from "./revision-knowledge.ts";
import { type KvOperation, Sightings } from "./sightings.ts";

export interface Partition {
  readonly keys: readonly string[];
  readonly operations: readonly KvOperation[];
  readonly revisions: RevisionKnowledge;
}

export function partitionsOf(history: readonly HistoryOperation[]): readonly Partition[] {
  const relevant = history.filter(isRelevant);
  const sightings = new Sightings(relevant);
  const keys = new Set(relevant.flatMap(namedKeys));
  const operations = relevant
    .map((operation) => sightings.complete(operation))
    .flatMap((operation) => keyByKey(operation, keys));
  const holes = new RevisionHoles(operations.flatMap(namedRevision));
  const groups = new KeyGroups(keys);
  for (const operation of operations) groups.join(keysOf(operation, keys));
  const partitions = new Map<string, { keys: string[]; operations: KvOperation[] }>();
  for (const key of keys) {
    const name = groups.nameOf(key);
    const partition = partitions.get(name);
    if (partition === undefined) partitions.set(name, { keys: [key], operations: [] });
    else partition.keys.push(key);
  }
  for (const operation of operations) {
    const [key] = keysOf(operation, keys);
    // A list of nothing where nothing ever was.
    if (key === undefined) continue;
    const partition = partitions.get(groups.nameOf(key));
    assert(partition !== undefined, "every key is in a partition");
    partition.operations.push(operation);
  }
  return [...partitions.values()].map((partition) => ({
    ...partition,
    revisions: new RevisionKnowledge(holes, partition.operations.flatMap(namedRevision)),
  }));
}

function keyByKey(operation: KvOperation, keys: ReadonlySet<string>): readonly KvOperation[] {
  const { input, output } = operation;
  if (input.kind !== "list" || output?.kind !== "list") return [operation];
  const { items, revision } = output;
  const records = new Map(items.map(({ key, record }) => [key, record]));
  const isWellFormed =
    records.size === items.length && items.every(({ key }) => key.startsWith(input.prefix));
  // The model of the whole list refuses what is not.
  if (revision === undefined || !isWellFormed) return [operation];
  return touchedKeys(input, keys).map((key) => ({
    ...operation,
    input: { kind: "get", key },
    output: { kind: "record", record: records.get(key) ?? null, revision },
  }));
}

function isRelevant({ outcome, input }: HistoryOperation): boolean {
  if (outcome === "fail") return false;
  return outcome === "ok" || (input.kind !== "get" && input.kind !== "list");
}

function namedRevision({ input, output }: KvOperation): readonly number[] {
  if (output?.revision === undefined || !hasChanged(input, output)) return [];
  return [output.revision];
}

/** Also the keys that only a list has shown: somebody must have written them. */
function namedKeys(operation: HistoryOperation): readonly string[] {
  if (operation.outcome === "ok" && operation.output.kind === "list") {
    return operation.output.items.map(({ key }) => key);
  }
  return touchedKeys(operation.input, new Set());
}

function touchedKeys(input: Input, keys: ReadonlySet<string>): readonly string[] {
  switch (input.kind) {
    case "list":
      return [...keys].filter((key) => key.startsWith(input.prefix));
    case "txn":
      return [...input.compare, ...input.success, ...input.failure].map(({ key }) => key);
    default:
      return [input.key];
  }
}

/** A list may also show keys that it was not asked for. */
function keysOf({ input, output }: KvOperation, keys: ReadonlySet<string>): readonly string[] {
  const touched = touchedKeys(input, keys);
  return output?.kind === "list" ? [...touched, ...output.items.map(({ key }) => key)] : touched;
}

/** Disjoint sets of keys, by union and find. */
class KeyGroups {
  readonly #parents: Map<string, string>;

  constructor(keys: Iterable<string>) {
    this.#parents = new Map([...keys].map((key) => [key, key]));
  }

  join(keys: readonly string[]): void {
    const [first, ...others] = keys;
    if (first === undefined) return;
    for (const key of others) this.#parents.set(this.nameOf(key), this.nameOf(first));
  }

  nameOf(key: string): string {
    let name = key;
    for (let parent = this.#parents.get(name); parent !== name; parent = this.#parents.get(name)) {
      assert(parent !== undefined, "a key is in a group");
      this.#parents.set(name, this.#parents.get(parent) ?? parent);
      name = parent;
    }
    return name;
  }
}
