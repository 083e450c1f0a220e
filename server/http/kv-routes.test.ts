import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { errorBodySchema, putResponseSchema, recordSchema } from "../../clients/contract.ts";
import { LEADER } from "./testing/fake-gateway.ts";
import { errorCode, type Fixture, request, startFixture } from "./testing/http-fixture.ts";

let fixture: Fixture;
let port = 0;
before(async () => {
  fixture = await startFixture();
  port = fixture.port;
});
beforeEach(() => {
  fixture.gateway.writeOutcome = undefined;
  fixture.gateway.readOutcome = undefined;
});
after(() => fixture.close());

const JSON_TYPE = "Content-Type: application/json";
const FORM_TYPE = "Content-Type: application/x-www-form-urlencoded";

test("what was put is got, with its revisions", async () => {
  const first = await request(port, "PUT /v1/kv/put", [], "one");
  assert.equal(first.status, 200);
  const { revision } = putResponseSchema.parse(JSON.parse(first.body));
  assert.equal(
    first.body,
    `{"key":"put","revision":${revision},"createRevision":${revision},"version":1}`,
  );
  await request(port, "PUT /v1/kv/put", [], "two");

  const got = await request(port, "GET /v1/kv/put");
  assert.equal(got.status, 200);
  assert.deepEqual(recordSchema.parse(JSON.parse(got.body)), {
    key: "put",
    value: "two",
    type: "text",
    revision: revision + 1,
    createRevision: revision,
    version: 2,
  });
  assert.equal(got.headers.get("etag"), `"${revision + 1}"`);
  assert.equal(got.headers.get("content-type"), "application/json");
  assert.equal(got.headers.get("cache-control"), "no-store");
  assert.equal(got.headers.get("vary"), "Accept");
  assert.equal(got.headers.get("x-raft-kv-consistency"), "read-index");
});

test("a value comes back as the type it was sent with", async () => {
  const cases: readonly (readonly [string[], string, string, unknown])[] = [
    [[JSON_TYPE], '{"n":1e400,"n":12345678901234567890}', "json", undefined],
    [[JSON_TYPE], "[1]", "json", [1]],
    [[FORM_TYPE], "a=b&c", "text", "a=b&c"],
    [[], "plain", "text", "plain"],
    [[], "", "text", ""],
    [[], "\u00ff\u00fe", "binary", "//4="],
    [["Content-Type: image/png"], "abc", "binary", "YWJj"],
  ];
  for (const [headers, body, type, value] of cases) {
    const put = await request(port, "PUT /v1/kv/typed", headers, body);
    assert.equal(put.status, 200, body);
    const raw = await request(port, "GET /v1/kv/typed?raw");
    assert.equal(raw.body, body);
    assert.equal(raw.headers.get("x-content-type-options"), "nosniff");
    const record = JSON.parse((await request(port, "GET /v1/kv/typed")).body);
    assert.equal(record.type, type, body);
    if (value !== undefined) assert.deepEqual(record.value, value);
  }
});

test("the bytes alone, by ?raw in their own type, by Accept as octets", async () => {
  await request(port, "PUT /v1/kv/raw", [JSON_TYPE], "{}");
  const raw = await request(port, "GET /v1/kv/raw?raw=true");
  assert.equal(raw.headers.get("content-type"), "application/json");
  const octets = await request(port, "GET /v1/kv/raw", ["Accept: application/octet-stream"]);
  assert.equal(octets.headers.get("content-type"), "application/octet-stream");
  assert.equal(octets.body, "{}");
  const json = await request(port, "GET /v1/kv/raw", ["Accept: */*"]);
  assert.equal(json.headers.get("content-type"), "application/json");
});

test("invalid JSON is refused when it is declared as JSON", async () => {
  for (const body of ["{", "NaN", "{} x", "\u00ef\u00bb\u00bf{}", "\u00ff", "[".repeat(100_000)]) {
    const response = await request(port, "PUT /v1/kv/json", [JSON_TYPE], body);
    assert.equal(response.status, 400);
    assert.equal(errorCode(response), "BAD_JSON");
  }
  assert.equal((await request(port, "GET /v1/kv/json")).status, 404);
});

