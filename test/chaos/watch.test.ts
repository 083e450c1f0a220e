import assert from "node:assert/strict";
import { test } from "node:test";
import { Watch, type Watched } from "./watch.ts";

const FIRST_LIFE = {};
const SECOND_LIFE = {};
const HEALTHY: Watched = {
  state: "running",
  role: "follower",
  term: 1,
  commitIndex: 1,
  lastApplied: 1,
  revision: 1,
};

/** What a watch has to say about these looks, one after the other. */
function violationsOf(
  ...looks: readonly (Partial<Watched> & { readonly id: number; readonly life?: object })[]
): readonly string[] {
  const watch = new Watch([], () => FIRST_LIFE);
  for (const { id, life = FIRST_LIFE, ...seen } of looks) {
    watch.take(id, { ...HEALTHY, ...seen }, life);
  }
  return watch.violations;
}

test("a healthy election is no violation", () => {
  const looks = [
    { id: 1, role: "leader" },
    { id: 2 },
    { id: 1, term: 2 },
    { id: 2, role: "leader", term: 2 },
    { id: 2, role: "leader", term: 2, revision: 5, commitIndex: 9 },
  ] as const;
  assert.deepEqual(violationsOf(...looks), []);
});

test("two leaders in one term are seen, however far apart", () => {
  const looks = [
    { id: 1, role: "leader", term: 4 },
    { id: 3, role: "leader", term: 5 },
    { id: 2, role: "leader", term: 4 },
  ] as const;
  assert.deepEqual(violationsOf(...looks), ["nodes 1 and 2 both lead term 4"]);
});

test("a term that falls is seen: in one life, and below one that was led in any", () => {
  const looks = [
    { id: 1, term: 4 },
    { id: 1, term: 3 },
  ];
  assert.deepEqual(violationsOf(...looks), ["node 1: term fell from 4 to 3"]);
  const restart = { id: 1, term: 3, life: SECOND_LIFE };
  assert.deepEqual(violationsOf({ id: 1, role: "leader", term: 4 }, restart), [
    "node 1 is in term 3, but has led 4",
  ]);
});

test("a term that was not durable yet may be forgotten with a restart", () => {
  assert.deepEqual(violationsOf({ id: 1, term: 4 }, { id: 1, term: 3, life: SECOND_LIFE }), []);
});

test("commit index and revision may fall with a restart, and only then", () => {
  const before = { id: 1, commitIndex: 9, revision: 7 };
  const after = { id: 1, commitIndex: 8, revision: 6 };
  assert.deepEqual(violationsOf(before, { ...after, life: SECOND_LIFE }), []);
  assert.deepEqual(violationsOf(before, after), [
    "node 1: commitIndex fell from 9 to 8",
    "node 1: revision fell from 7 to 6",
  ]);
});

test("states that differ at one index are seen by their hashes", () => {
  const looks = [
    { id: 1, hash: { index: 8, version: 1, value: "aa" } },
    { id: 2, hash: { index: 8, version: 1, value: "aa" } },
    { id: 3, hash: { index: 8, version: 1, value: "ab" } },
  ];
  assert.deepEqual(violationsOf(...looks), ["the states at index 8 differ: node 1 aa, node 3 ab"]);
});

test("a node that distrusts its own state is seen, one that is being repaired is left alone", () => {
  const looks = [
    { id: 1, term: 5 },
    { id: 1, state: "repairing", term: 0 },
    { id: 2, state: "fenced" },
  ];
  assert.deepEqual(violationsOf(...looks), ["node 2 is fenced"]);
});
