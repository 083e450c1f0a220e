import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SeededRandom } from "../../raft/index.ts";
import { HashTable } from "./hash-table.ts";

const KEYS = 400;

/** Hashes as no good function would give them. */
const HASHES: Readonly<Record<string, (key: number) => number>> = {
  "all the same": () => 5,
  "all the same, and negative": () => -1,
  "homes around the end": (key) => 0x7fff_fff0 + (key % 16),
  "alike until the table grows": (key) => 1 + (key << 5),
  "two far apart": (key) => (key % 2 === 0 ? 3 : 11),
  random: (key) => Math.imul(key + 1, 0x9e3779b1) | 1,
};

/** Inserts and deletes in waves, so that the table fills and empties again and again. */
function churn(hashOf: (key: number) => number, seed: number): HashTable<number> {
  const random = new SeededRandom(seed);
  const table = new HashTable<number>();
  const model = new Map<string, number>();
  for (let step = 0; step < 6_000; step += 1) {
    const number = random.below(KEYS);
    const key = String(number);
    const isFilling = Math.floor(step / 1_000) % 2 === 0;
    if (random.below(10) < (isFilling ? 8 : 2)) {
      table.set(key, hashOf(number), step);
      model.set(key, step);
    } else {
      assert.equal(table.delete(key, hashOf(number)), model.delete(key), `seed ${seed}`);
    }
    const other = random.below(KEYS);
    assert.equal(table.get(String(other), hashOf(other)), model.get(String(other)), `seed ${seed}`);
  }
  for (let number = 0; number < KEYS; number += 1) {
    const key = String(number);
    assert.equal(table.get(key, hashOf(number)), model.get(key), `seed ${seed}`);
    assert.equal(table.delete(key, hashOf(number)), model.has(key), `seed ${seed}`);
  }
  return table;
}

for (const [shape, hashOf] of Object.entries(HASHES)) {
  test(`keys are told apart whatever their hashes: ${shape}`, () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const table = churn(hashOf, seed);
      assert.deepEqual([table.slots, table.displacement], [16, 0], "emptied");
    }
  });
}

test("a table is as large as its keys need, however many came and went", () => {
  const table = new HashTable<number>();
  const live = 300;
  for (let n = 1; n <= 100_000; n += 1) {
    table.set(String(n), n, n);
    if (n > live) assert.equal(table.delete(String(n - live), n - live), true);
    if (n > live) assert.equal(table.slots, 512);
  }
});

test("no key may have the hash that marks a free slot", () => {
  assert.throws(() => new HashTable<number>().set("a", 0, 1), /free slot/);
});

test("what is deleted is let go of", async () => {
  const table = new HashTable<object>();
  const gone = [1, 17, 33].map((hash) => {
    const value = { hash };
    table.set(`key-${hash}`, hash, value);
    return new WeakRef(value);
  });
  for (const hash of [1, 17, 33]) table.delete(`key-${hash}`, hash);
  await new Promise((resolve) => setImmediate(resolve));
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  assert.deepEqual(
    gone.map((reference) => reference.deref()),
    [undefined, undefined, undefined],
  );
  assert.equal(table.slots, 16);
});
