import assert from "node:assert/strict";
import { test } from "node:test";
import { booleanParameter, integerParameter, parseDigits, parseQuery } from "./query.ts";
import { RequestRefusal } from "./refusal.ts";

const ALLOWED = new Set(["a", "b", "key"]);

function parsed(target: string): ReadonlyMap<string, string> {
  const query = parseQuery(target, ALLOWED);
  assert(!(query instanceof RequestRefusal), `refused: ${target}`);
  return query;
}

function refused(target: string): string {
  const query = parseQuery(target, ALLOWED);
  assert(query instanceof RequestRefusal, `not refused: ${target}`);
  return query.message;
}

test("values are percent-decoded once, to bytes", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["/x?a=b", "b"],
    ["/x?a=%2e%2E", ".."],
    ["/x?a=%2541", "%41"],
    ["/x?a=%FF%00", "\u00ff\u0000"],
    ["/x?a=one+two%2B", "one two+"],
    ["/x?a=", ""],
    ["/x?a", ""],
    ["/x?a=b=c?d", "b=c?d"],
  ];
  for (const [target, value] of cases) assert.equal(parsed(target).get("a"), value, target);
});

test("a target without parameters has none", () => {
  for (const target of ["/x", "/x?", "/x?&&"]) assert.equal(parsed(target).size, 0, target);
});

test("unknown, repeated and broken parameters are refused by name", () => {
  assert.match(refused("/x?c=1"), /Unknown parameter c\. Known here: a, b, key\./);
  assert.match(refused("/x?a=1&a=2"), /a is given twice/);
  assert.match(refused("/x?a=%zz"), /a has a broken % escape/);
  assert.match(refused("/x?a=%4"), /a has a broken % escape/);
  assert.match(refused("/x?a=%"), /a has a broken % escape/);
  assert.match(refused("/x?ttlMs=5"), /ttlMs is not available here in this version/);
  assert.match(refused("/x?__proto__=5"), /Unknown parameter __proto__/);
  assert.match(refused('/x?<b>"=5'), /Unknown parameter %3Cb%3E%22/);
});

test("booleans and integers take nothing but themselves", () => {
  const query = parsed("/x?a=true&b=0");
  assert.equal(booleanParameter(query, "a", false), true);
  assert.equal(booleanParameter(query, "b", true), false);
  assert.equal(booleanParameter(query, "key", true), true);
  assert(booleanParameter(parsed("/x?a=yes"), "a", false) instanceof RequestRefusal);

  const bounds = { absent: 7, min: 1, max: 10 };
  assert.equal(integerParameter(query, "key", bounds), 7);
  assert.equal(integerParameter(parsed("/x?a=10"), "a", bounds), 10);
  for (const text of ["0", "11", "-1", "1e1", "1.0", "01", "", " 1", "0x1", "NaN"]) {
    const refusal = integerParameter(parsed(`/x?a=${text}`), "a", bounds);
    assert(refusal instanceof RequestRefusal, text);
  }
});

test("digits are exact numbers or nothing", () => {
  assert.equal(parseDigits("9007199254740991"), Number.MAX_SAFE_INTEGER);
  assert.equal(parseDigits("9007199254740992"), undefined);
  assert.equal(parseDigits("99999999999999999999"), undefined);
});
