/** What the ledger says of lists: right pages pass, and each way to be wrong is noticed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SESSION_LIMITS } from "../../server/kv/index.ts";
import { Ledger } from "./ledger.ts";
import type { Intent } from "./operation.ts";
import type { ShownPage } from "./specification.ts";
import { Violation } from "./violation.ts";

const ALL = { prefix: "", start: "", limit: 10 };
const NO_CONDITION = { kind: "none" } as const;

function put(key: string, value: string): Intent {
  return {
    kind: "put",
    key,
    value,
    condition: NO_CONDITION,
    wantPrevious: false,
    stamp: undefined,
  };
}

/** Three keys at revision 3; then one is written again, and one deleted: revision 5. */
function ledgerOfThree(): Ledger {
  const ledger = new Ledger(SESSION_LIMITS);
  const { specification } = ledger;
  const intents: readonly Intent[] = [
    put("a/1", "one"),
    put("a/2", "two"),
    put("b/1", "three"),
    put("a/2", "again"),
    { kind: "delete", key: "b/1", condition: NO_CONDITION, wantPrevious: false, stamp: undefined },
  ];
  for (const intent of intents) specification.execute(intent, 0, { kind: "malformed" });
  assert.equal(specification.revision, 5);
  return ledger;
}

function violates(run: () => void): void {
  assert.throws(run, (error) => {
    return error instanceof Violation && error.kind === "not-linearizable";
  });
}

test("a list is the state at its revision, in the order of the keys, up to its limit", () => {
  const ledger = ledgerOfThree();
  const keysOf = (request: typeof ALL, revision: number): readonly string[] => {
    const { specification } = ledger;
    return specification.pageAt(request, revision).items.map(({ key }) => key);
  };
  assert.deepEqual(keysOf(ALL, 1), ["a/1"]);
  assert.deepEqual(keysOf(ALL, 3), ["a/1", "a/2", "b/1"]);
  assert.deepEqual(keysOf(ALL, 5), ["a/1", "a/2"]);
  assert.deepEqual(keysOf({ ...ALL, prefix: "b" }, 4), ["b/1"]);
  const page = ledger.specification.pageAt({ ...ALL, limit: 2 }, 3);
  assert.deepEqual([page.isLast, page.next], [false, "b/1"]);
  const rest = ledger.specification.pageAt({ ...ALL, start: "b/1" }, 3);
  assert.deepEqual(
    rest.items.map(({ record }) => record.value),
    ["three"],
  );
  assert.equal(ledger.listed(ALL, ledger.specification.pageAt(ALL, 4), 4, 4).isLast, true);
});

test("a list that leaves out, invents, mixes revisions or orders wrongly is no answer", () => {
  const ledger = ledgerOfThree();
  const before = ledger.specification.pageAt(ALL, 3);
  const after = ledger.specification.pageAt(ALL, 5);
  const [first, second] = after.items;
  assert.ok(first !== undefined && second !== undefined);
  const wrong: readonly ShownPage[] = [
    before,
    { items: [first], isLast: true },
    { items: [second, first], isLast: true },
    { items: [...after.items, { ...first, key: "c" }], isLast: true },
    // One key as it was before, the others as they are.
    { items: [first, { ...second, record: { ...second.record, value: "two" } }], isLast: true },
    { ...after, isLast: false },
  ];
  for (const page of wrong) violates(() => ledger.listed(ALL, page, 5, 0));
  ledger.listed(ALL, after, 5, 0);
});

test("a list older than what was acknowledged before it, or newer than the store, is none", () => {
  const ledger = ledgerOfThree();
  const page = ledger.specification.pageAt(ALL, 4);
  ledger.listed(ALL, page, 4, 4);
  violates(() => ledger.listed(ALL, page, 4, 5));
  violates(() => ledger.listed(ALL, ledger.specification.pageAt(ALL, 5), 6, 0));
});

test("a record without its revision was there at some time since the newest one seen", () => {
  const ledger = ledgerOfThree();
  const two = ledger.specification.recordAt("a/2", 3);
  assert.ok(two !== undefined);
  ledger.shown("a/2", two, 3);
  violates(() => ledger.shown("a/2", two, 4));
  ledger.shown("b/1", undefined, 3);
  violates(() => ledger.shown("a/1", undefined, 1));
});
