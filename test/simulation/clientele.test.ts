/** The clients of a simulation find what goes wrong between them and the replicas. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Session } from "../../clients/session.ts";
import { KvStateMachine, type ListQuery } from "../../server/kv/index.ts";
import { drawClientele } from "./clientele.ts";
import { drawShape } from "./shape.ts";
import { simulate } from "./simulation.ts";
import type { Violation } from "./violation.ts";

const SEEDS_MAX = 30;

function usesLibrary(seed: number): boolean {
  return drawClientele(seed, drawShape(seed).clients).usesLibrary.includes(true);
}

async function firstViolation(seeds: readonly number[]): Promise<Violation | undefined> {
  for (const seed of seeds) {
    const { violation } = await simulate({ seed });
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

test("a library that gives each try of a write a sequence of its own is found", async (t) => {
  let sequence = 0;
  t.mock.method(Session.prototype, "header", function (this: Session) {
    sequence += 1;
    return `${this.id};${sequence};${sequence}`;
  });
  const violation = await firstViolation(seedsWith(usesLibrary));
  assert.equal(violation?.kind, "not-linearizable", violation?.message);
});
