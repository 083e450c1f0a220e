import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { HashMap } from "./hash-map.ts";
import { byteString } from "./testing/entries.ts";

/** Short, long, empty, and all of any byte. */
function keyOf(random: SeededRandom): string {
  const number = random.below(200);
  switch (random.below(4)) {
    case 0:
      return String(number);
    case 1:
      return `${number}/the same end of many keys`;
    case 2:
      return byteString(`é😀${number}`);
    default:
      return String.fromCharCode(number);
  }
}

test("a hash map does what the language's own map does", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = new SeededRandom(seed);
    const map = new HashMap<number>();
    const model = new Map<string, number>([["", 0]]);
    map.set("", 0);
    for (let step = 0; step < 5_000; step += 1) {
      const key = keyOf(random);
      if (random.below(3) > 0) {
        map.set(key, step);
        model.set(key, step);
      } else {
        assert.equal(map.delete(key), model.delete(key), `seed ${seed}`);
      }
      const other = keyOf(random);
      assert.equal(map.get(other), model.get(other), `seed ${seed}`);
    }
    for (const [key, value] of model) assert.equal(map.get(key), value, `seed ${seed}`);
  }
});

/** Keys as people make them: what tells them apart stands first, last, or in between. */
const FAMILIES: Readonly<Record<string, (n: number) => string>> = {
  "a common beginning": (n) => `/registry/pods/default/${n}`,
  "a common ending": (n) => `${n}/the same end of many keys`,
  "padded numbers": (n) => String(n).padStart(8, "0"),
  "numbers in four bytes": (n) =>
    String.fromCharCode(n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255),
  "the high bytes of numbers": (n) => String.fromCharCode(n & 255, (n >> 8) & 255, 0, 0),
  "one letter, more and more often": (n) => "a".repeat(n % 4_000) + String.fromCharCode(n / 4_000),
  "long ones": (n) => `${"x".repeat(500)}${n}${"y".repeat(500)}`,
};

for (const [family, keyNumber] of Object.entries(FAMILIES)) {
  test(`keys stand near their homes: ${family}`, () => {
    const map = new HashMap<number>();
    const count = 20_000;
    for (let n = 0; n < count; n += 1) map.set(keyNumber(n), n);
    // Linear probing with a perfect hash: (1 / (1 - load) - 1) / 2, here 0.8.
    const mean = map.displacement / count;
    assert.ok(mean < 1.1, `${mean} slots from home`);
    for (let n = 0; n < count; n += 1) assert.equal(map.get(keyNumber(n)), n);
  });
}
