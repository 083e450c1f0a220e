import assert from "node:assert/strict";
import { test } from "node:test";
import { isNotModified, parseSession, parseWriteCondition } from "./conditions.ts";
import { RequestRefusal } from "./refusal.ts";

test("the conditions of a write", () => {
  assert.deepEqual(parseWriteCondition({}), { kind: "none" });
  assert.deepEqual(parseWriteCondition({ "if-match": '"7"' }), { kind: "revision", revision: 7 });
  assert.deepEqual(parseWriteCondition({ "if-match": "*" }), { kind: "exists" });
  assert.deepEqual(parseWriteCondition({ "if-none-match": "*" }), { kind: "absent" });
});

test("a condition that is not understood is refused, never ignored", () => {
  const cases: readonly Record<string, string>[] = [
    { "if-match": "7" },
    { "if-match": '"7' },
    { "if-match": '""' },
    { "if-match": '"' },
    { "if-match": 'W/"7"' },
    { "if-match": '"7", "8"' },
    { "if-match": '"-1"' },
    { "if-match": '"07"' },
    { "if-match": '"9007199254740992"' },
    { "if-match": "" },
    { "if-none-match": '"7"' },
    { "if-match": "*", "if-none-match": "*" },
  ];
  for (const headers of cases) {
    assert(parseWriteCondition(headers) instanceof RequestRefusal, JSON.stringify(headers));
  }
});

test("a reader that has a revision is told so", () => {
  for (const header of ['"7"', 'W/"7"', '"6", "7"', "*", ' "7" ']) {
    assert.equal(isNotModified({ "if-none-match": header }, 7), true, header);
  }
  for (const header of ['"8"', "7", "", '"6","8"', '"x"']) {
    assert.equal(isNotModified({ "if-none-match": header }, 7), false, header);
  }
  assert.equal(isNotModified({}, 7), false);
});

test("a session stamp is an id and two numbers", () => {
  assert.equal(parseSession({}), undefined);
  const stamp = { id: "s-1-ab", sequence: 5, lowestUnanswered: 3 };
  assert.deepEqual(parseSession({ session: "s-1-ab;5;3" }), stamp);
  assert.deepEqual(parseSession({ session: "s-1-ab; 5; 3" }), stamp);
  const bad = [
    "",
    "s",
    "s;5",
    "s;5;3;1",
    ";5;3",
    "s;5;6",
    "s;5;0",
    "s;0;0",
    "s;-1;1",
    "s;1e3;1",
    "s;9007199254740992;1",
    "s\u00e9;1;1",
    "s t;1;1",
    `${"s".repeat(129)};1;1`,
  ];
  for (const session of bad) assert(parseSession({ session }) instanceof RequestRefusal, session);
});
