import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { SlidingWindow } from "./sliding-window.ts";

function pairsOf(window: SlidingWindow<string>): [number, string][] {
  const pairs: [number, string][] = [];
  window.forEach((key, value) => {
    pairs.push([key, value]);
  });
  return pairs;
}

function sorted(model: ReadonlyMap<number, string>): [number, string][] {
  return [...model].sort(([a], [b]) => a - b);
}

test("a window does what a map does, in the order of its keys", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = new SeededRandom(seed);
    const window = new SlidingWindow<string>();
    const model = new Map<number, string>();
    let next = random.below(1_000);
    for (let step = 0; step < 3_000; step += 1) {
      // Now and then a key far ahead, or one below all others, as after a change of leaders.
      if (random.below(200) === 0) next += random.below(300);
      if (random.below(200) === 0) next = Math.max(0, next - random.below(300));
      if (random.below(2) === 0 && !model.has(next)) {
        window.add(next, `at ${step}`);
        model.set(next, `at ${step}`);
        next += 1;
      } else {
        const keys = [...model.keys()];
        const key = keys[random.below(keys.length + 1)] ?? random.below(2_000);
        assert.equal(window.take(key), model.get(key), `seed ${seed}`);
        model.delete(key);
      }
      const other = random.below(2_000);
      assert.equal(window.get(other), model.get(other), `seed ${seed}`);
      assert.equal(window.size, model.size, `seed ${seed}`);
      if (step % 100 === 0) assert.deepEqual(pairsOf(window), sorted(model), `seed ${seed}`);
    }
    assert.deepEqual(pairsOf(window), sorted(model), `seed ${seed}`);
  }
});

test("what is taken during a visit is not visited, what is added behind it is", () => {
  const window = new SlidingWindow<string>();
  for (let key = 0; key < 60; key += 1) window.add(key, String(key));
  const seen: number[] = [];
  window.forEach((key) => {
    seen.push(key);
    window.take(key);
    if (key >= 60) return;
    window.take(key + 1);
    window.add(1_000 + key, "later");
  });
  const evenKeys = Array.from({ length: 30 }, (_, n) => 2 * n);
  assert.deepEqual(seen, [...evenKeys, ...evenKeys.map((key) => 1_000 + key)]);
  assert.equal(window.size, 0);
});

test("the oldest value stands under the lowest key", () => {
  const window = new SlidingWindow<string>();
  assert.equal(window.oldest, undefined);
  for (const key of [5, 4, 100_000]) window.add(key, String(key));
  for (const key of [4, 5, 100_000]) {
    assert.deepEqual(window.oldest, { key, value: String(key) });
    window.take(key);
  }
  assert.equal(window.oldest, undefined);
});

test("a key has one value", () => {
  const window = new SlidingWindow<string>();
  window.add(7, "first");
  assert.throws(() => window.add(7, "second"), /one value/);
});
