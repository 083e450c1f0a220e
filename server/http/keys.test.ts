/** Keys arrive and come back byte for byte, whatever a URL parser would make of them. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { LIMITS } from "../../clients/contract.ts";
import { SeededRandom } from "../../raft/index.ts";
import { errorCode, type Fixture, request, startFixture } from "./testing/http-fixture.ts";

let fixture: Fixture;
let port = 0;
before(async () => {
  fixture = await startFixture();
  port = fixture.port;
});
after(() => fixture.close());

/** Writes through the raw path, and asks the state itself which key that was. */
async function keyWritten(path: string): Promise<string> {
  const { reader } = fixture.gateway;
  const value = `of revision ${reader.revision + 1}`;
  const put = await request(port, `PUT /v1/kv/${path}`, [], value);
  assert.equal(put.status, 200, path);
  const got = await request(port, `GET /v1/kv/${path}?raw`);
  assert.equal(got.body, value, path);
  const { items } = reader.list({ start: "", end: undefined, limit: 1e6, bytesMax: 1e9 });
  const found = items.find(({ record }) => record.value === value);
  assert(found !== undefined, path);
  return found.key;
}

test("a path is decoded once and never normalised", async () => {
  const cases: readonly (readonly [string, string])[] = [
    ["a", "a"],
    ["a/b", "a/b"],
    ["a%2Fb", "a/b"],
    ["..", ".."],
    ["../status", "../status"],
    ["%2e%2e/status", "../status"],
    ["%2e%2e%2fstatus", "../status"],
    [".", "."],
    ["a/../b", "a/../b"],
    ["a/./b/", "a/./b/"],
    ["//", "//"],
    ["a//b", "a//b"],
    ["/", "/"],
    ["a\\b", "a\\b"],
    ["a%5Cb", "a\\b"],
    ["\\..\\", "\\..\\"],
    ["%00", "\u0000"],
    ["%0A%0D", "\n\r"],
    ["%E2%80%A8", "\u00e2\u0080\u00a8"],
    ["%FF", "\u00ff"],
    ["%C3%A9", "\u00c3\u00a9"],
    ["e%CC%81", "e\u00cc\u0081"],
    ["%ED%A0%80", "\u00ed\u00a0\u0080"],
    ["%2541", "%41"],
    ["%3Fraw", "?raw"],
    ["a+b", "a+b"],
    ["a;b,c:d@e&f=g!$'()*~", "a;b,c:d@e&f=g!$'()*~"],
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["toString", "toString"],
    ["a".repeat(LIMITS.keyBytesMax), "a".repeat(LIMITS.keyBytesMax)],
    ["%FF".repeat(LIMITS.keyBytesMax), "\u00ff".repeat(LIMITS.keyBytesMax)],
  ];
  for (const [path, key] of cases) assert.equal(await keyWritten(path), key);
  assert.equal(Object.hasOwn(Object.prototype, "key"), false);
});

test("random keys round-trip", async () => {
  const seed = 7;
  const random = new SeededRandom(seed);
  for (let round = 0; round < 40; round++) {
    const bytes = Array.from({ length: 1 + random.below(24) }, () => random.below(256));
    const path = bytes.map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
    assert.equal(await keyWritten(path), String.fromCharCode(...bytes), `seed ${seed}`);
  }
});

test("what is not a key is refused", async () => {
  const before = fixture.gateway.submitted;
  const paths = [
    "",
    "?raw",
    "%",
    "%4",
    "%zz",
    "a%",
    "%u0041",
    "a".repeat(LIMITS.keyBytesMax + 1),
    "%41".repeat(LIMITS.keyBytesMax + 1),
  ];
  for (const path of paths) {
    const got = await request(port, `GET /v1/kv/${path}`);
    assert.equal(got.status, 400, path.slice(0, 40));
    assert.equal(errorCode(got), "BAD_KEY", path.slice(0, 40));
    assert.equal((await request(port, `PUT /v1/kv/${path}`, [], "x")).status, 400);
  }
  assert.equal(fixture.gateway.submitted, before);
});

test("bytes that are not ASCII are refused where they stand raw in a URL", async () => {
  assert.equal((await request(port, "GET /v1/kv/\u00e9")).status, 400);
});

test("the absolute form names the same key", async () => {
  assert.equal((await request(port, "PUT http://localhost/v1/kv/abs", [], "x")).status, 200);
  assert.equal((await request(port, "GET /v1/kv/abs?raw")).body, "x");
  assert.equal((await request(port, "GET http://localhost/v1/kv/../abs")).status, 404);
});
