import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { OwnState } from "../cluster-process.ts";
import { HistoryRecorder } from "../linearizability/index.ts";
import { differences, onceProblems, revisionProblems } from "./audit.ts";
import { contentOf, labelOf } from "./value.ts";
import type { OnceKey } from "./workload.ts";

function stateOf(records: Readonly<Record<string, readonly [string, number]>>): OwnState {
  const entries = Object.entries(records);
  return {
    revision: entries.length,
    text: JSON.stringify(entries),
    records: new Map(entries.map(([key, [value, version]]) => [key, { value, version }])),
  };
}

function once(outcome: OnceKey["outcome"]): ReadonlyMap<string, OnceKey> {
  return new Map([["once/a", { label: "c1-1", outcome }]]);
}

describe("what was written once", () => {
  const there = stateOf({ "once/a": ["c1-1", 1] });
  const missing = stateOf({});

  test("is there when it was acknowledged, is not when it was refused", () => {
    assert.deepEqual(onceProblems(once("ok"), there), []);
    assert.deepEqual(onceProblems(once("fail"), missing), []);
    assert.deepEqual(onceProblems(once("ok"), missing), ["once/a was acknowledged and is missing"]);
    assert.deepEqual(onceProblems(once("fail"), there), [
      "once/a is there, though its write was refused",
    ]);
  });

  test("may be either when nobody knows", () => {
    assert.deepEqual(onceProblems(once("unknown"), there), []);
    assert.deepEqual(onceProblems(once("unknown"), missing), []);
  });

  test("is there once, as it was written, and by whoever wrote it", () => {
    const twice = stateOf({ "once/a": ["c1-1", 2] });
    assert.deepEqual(onceProblems(once("ok"), twice), [
      "once/a is version 2 of c1-1, though it was written once",
    ]);
    const other = stateOf({ "once/a": ["c1-2", 1], "once/b": ["c1-3", 1] });
    assert.deepEqual(onceProblems(once("unknown"), other), [
      "once/a is version 1 of c1-2, though it was written once",
      "nobody wrote once/b",
    ]);
  });
});

test("nodes that hold different things are told apart", () => {
  const a = stateOf({ k: ["v", 1] });
  assert.deepEqual(
    differences(
      new Map([
        [1, a],
        [2, stateOf({ k: ["v", 1] })],
      ]),
    ),
    [],
  );
  assert.deepEqual(
    differences(
      new Map([
        [1, a],
        [2, stateOf({ k: ["w", 1] })],
      ]),
    ),
    ["nodes 1 and 2 list different records"],
  );
  assert.deepEqual(
    differences(
      new Map([
        [1, a],
        [3, stateOf({})],
      ]),
    ),
    ["node 3 is at revision 0, node 1 at 1"],
  );
});

test("the last revision counts the changes: none lost, none made twice", () => {
  const recorder = new HistoryRecorder();
  const put = () => recorder.call("c1", { kind: "put", key: "k", value: "v" });
  put().ok({ kind: "put", revision: 1 });
  recorder.call("c1", { kind: "delete", key: "k" }).ok({ kind: "deleted", deleted: 1 });
  recorder.call("c1", { kind: "delete", key: "k" }).ok({ kind: "deleted", deleted: 0 });
  put().unknown();
  put().fail();
  const history = recorder.history();
  const judged = [1, 2, 3, 4].map((revision) => revisionProblems(history, revision).length);
  assert.deepEqual(judged, [1, 0, 0, 1]);
});

test("a label and its content stand for each other, and for nothing else", () => {
  for (const label of ["c1-7", "c1-7~3"]) assert.equal(labelOf(contentOf(label)), label);
  assert.equal(contentOf("c1-7~3"), "c1-7~3...");
  assert.equal(labelOf("c1-7~3.."), "c1-7~3..");
  assert.equal(labelOf("c1-7."), "c1-7.");
});
