import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { LIMITS, listKeysResponseSchema, listResponseSchema } from "../../clients/contract.ts";
import { errorCode, type Fixture, request, startFixture } from "./testing/http-fixture.ts";

let fixture: Fixture;
let port = 0;
before(async () => {
  fixture = await startFixture();
  port = fixture.port;
  // UTF-16 order would put the emoji before U+FFFD; byte order does not.
  for (const key of ["a", "b/1", "b/2", "b/3", "c", "\ufffd", "\u{1f600}"]) {
    await request(port, `PUT /v1/kv/${encodeURIComponent(key)}`, [], key);
  }
  await request(port, "PUT /v1/kv/%FF", [], "x");
});
after(() => fixture.close());

async function keysOf(query: string): Promise<(string | undefined)[]> {
  const response = await request(port, `GET /v1/kv${query}`);
  assert.equal(response.status, 200, response.body);
  return listResponseSchema.parse(JSON.parse(utf8(response.body))).items.map(({ key }) => key);
}

function utf8(body: string): string {
  return Buffer.from(body, "latin1").toString("utf8");
}

test("a listing is in byte order and says where it stands", async () => {
  const all = ["a", "b/1", "b/2", "b/3", "c", "\ufffd", "\u{1f600}", "/w=="];
  assert.deepEqual(await keysOf(""), all);
  assert.deepEqual(await keysOf("?prefix="), all);
  const response = await request(port, "GET /v1/kv?prefix=b/2");
  const page = JSON.parse(response.body);
  assert.equal(page.revision, 8);
  assert.equal(page.cursor, undefined);
  assert.equal(page.items[0].value, "b/2");
  assert.equal(response.headers.get("x-raft-kv-consistency"), "read-index");
});

test("a range by prefix, or by start and end", async () => {
  assert.deepEqual(await keysOf("?prefix=b/"), ["b/1", "b/2", "b/3"]);
  assert.deepEqual(await keysOf("?start=b/2&end=c"), ["b/2", "b/3"]);
  assert.deepEqual(await keysOf("?end=b"), ["a"]);
  assert.deepEqual(await keysOf("?start=c&end=a"), []);
  assert.deepEqual(await keysOf("?prefix=%FF"), ["/w=="]);
  const binary = JSON.parse((await request(port, "GET /v1/kv?prefix=%FF")).body);
  assert.equal(binary.items[0].keyEncoding, "base64");
});

test("keys=true leaves the values out", async () => {
  const response = await request(port, "GET /v1/kv?prefix=b/&keys=true");
  const { items } = listKeysResponseSchema.parse(JSON.parse(response.body));
  assert.deepEqual(items, [{ key: "b/1" }, { key: "b/2" }, { key: "b/3" }]);
  assert(!response.body.includes("value"));
});

test("a cursor walks through a range, with or without the range beside it", async () => {
  for (const range of ["prefix=b/&", ""]) {
    const seen: string[] = [];
    let query = "?prefix=b/&limit=2&keys=true";
    for (let pages = 0; pages < 2; pages++) {
      const page = JSON.parse((await request(port, `GET /v1/kv${query}`)).body);
      for (const item of page.items) seen.push(item.key);
      query = `?${range}limit=2&keys=true&cursor=${page.cursor}`;
      if (pages === 1) assert.equal(page.cursor, undefined);
    }
    assert.deepEqual(seen, ["b/1", "b/2", "b/3"]);
  }
});

test("a bad limit, range or cursor is refused", async () => {
  const page = JSON.parse((await request(port, "GET /v1/kv?prefix=b/&limit=1")).body);
  const queries = [
    "limit=0",
    "limit=-1",
    "limit=1e3",
    `limit=${LIMITS.listItemsMax + 1}`,
    "limit=1000000000",
    "prefix=a&start=b",
    "prefix=a&end=b",
    "cursor=",
    "cursor=AAAA",
    "cursor=%00",
    `cursor=${page.cursor}&prefix=c`,
    `cursor=${page.cursor}&start=a&end=z`,
    "reverse=true",
    "count=true",
    "delimiter=/",
    "key=a&prefix=b",
    `prefix=${"a".repeat(LIMITS.keyBytesMax + 1)}`,
  ];
  for (const query of queries) {
    const response = await request(port, `GET /v1/kv?${query}`);
    assert.equal(response.status, 400, query);
  }
});

test("a key that the path cannot carry goes into the query", async () => {
  for (const key of ["..", ".", "", "a b", "x%", "\u00ff", "a+b&c=d"]) {
    const target = `/v1/kv?key=${[...Buffer.from(key, "latin1")].map(percent).join("")}`;
    const put = await request(port, `PUT ${target}`, [], "by query");
    if (key === "") {
      assert.equal(put.status, 400);
      assert.equal(errorCode(put), "BAD_KEY");
      continue;
    }
    assert.equal(put.status, 200, key);
    assert.equal((await request(port, `GET ${target}&raw`)).body, "by query");
    assert.equal(JSON.parse((await request(port, `DELETE ${target}`)).body).deleted, 1);
  }
  const spaced = await request(port, "PUT /v1/kv?key=one+two", [], "x");
  assert.equal(JSON.parse(spaced.body).key, "one two");
  await request(port, "DELETE /v1/kv/one%20two");
});

test("writes without a key, and deletes of ranges, are refused", async () => {
  const { submitted } = fixture.gateway;
  for (const line of ["PUT /v1/kv", "PUT /v1/kv/", "DELETE /v1/kv", "DELETE /v1/kv/?prev=true"]) {
    const response = await request(port, line, [], "x");
    assert.equal(response.status, 400, line);
    assert.equal(errorCode(response), "BAD_KEY", line);
  }
  assert.equal((await request(port, "DELETE /v1/kv?prefix=b")).status, 400);
  assert.equal((await request(port, "DELETE /v1/kv?key=a&prefix=")).status, 400);
  assert.equal(fixture.gateway.submitted, submitted);
});

function percent(byte: number): string {
  return `%${byte.toString(16).padStart(2, "0")}`;
}