test("conditions decide over writes, and a failed one shows the record", async () => {
  const absent = await request(port, "PUT /v1/kv/cas", ['If-Match: "1"'], "x");
  assert.equal(absent.status, 412);
  assert.equal(errorCode(absent), "CONDITION_FAILED");
  assert.equal(JSON.parse(absent.body).current, null);

  const created = await request(port, "PUT /v1/kv/cas", ["If-None-Match: *"], "x");
  assert.equal(created.status, 200);
  const { revision } = JSON.parse(created.body);
  const again = await request(port, "PUT /v1/kv/cas", ["If-None-Match: *"], "y");
  assert.equal(again.status, 412);
  assert.equal(JSON.parse(again.body).current.revision, revision);

  const swapped = await request(port, "PUT /v1/kv/cas?prev=true", [`If-Match: "${revision}"`], "y");
  assert.equal(swapped.status, 200);
  assert.equal(JSON.parse(swapped.body).previous.value, "x");
  const late = await request(port, "DELETE /v1/kv/cas", [`If-Match: "${revision}"`]);
  assert.equal(late.status, 412);
  const any = await request(port, "PUT /v1/kv/cas", ["If-Match: *"], "z");
  assert.equal(any.status, 200);
});

test("a delete says how many keys went, and what was there", async () => {
  await request(port, "PUT /v1/kv/gone", [], "x");
  const deleted = JSON.parse((await request(port, "DELETE /v1/kv/gone?prev=true")).body);
  assert.equal(deleted.deleted, 1);
  assert.equal(deleted.previous.value, "x");
  const again = JSON.parse((await request(port, "DELETE /v1/kv/gone?prev=true")).body);
  assert.deepEqual(again, { deleted: 0, revision: deleted.revision });
  const missing = await request(port, "GET /v1/kv/gone");
  assert.equal(missing.status, 404);
  assert.equal(missing.headers.get("x-raft-kv-consistency"), "read-index");
  assert.equal(errorCode(missing), "NOT_FOUND");
});

test("a reader that is up to date gets 304 without a body", async () => {
  const { revision } = JSON.parse((await request(port, "PUT /v1/kv/etag", [], "x")).body);
  const same = await request(port, "GET /v1/kv/etag", [`If-None-Match: "${revision}"`]);
  assert.equal(same.status, 304);
  assert.equal(same.body, "");
  assert.equal(same.headers.get("etag"), `"${revision}"`);
  const other = await request(port, "GET /v1/kv/etag", ['If-None-Match: "0"']);
  assert.equal(other.status, 200);
});

test("HEAD answers as GET does, without the body", async () => {
  await request(port, "PUT /v1/kv/head", [], "x");
  const response = await fetch(`http://127.0.0.1:${port}/v1/kv/head`, { method: "HEAD" });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("etag") ?? "", /^"\d+"$/);
  assert.equal(await response.text(), "");
  const missing = await fetch(`http://127.0.0.1:${port}/v1/kv/none`, { method: "HEAD" });
  assert.equal(missing.status, 404);
  assert.equal(missing.headers.get("x-raft-kv-consistency"), "read-index");
});

test("a read asks the gateway for what the client asked", async () => {
  await request(port, "PUT /v1/kv/read", [], "x");
  await request(port, "GET /v1/kv/read");
  const { gateway } = fixture;
  assert.deepEqual(gateway.lastRead, {
    consistency: "linearizable",
    minRevision: 0,
    forward: true,
  });
  const stale = await request(
    port,
    "GET /v1/kv/read?consistency=stale&minRevision=3&forward=false",
  );
  assert.deepEqual(gateway.lastRead, { consistency: "stale", minRevision: 3, forward: false });
  assert.equal(stale.headers.get("x-raft-kv-consistency"), "stale");
  await request(port, "PUT /v1/kv/read?forward=false", [], "x");
  assert.equal(gateway.lastForward, false);
});

test("parameters that are unknown, repeated, malformed or planned are refused", async () => {
  const targets = [
    "GET /v1/kv/a?x=1",
    "GET /v1/kv/a?prev=true",
    "GET /v1/kv/a?raw=maybe",
    "GET /v1/kv/a?consistency=eventual",
    "GET /v1/kv/a?minRevision=-1",
    "GET /v1/kv/a?minRevision=9007199254740992",
    "GET /v1/kv/a?revision=3",
    "GET /v1/kv/a?raw&raw",
    "PUT /v1/kv/a?ttlMs=10",
    "PUT /v1/kv/a?consistency=stale",
    "DELETE /v1/kv/a?lease=1",
    "GET /livez?x",
    "GET /v1/status?x",
  ];
  const before = fixture.gateway.submitted;
  for (const target of targets) {
    const response = await request(port, target);
    assert.equal(response.status, 400, target);
    assert.equal(errorCode(response), "BAD_REQUEST", target);
  }
  for (const header of ["Idempotency-Key: x", "If-Lock: a;1", "Session: x", "If-Match: 7"]) {
    const response = await request(port, "PUT /v1/kv/a", [header], "x");
    assert.equal(response.status, 400, header);
  }
  assert.equal((await request(port, "GET /v1/kv/a", ['If-Match: "1"'])).status, 400);
  assert.equal(fixture.gateway.submitted, before);
});

