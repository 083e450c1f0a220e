import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { HashMap } from "./hash-map.ts";
import { byteString } from "./testing/entries.ts";

/** Short, long, empty, all of any byte, and alike in all that is read of them. */
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
