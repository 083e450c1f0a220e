import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { OrderedMap } from "./ordered-map.ts";
import { byteString } from "./testing/entries.ts";

function pairs(map: OrderedMap<number>): [string, number][] {
  const copies: [string, number][] = [];
  for (const [key, value] of map.entries()) copies.push([key, value]);
  return copies;
}

function sorted(model: ReadonlyMap<string, number>): [string, number][] {
  return [...model].sort(([a], [b]) => (a < b ? -1 : 1));
}

test("keys stand in the order of their UTF-8 bytes, not of UTF-16 units", () => {
  // In UTF-16 the emoji's surrogates (d83d) come before U+FF5E, in UTF-8 after it.
  const texts = ["~", "é", "€", "\uff5e", "😀", "\u{10ffff}"];
  const map = new OrderedMap<number>();
  for (const text of texts.toReversed()) map.set(byteString(text), 1);
  const order = pairs(map).map(([key]) => Buffer.from(key, "latin1").toString("utf8"));
  assert.deepEqual(order, texts);
  const byBytes = texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(order, byBytes);
});

test("a map and its clones go their own ways, as a model says", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = new SeededRandom(seed);
    const versions = [{ map: new OrderedMap<number>(), model: new Map<string, number>() }];
    for (let step = 0; step < 2_000; step += 1) {
      const version = versions[random.below(versions.length)];
      assert(version !== undefined);
      const key = `k${random.below(400)}`;
      if (random.below(100) < 60) {
        version.map.set(key, step);
        version.model.set(key, step);
      } else {
        assert.equal(version.map.delete(key), version.model.delete(key), `seed ${seed}`);
      }
      if (step % 250 === 249) {
        versions.push({ map: version.map.clone(), model: new Map(version.model) });
      }
    }
    for (const { map, model } of versions) {
      assert.deepEqual(pairs(map), sorted(model), `seed ${seed}`);
      assert.equal(map.size, model.size);
    }
  }
});

test("a map loaded from sorted pairs goes on like one that grew", () => {
  for (const count of [0, 1, 2, 31, 57, 58, 64, 65, 500, 3_400, 5_000]) {
    const keys = Array.from({ length: count }, (_, n) => `k${String(n).padStart(5, "0")}`);
    const values = keys.map((_, n) => n);
    const model = new Map(keys.map((key, n) => [key, n]));
    const map = OrderedMap.fromSorted(keys, values);
    assert.deepEqual(pairs(map), sorted(model));
    const random = new SeededRandom(count);
    for (let step = 0; step < 500; step += 1) {
      const key = `k${String(random.below(6_000)).padStart(5, "0")}`;
      if (random.below(2) === 0) {
        map.set(key, step);
        model.set(key, step);
      } else {
        assert.equal(map.delete(key), model.delete(key));
      }
    }
    assert.deepEqual(pairs(map), sorted(model), `count ${count}`);
  }
});

test("a scan visits a range until it is told to stop", () => {
  const map = new OrderedMap<number>();
  for (let n = 0; n < 300; n += 1) map.set(`k${String(n).padStart(3, "0")}`, n);
  const scan = (start: string, end: string | undefined, limit = 1_000): number[] => {
    const seen: number[] = [];
    map.scan(start, end, (_, value) => {
      seen.push(value);
      return seen.length < limit;
    });
    return seen;
  };
  assert.deepEqual(scan("k010", "k013"), [10, 11, 12]);
  assert.deepEqual(scan("k0105", "k0125"), [11, 12]);
  assert.deepEqual(scan("k298", undefined), [298, 299]);
  assert.deepEqual(scan("", undefined, 2), [0, 1]);
  assert.deepEqual(scan("k299", undefined), [299]);
  assert.deepEqual(scan("", "zzz").length, 300);
  assert.deepEqual(scan("k010", "k010"), []);
  assert.deepEqual(scan("k013", "k010"), []);
  assert.deepEqual(scan("z", undefined), []);
  const empty = new OrderedMap<number>();
  empty.scan("", undefined, () => assert.fail("an empty map has nothing to visit"));
  empty.scan("", "z", () => assert.fail("an empty map has nothing to visit"));
});
