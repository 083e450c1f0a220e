import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { check } from "./checker.ts";
import type { Model, Operation } from "./model.ts";

type Input =
  | { readonly kind: "read" }
  | { readonly kind: "write"; readonly value: number }
  | { readonly kind: "increment" };
type RegisterOperation = Operation<Input, number>;

/** A number; an increment answers what it made. */
const register: Model<number, Input, number> = {
  initial: 0,
  step(state, input, output) {
    const next = input.kind === "write" ? input.value : state + Number(input.kind === "increment");
    const answer = input.kind === "write" ? 0 : next;
    return output === undefined || output === answer ? [next] : [];
  },
  isRead: ({ kind }) => kind === "read",
  stateKey: String,
  covers: () => true,
  operationClass: (input, output) => JSON.stringify([input, output]),
  rank: () => undefined,
};

/** `at` is "call return", or "call" for what never returned. */
function operation(at: string, input: Input, output?: number): RegisterOperation {
  const [callOrder = 0, returnOrder] = at.split(" ").map(Number);
  return { input, output, callOrder, returnOrder };
}
const write = (at: string, value: number) =>
  operation(at, { kind: "write", value }, at.includes(" ") ? 0 : undefined);
const read = (at: string, value: number) => operation(at, { kind: "read" }, value);
const increment = (at: string, value?: number) => operation(at, { kind: "increment" }, value);

function verdictOn(...operations: readonly RegisterOperation[]): string {
  const verdict = check(register, operations);
  return verdict.kind === "violation" ? `violation at ${verdict.culprit}` : verdict.kind;
}

describe("a register", () => {
  test("without operations is linearizable", () => {
    assert.equal(verdictOn(), "linearizable");
  });

  test("may answer a concurrent read with the old value or the new", () => {
    assert.equal(verdictOn(write("1 4", 7), read("2 3", 0)), "linearizable");
    assert.equal(verdictOn(write("1 4", 7), read("2 3", 7)), "linearizable");
  });

  test("may not answer with the old value once the new was written", () => {
    assert.equal(verdictOn(write("1 2", 7), read("3 4", 0)), "violation at 1");
  });

  test("may not go back once a read has shown the new value", () => {
    const history = [write("1 10", 7), read("2 3", 7), read("4 5", 0)];
    assert.equal(verdictOn(...history), "violation at 2");
  });

  test("treats operations that touch as concurrent", () => {
    assert.equal(verdictOn(write("1 3", 7), read("3 4", 0)), "linearizable");
  });

  test("may not show two readers two writes in different orders", () => {
    const writes = [write("1 20", 1), write("1 20", 2)];
    const first = [read("2 3", 1), read("4 5", 2)];
    assert.equal(verdictOn(...writes, ...first), "linearizable");
    assert.equal(verdictOn(...writes, ...first, read("6 7", 1)), "violation at 4");
  });

  test("names the first answer that nothing explains, not the last", () => {
    const good = [write("1 2", 1), read("3 4", 1)];
    const bad = [read("5 6", 9), read("7 8", 1), read("9 10", 8)];
    assert.equal(verdictOn(...good, ...bad), "violation at 2");
  });

  test("tells the states before the violation", () => {
    const verdict = check(register, [write("1 5", 1), write("2 5", 2), read("6 7", 3)]);
    assert.equal(verdict.kind, "violation");
    const states = verdict.kind === "violation" ? verdict.states : [];
    assert.deepEqual(
      states.toSorted((a, b) => a - b),
      [1, 2],
    );
  });
});

describe("an operation that never returned", () => {
  test("may never take effect", () => {
    assert.equal(verdictOn(write("1", 7), read("2 3", 0), read("100 101", 0)), "linearizable");
  });

  test("may take effect long after its call", () => {
    assert.equal(verdictOn(write("1", 7), read("2 3", 0), read("100 101", 7)), "linearizable");
  });

  test("may not take effect before its call", () => {
    assert.equal(verdictOn(read("1 2", 7), write("3", 7)), "violation at 0");
  });

  test("may not take effect twice", () => {
    const history = [write("1", 7), read("2 3", 7), write("4 5", 8), read("6 7", 7)];
    assert.equal(verdictOn(...history), "violation at 3");
  });

  test("is used as often as there are such operations, and no more", () => {
    const lost = [increment("1"), increment("2"), increment("3")];
    assert.equal(verdictOn(...lost, increment("4 5", 4)), "linearizable");
    assert.equal(verdictOn(...lost, increment("4 5", 5)), "violation at 3");
    assert.equal(verdictOn(...lost.slice(1), increment("1 3", 3)), "linearizable");
    assert.equal(verdictOn(...lost.slice(1), increment("1 2", 3)), "violation at 2");
  });

  test("does not overwhelm the search, however many there are", () => {
    const lost = Array.from({ length: 200 }, (_, index) => write(String(index), index % 3));
    const history = [...lost, read("300 301", 2), read("302 303", 0), read("304 305", 9)];
    const verdict = check(register, history);
    assert.equal(verdict.kind, "violation");
    assert.ok(verdict.steps < 100_000, `${verdict.steps} steps`);
  });
});

test("a search beyond its budget is undecided, which is no verdict at all", () => {
  const history = Array.from({ length: 12 }, (_, index) => write("1 2", index));
  const verdict = check(register, [...history, read("3 4", 99)], 1000);
  assert.equal(verdict.kind, "undecided");
});

test("ten thousand operations on one register are one path, not a tree", () => {
  const history = Array.from({ length: 10_000 }, (_, index) =>
    index % 2 === 0
      ? write(`${index} ${index + 3}`, index)
      : read(`${index} ${index + 0.5}`, index - 1),
  );
  const verdict = check(register, history);
  assert.equal(verdict.kind, "linearizable");
  assert.ok(verdict.steps < 100_000, `${verdict.steps} steps`);
});

/** All orders, one by one; only for a handful of operations. */
function isLinearizable(operations: readonly RegisterOperation[], state: number): boolean {
  if (operations.every(({ returnOrder }) => returnOrder === undefined)) return true;
  return operations.some((candidate) => {
    const others = operations.filter((each) => each !== candidate);
    const isFirst = others.every(
      ({ returnOrder = Number.POSITIVE_INFINITY }) => returnOrder >= candidate.callOrder,
    );
    if (!isFirst) return false;
    const outcomes = register.step(state, candidate.input, candidate.output);
    return outcomes.some((next) => isLinearizable(others, next));
  });
}

function randomOperation(random: SeededRandom): RegisterOperation {
  const callOrder = random.below(10);
  const hasReturned = random.below(4) > 0;
  const returnOrder = hasReturned ? callOrder + random.below(6) : undefined;
  const kind = (["read", "write", "increment"] as const)[random.below(3)] ?? "read";
  const input: Input = kind === "write" ? { kind, value: random.below(3) } : { kind };
  const answer = kind === "write" ? 0 : random.below(4);
  return { input, output: hasReturned ? answer : undefined, callOrder, returnOrder };
}

test("small histories get the verdict of trying all orders", () => {
  const seen = { linearizable: 0, violation: 0 };
  for (let seed = 1; seed <= 3000; seed += 1) {
    const random = new SeededRandom(seed);
    const history = Array.from({ length: 2 + random.below(5) }, () => randomOperation(random));
    const expected = isLinearizable(history, register.initial) ? "linearizable" : "violation";
    assert.equal(check(register, history).kind, expected, `seed ${seed}`);
    seen[expected] += 1;
  }
  assert.ok(seen.linearizable > 300, `${seen.linearizable} linearizable`);
  assert.ok(seen.violation > 300, `${seen.violation} violations`);
});
