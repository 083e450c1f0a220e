import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";

test("a cursor gives back the range it was made of", () => {
  const keys = ["a", "\u0000", "\u00ff".repeat(1024), "a/b", ""];
  for (const start of keys) {
    for (const end of [...keys, undefined]) {
      assert.deepEqual(decodeCursor(encodeCursor({ start, end })), { start, end });
    }
  }
});

test("what is not a cursor is told from one", () => {
  const good = encodeCursor({ start: "key", end: "kez" });
  const wrongVersion = Buffer.from("\u0002\u0000\u0000\u0001a", "latin1").toString("base64url");
  const overlong = Buffer.from("\u0001\u0000\u0000\u0009a", "latin1").toString("base64url");
  const looseEnd = Buffer.from("\u0001\u0000\u0000\u0001ab", "latin1").toString("base64url");
  const bad = ["", "!", `${good}=`, ` ${good}`, "AQ", wrongVersion, overlong, looseEnd];
  for (const text of [...bad, "A".repeat(10_000)]) {
    assert.equal(decodeCursor(text), undefined, text.slice(0, 40));
  }
});

test("a damaged cursor is refused or is still a range, and never throws", () => {
  const seed = 20240607;
  const random = new SeededRandom(seed);
  const good = encodeCursor({ start: "some/key", end: "some/kez" });
  for (let round = 0; round < 2_000; round++) {
    const at = random.below(good.length);
    const damaged =
      good.slice(0, at) + String.fromCharCode(32 + random.below(95)) + good.slice(at + 1);
    const range = decodeCursor(damaged);
    if (range !== undefined) assert.equal(encodeCursor(range), damaged, `seed ${seed}`);
  }
});
