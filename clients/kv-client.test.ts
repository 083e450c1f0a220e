import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "./entry.ts";
import { ClientClosedError, InvalidArgumentError, UnexpectedResponseError } from "./errors.ts";
import { KvClient } from "./kv-client.ts";
import type { FakeResponse, SeenRequest } from "./testing/fake-cluster.ts";
import { harness, rejection } from "./testing/harness.ts";

/** A client of a server that answers each request as told. */
function answering(answer: (request: SeenRequest) => FakeResponse) {
  const { cluster, client } = harness();
  cluster.fault = (request) => (request.path.startsWith("/v1/kv") ? answer(request) : undefined);
  return { cluster, client };
}

test("what is put can be got, overwritten and deleted", async () => {
  const { client } = harness();
  assert.equal(await client.get("a"), undefined);
  assert.deepEqual(await client.put("a", "one"), {
    ok: true,
    revision: 1,
    createRevision: 1,
    version: 1,
  });
  await client.put("a", "two");
  const entry: Entry = {
    key: "a",
    type: "text",
    value: "two",
    revision: 2,
    createRevision: 1,
    version: 2,
  };
  assert.deepEqual(await client.get("a"), entry);
  assert.deepEqual(await client.delete("a"), { ok: true, deleted: true, revision: 3 });
  assert.deepEqual(await client.delete("a"), { ok: true, deleted: false, revision: 3 });
  await client.close();
});

test("a condition that does not hold is an answer with what is there instead", async () => {
  const { client, cluster } = harness();
  assert.equal((await client.put("a", "one", { ifAbsent: true })).ok, true);
  const taken = await client.put("a", "two", { ifAbsent: true });
  assert.equal(!taken.ok && taken.current?.value, "one");
  assert.equal((await client.put("a", "two", { ifRevision: 1 })).ok, true);
  assert.equal((await client.delete("a", { ifRevision: 1 })).ok, false);
  assert.deepEqual(await client.put("b", "x", { ifExists: true }), {
    ok: false,
    current: undefined,
  });
  assert.deepEqual(cluster.applied, ["PUT a one", "PUT a two"]);
});

test("values are declared as what they are", async () => {
  const seen: unknown[] = [];
  const { client } = answering(({ headers, body }) => {
    seen.push([headers.get("content-type"), body]);
    return { status: 200, body: { key: "k", revision: 1, createRevision: 1, version: 1 } };
  });
  const bytes = Uint8Array.of(0, 255);
  await client.put("k", "text");
  await client.put("k", bytes);
  await client.putJson("k", { a: [1, null] });
  await client.put("k", "12345678901234567890", { type: "json" });
  assert.deepEqual(seen, [
    ["text/plain; charset=utf-8", "text"],
    ["application/octet-stream", bytes],
    ["application/json", '{"a":[1,null]}'],
    ["application/json", "12345678901234567890"],
  ]);
});

test("records come back as they were declared, and keys that are not text as bytes", async () => {
  const numbers = { revision: 3, createRevision: 2, version: 1 };
  const wire = [
    { key: "j", value: { n: 1 }, type: "json", ...numbers },
    { key: "null", value: null, type: "json", ...numbers },
    { key: "t", value: "text", type: "text", ...numbers },
    { key: "/wA=", keyEncoding: "base64", value: "AP8=", type: "binary", ...numbers },
  ];
  const { client } = answering(() => ({ status: 200, body: { items: wire, revision: 3 } }));
  const page = await client.list();
  assert.deepEqual(page.items, [
    { key: "j", value: { n: 1 }, type: "json", ...numbers },
    { key: "null", value: null, type: "json", ...numbers },
    { key: "t", value: "text", type: "text", ...numbers },
    { key: Uint8Array.of(255, 0), value: Uint8Array.of(0, 255), type: "binary", ...numbers },
  ]);
  assert.deepEqual([page.revision, page.cursor], [3, undefined]);
});