test("every refusal of the gateway has its own answer", async () => {
  const refusals = [
    ["no-leader", 503, "NO_LEADER"],
    ["not-leader", 421, "NOT_LEADER"],
    ["overloaded", 503, "OVERLOADED"],
    ["disk-full", 507, "DISK_FULL"],
    ["stopping", 503, "STOPPING"],
    ["starting", 503, "STARTING"],
    ["disputed", 503, "STATE_DISPUTED"],
    ["fenced", 503, "FENCED"],
  ] as const;
  for (const [reason, status, code] of refusals) {
    const leader = reason === "not-leader" ? LEADER : undefined;
    fixture.gateway.writeOutcome = { kind: "not-applied", reason, leader };
    fixture.gateway.readOutcome = { kind: "refused", reason, leader };
    const put = await request(port, "PUT /v1/kv/a", [], "x");
    const get = await request(port, "GET /v1/kv/a");
    const list = await request(port, "GET /v1/kv?consistency=stale");
    for (const response of [put, get, list]) {
      assert.equal(response.status, status, reason);
      const { error } = errorBodySchema.parse(JSON.parse(response.body));
      assert.deepEqual([error.code, error.outcome], [code, "not_applied"]);
      assert.equal(error.leader, leader?.clientAddress);
      assert.equal(response.headers.has("retry-after"), status === 503, reason);
    }
  }
});

test("an unknown outcome is a 504 that does not claim failure", async () => {
  for (const reason of ["timeout", "leadership-lost", "link-lost"] as const) {
    fixture.gateway.writeOutcome = { kind: "unknown", reason };
    const response = await request(port, "DELETE /v1/kv/a");
    assert.equal(response.status, 504);
    const { error } = errorBodySchema.parse(JSON.parse(response.body));
    assert.deepEqual([error.code, error.outcome], ["OUTCOME_UNKNOWN", "unknown"]);
  }
  fixture.gateway.readOutcome = { kind: "refused", reason: "timeout", leader: undefined };
  assert.equal(errorCode(await request(port, "GET /v1/kv/a")), "READ_TIMEOUT");
  fixture.gateway.readOutcome = { kind: "refused", reason: "behind", leader: undefined };
  const behind = await request(port, "GET /v1/kv/a?minRevision=99");
  assert.equal(behind.status, 503);
  assert.equal(errorCode(behind), "BEHIND");
});

test("a session makes a repeat harmless", async () => {
  const opened = await request(port, "POST /v1/sessions");
  assert.equal(opened.status, 201);
  const { id } = JSON.parse(opened.body);
  const stamp = [`Session: ${id};1;1`];
  const first = await request(port, "PUT /v1/kv/once?prev=true", stamp, "x");
  const repeat = await request(port, "PUT /v1/kv/once?prev=true", stamp, "x");
  assert.equal(JSON.parse(first.body).previous, null);
  assert.deepEqual({ ...JSON.parse(repeat.body), previous: null }, JSON.parse(first.body));

  const conflict = await request(port, "PUT /v1/kv/once", stamp, "another");
  assert.equal(conflict.status, 409);
  assert.equal(errorCode(conflict), "SESSION_CONFLICT");
  const closed = await request(port, `DELETE /v1/sessions/${id}`);
  assert.equal(closed.status, 200);
  const late = await request(port, "PUT /v1/kv/once", [`Session: ${id};2;2`], "x");
  assert.equal(late.status, 410);
  assert.equal(errorCode(late), "SESSION_EXPIRED");
});

test("a session takes no fields", async () => {
  assert.equal((await request(port, "POST /v1/sessions", [JSON_TYPE], " { } ")).status, 201);
  const bodies = ['{"ttlMs":1}', "[]", "{}{}", "\u00ef\u00bb\u00bf{}", '{"__proto__":1}', "x"];
  for (const body of bodies) {
    const response = await request(port, "POST /v1/sessions", [JSON_TYPE], body);
    assert.equal(response.status, 400, body);
  }
  assert.equal((await request(port, "POST /v1/sessions", [], " ".repeat(2_000))).status, 413);
  assert.equal((await request(port, "DELETE /v1/sessions/")).status, 400);
  assert.equal((await request(port, "DELETE /v1/sessions/a%20b")).status, 400);
});

test("the session table being full is no fault of the client's", async () => {
  fixture.gateway.writeOutcome = { kind: "applied", result: { kind: "sessions-full" } };
  const response = await request(port, "POST /v1/sessions");
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("retry-after"), "1");
});
