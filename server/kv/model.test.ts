/**
 * The state machine against a model that a reader can check at a glance: a Map, sorted on demand.
 * Two replicas take the same log, one in batches and restarted from snapshots; in the end all
 * three agree, and the replicas' snapshots are equal byte for byte.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CommandEntry, SeededRandom } from "../../raft/index.ts";
import { type Condition, encodeDelete, encodePut } from "./command.ts";
import { KvStateMachine } from "./kv-state-machine.ts";
import type { KvRecord } from "./record.ts";
import type { KvResult } from "./result.ts";
import { byteString, captureChunks, commandEntry, restoreFrom } from "./testing/entries.ts";

const KEYS = ["a", "a/b", "B", "__proto__", "constructor", "é", "\uff5e", "😀", "\x00", "1", "10"]
  .map(byteString)
  .concat("\xff", "\xfe\xff");
const TYPES = ["json", "text", "binary"] as const;

type Model = { revision: number; readonly records: Map<string, KvRecord> };

interface Write {
  readonly kind: "put" | "delete";
  readonly key: string;
  readonly value: string;
  readonly type: (typeof TYPES)[number];
  readonly condition: Condition;
  readonly wantPrevious: boolean;
}

function holds(condition: Condition, current: KvRecord | undefined): boolean {
  if (condition.kind === "exists") return current !== undefined;
  if (condition.kind === "absent") return current === undefined;
  if (condition.kind === "revision") return current?.revision === condition.revision;
  return true;
}

function applyToModel(model: Model, write: Write): KvResult {
  const current = model.records.get(write.key);
  if (!holds(write.condition, current)) {
    return { kind: "condition-failed", revision: model.revision, current };
  }
  const previous = write.wantPrevious ? { previous: current } : {};
  if (write.kind === "delete") {
    if (current === undefined) return { kind: "deleted", deleted: 0, revision: model.revision };
    model.revision += 1;
    model.records.delete(write.key);
    return { kind: "deleted", deleted: 1, revision: model.revision, ...previous };
  }
  model.revision += 1;
  const revision = model.revision;
  const createRevision = current?.createRevision ?? revision;
  const version = (current?.version ?? 0) + 1;
  const { value, type } = write;
  const numbers = { revision, createRevision, version };
  model.records.set(write.key, { value, type, ...numbers, lease: 0, expiresAt: 0 });
  return { kind: "put", ...numbers, ...previous };
}

function pick<T>(random: SeededRandom, values: readonly T[]): T {
  const value = values[random.below(values.length)];
  assert(value !== undefined);
  return value;
}

function randomWrite(random: SeededRandom, revision: number): Write {
  const conditions: readonly Condition[] = [
    { kind: "none" },
    { kind: "none" },
    { kind: "exists" },
    { kind: "absent" },
    { kind: "revision", revision: Math.max(0, revision - random.below(5)) },
  ];
  const length = random.below(10) === 0 ? 3_000 : random.below(20);
  return {
    kind: random.below(3) === 0 ? "delete" : "put",
    key: pick(random, KEYS),
    value: String.fromCharCode(...Array.from({ length }, () => random.below(256))),
    type: pick(random, TYPES),
    condition: pick(random, conditions),
    wantPrevious: random.below(2) === 0,
  };
}

function encode(write: Write): Uint8Array {
  const { key, type, condition, wantPrevious } = write;
  if (write.kind === "delete") return encodeDelete({ key, condition, wantPrevious });
  const value = Buffer.from(write.value, "latin1");
  return encodePut({ key, value, type, condition, wantPrevious });
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function run(seed: number): void {
  const random = new SeededRandom(seed);
  const model: Model = { revision: 0, records: new Map() };
  const steady = new KvStateMachine();
  let restless = new KvStateMachine();
  let batch: CommandEntry[] = [];
  const answers: KvResult[] = [];
  for (let index = 1; index <= 300; index += 1) {
    const write = randomWrite(random, model.revision);
    const entry = commandEntry(index, index * 3, encode(write));
    const expected = applyToModel(model, write);
    steady.apply([entry], (_, result) => answers.push(result));
    assert.deepEqual(plain(answers.at(-1)), plain(expected), `seed ${seed}, index ${index}`);
    batch.push(entry);
    if (random.below(8) === 0) {
      restless.apply(batch, () => {});
      batch = [];
      const restored = new KvStateMachine();
      restoreFrom(restored, captureChunks(restless));
      restless = restored;
    }
  }
  restless.apply(batch, () => {});
  assert.equal(answers.length, 300);

  const everything = { start: "", end: undefined, limit: 1e6, bytesMax: 1e9 };
  const expected = [...model.records]
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a, "latin1"), Buffer.from(b, "latin1")))
    .map(([key, record]) => ({ key, record }));
  for (const machine of [steady, restless]) {
    assert.equal(machine.revision, model.revision, `seed ${seed}`);
    assert.equal(machine.keyCount, model.records.size, `seed ${seed}`);
    assert.deepEqual(plain(machine.list(everything).items), plain(expected), `seed ${seed}`);
  }
  assert.deepEqual(captureChunks(steady), captureChunks(restless), `seed ${seed}`);
}

test("replicas do what the model does, and end with equal bytes", () => {
  for (let seed = 1; seed <= 40; seed += 1) run(seed);
});