test("a range is read page by page, only as far as it is taken", async () => {
  const paths: string[] = [];
  const { client } = answering(({ path }) => {
    paths.push(path);
    const page = /cursor=p(\d)/.exec(path)?.[1] ?? "1";
    const items = [{ key: `a${page}` }, { key: `b${page}` }];
    const next = page === "3" ? {} : { cursor: `p${Number(page) + 1}` };
    return { status: 200, body: { items, revision: 9, ...next } };
  });
  const all = [];
  for await (const key of client.keys({ prefix: "x/", pageLimit: 2 })) all.push(key);
  assert.deepEqual(all, ["a1", "b1", "a2", "b2", "a3", "b3"]);
  assert.deepEqual(paths, [
    "/v1/kv?keys=true&prefix=x%2F&limit=2&forward=false",
    "/v1/kv?keys=true&prefix=x%2F&limit=2&cursor=p2&forward=false",
    "/v1/kv?keys=true&prefix=x%2F&limit=2&cursor=p3&forward=false",
  ]);
  paths.length = 0;
  for await (const key of client.keys("x/")) {
    assert.equal(key, "a1");
    break;
  }
  assert.equal(paths.length, 1);
});

test("the bytes of a value come as they are", async () => {
  const { client, cluster } = answering(({ path }) =>
    path.includes("/absent")
      ? { status: 404, body: { error: errorBody("NOT_FOUND") } }
      : { status: 200, body: "12345678901234567890" },
  );
  const bytes = await client.getBytes("n");
  assert.equal(Buffer.from(bytes ?? []).toString(), "12345678901234567890");
  assert.equal(cluster.seen[0]?.path, "/v1/kv/n?raw=true&forward=false");
  assert.equal(await client.getBytes("absent"), undefined);
});

test("stale reads stay with one configured node and are never redirected", async () => {
  const { client, cluster } = harness({ endpoints: "n2:8002" });
  await client.put("a", "1");
  cluster.seen.length = 0;
  await client.get("a", { consistency: "stale", minRevision: 1 });
  assert.deepEqual(
    cluster.seen.map(({ endpoint, path }) => endpoint + path),
    ["http://n2:8002/v1/kv/a?consistency=stale&minRevision=1"],
  );
});

test("an answer of another shape is an error, with an unknown outcome for a write", async () => {
  const { client } = answering(() => ({ status: 200, body: "<html>welcome</html>" }));
  const read = await rejection(client.get("a"));
  assert.ok(read instanceof UnexpectedResponseError && read.outcome === "not_applied");
  const write = await rejection(client.put("a", "1"));
  assert.ok(write instanceof UnexpectedResponseError && write.outcome === "unknown");
});

test("what cannot be sent is refused before anything is sent", async () => {
  const { client, cluster } = harness();
  const circle: unknown[] = [];
  circle.push(circle);
  const attempts = [
    () => client.put("", "x"),
    () => client.put("a", "\ud800"),
    () => client.putJson("a", undefined),
    () => client.putJson("a", circle),
    () => client.put("a", "x", { ifRevision: 1.5 }),
    () => client.get("a", { minRevision: -1 }),
  ];
  for (const attempt of attempts) {
    const error = await rejection(attempt());
    assert.ok(error instanceof InvalidArgumentError && error.outcome === "not_applied");
  }
  assert.throws(() => new KvClient({ endpoints: [] }), InvalidArgumentError);
  assert.equal(cluster.seen.length, 0);
});

test("closing lets writes finish, returns the session and refuses what comes after", async () => {
  const { client, cluster } = harness();
  const writes = [client.put("a", "1"), client.put("b", "2")];
  const closed = client.close();
  const late = rejection(client.put("c", "3"));
  await closed;
  await Promise.all(writes);
  assert.ok((await late) instanceof ClientClosedError);
  assert.ok((await rejection(client.get("a"))) instanceof ClientClosedError);
  assert.deepEqual(cluster.applied, ["PUT a 1", "PUT b 2"]);
  assert.equal(cluster.sessions.size, 0);
  await client.close();
});

test("closing never fails, and a client that wrote nothing has nothing to close", async () => {
  const { client, cluster, clock } = harness();
  await client.put("a", "1");
  cluster.fault = () => "refused";
  await clock.settle(client.close());
  const idle = harness();
  await idle.client.close();
  assert.equal(idle.cluster.seen.length, 0);
});

function errorBody(code: string) {
  return { code, message: "m", outcome: "not_applied", retryable: false };
}
