import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError, SeededRandom } from "../../raft/index.ts";
import { LastUseOrder } from "./last-use-order.ts";

test("the first is always the one that was not used for longest", () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const random = new SeededRandom(seed);
    const order = new LastUseOrder();
    const model = new Map<string, number>();
    for (let time = 1; time <= 1_000; time += 1) {
      const id = `s${random.below(30)}`;
      if (random.below(4) > 0) {
        order.touch(id, time);
        model.set(id, time);
      } else {
        order.delete(id);
        model.delete(id);
      }
      const oldest = [...model].sort(([, a], [, b]) => a - b)[0];
      const { first } = order;
      const found = first === undefined ? undefined : [first.id, first.lastUse];
      assert.deepEqual(found, oldest, `seed ${seed}, time ${time}`);
      assert.equal(order.size, model.size);
    }
  }
});

test("time that runs back is a broken invariant", () => {
  const order = new LastUseOrder();
  order.touch("a", 5);
  order.touch("b", 5);
  assert.throws(() => order.touch("c", 4), InvariantError);
});
