import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../../raft/index.ts";
import { lendEntries } from "./lend-entries.ts";
import { chain, terms } from "./testing/chain.ts";

const LOG = chain(terms(1, 10));

function heldBut(...missing: readonly number[]): (index: number) => Entry | undefined {
  return (index) => (missing.includes(index) ? undefined : LOG[index - 1]);
}

test("a run ends at the top of the range and stops at what is not held", () => {
  assert.deepEqual(lendEntries({ first: 3, last: 8 }, heldBut()), LOG.slice(2, 8));
  assert.deepEqual(lendEntries({ first: 3, last: 8 }, heldBut(5)), LOG.slice(5, 8));
  assert.deepEqual(lendEntries({ first: 3, last: 8 }, heldBut(8)), []);
  assert.deepEqual(lendEntries({ first: 1, last: 0 }, heldBut()), []);
});

test("an entry that is not encoded yet is not lent, and nothing below it", () => {
  const fresh: Entry = { type: "noop", group: 0, term: 2, index: 9, time: 0 };
  const entryAt = (index: number) => (index === 9 ? fresh : LOG[index - 1]);
  assert.deepEqual(lendEntries({ first: 1, last: 10 }, entryAt), [LOG[9]]);
});

test("a message carries about what an append does, and at least one entry", () => {
  const encoded = new Uint8Array(100_000);
  const entryAt = (index: number): Entry => {
    return { type: "noop", group: 0, term: 1, index, time: 0, encoded };
  };
  assert.equal(lendEntries({ first: 1, last: 1_000_000 }, entryAt).length, 3);
  const huge = new Uint8Array(2_000_000);
  const hugeAt = (index: number): Entry => ({ ...entryAt(index), encoded: huge });
  assert.equal(lendEntries({ first: 1, last: 9 }, hugeAt).length, 1);
});
