/** The clients of a simulation find what goes wrong between them and the replicas. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Operation } from "../../clients/operation.ts";
import { KvStateMachine, type ListQuery } from "../../server/kv/index.ts";
import { drawClientele } from "./clientele.ts";
import { drawShape } from "./shape.ts";
import { type SimulationOptions, simulate } from "./simulation.ts";
import type { Violation } from "./violation.ts";

const SEEDS_MAX = 30;

function usesLibrary(seed: number): boolean {
  return drawClientele(seed, drawShape(seed).clients).usesLibrary.includes(true);
}

async function firstViolation(
  seeds: readonly number[],
  options: Partial<SimulationOptions> = {},
): Promise<Violation | undefined> {
  for (const seed of seeds) {
    const { violation } = await simulate({ ...options, seed });
    if (violation !== undefined) return violation;
  }
  return undefined;
}

function seedsWith(isWanted: (seed: number) => boolean): readonly number[] {
  return Array.from({ length: SEEDS_MAX }, (_, at) => at + 1).filter(isWanted);
}

test("the client library takes part in some seeds, does everything, and is told the truth", async () => {
  const [seed] = seedsWith(usesLibrary);
  assert.ok(seed !== undefined);
  const { tally, violation } = await simulate({ seed });
  assert.equal(violation, undefined);
  for (const what of ["put", "delete", "linearizable get", "stale get", "linearizable list"]) {
    assert.ok(tally.of(`library: ${what}`) > 0, `seed ${seed}: ${what}`);
  }
});

test("a list that leaves out its last key is found", async (t) => {
  plantShortLists(t);
  const violation = await firstViolation(seedsWith(() => true));
  assert.equal(violation?.kind, "not-linearizable");
  assert.match(violation.message, /a list .* shows/);
});

function plantShortLists(t: TestContext): void {
  const { list } = KvStateMachine.prototype;
  t.mock.method(
    KvStateMachine.prototype,
    "list",
    function (this: KvStateMachine, query: ListQuery) {
      const page = list.call(this, query);
      return { ...page, items: page.items.slice(0, -1) };
    },
  );
}

test("a library that repeats a write of unknown outcome without a session is found", async (t) => {
  t.mock.getter(Operation.prototype, "isInDoubt", () => false);
  const violation = await firstViolation(seedsWith(usesLibrary));
  assert.equal(violation?.kind, "not-linearizable", violation?.message);
});
