/** Whole conversations: every script in testdata/ says today what it said when it was accepted. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compareScript } from "./testing/golden.ts";

const folder = fileURLToPath(new URL("testdata/", import.meta.url));
const scripts = readdirSync(folder)
  .filter((name) => name.endsWith(".txt"))
  .toSorted((one, other) => (one < other ? -1 : 1));

test("there are conversation scripts", () => {
  assert.ok(scripts.length >= 12);
});

for (const script of scripts) {
  test(`the conversation ${script} goes as written`, () => {
    const { expected, actual } = compareScript(`${folder}${script}`);
    assert.equal(actual, expected);
    assert.ok(!actual.includes("error:"), "no command fails");
  });
}
