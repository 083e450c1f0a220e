import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { statusResponseSchema } from "../../clients/contract.ts";
import { LEADER } from "./testing/fake-gateway.ts";
import { errorCode, type Fixture, request, startFixture } from "./testing/http-fixture.ts";

let fixture: Fixture;
let port = 0;
before(async () => {
  fixture = await startFixture();
  port = fixture.port;
});
after(() => fixture.close());

test("the status is what the contract says", async () => {
  const response = await request(port, "GET /v1/status");
  assert.equal(response.status, 200);
  const status = statusResponseSchema.strict().parse(JSON.parse(response.body));
  assert.equal(status.leader, LEADER.clientAddress);
  assert.equal(status.version, "0.0.0");
  fixture.gateway.currentLeader = undefined;
  const leaderless = JSON.parse((await request(port, "GET /v1/status")).body);
  assert.deepEqual([leaderless.leaderId, leaderless.leader], [null, null]);
  fixture.gateway.currentLeader = LEADER;
});

test("a node is live as long as it answers, and ready only when writes can commit", async () => {
  const { gateway } = fixture;
  assert.equal((await request(port, "GET /livez")).status, 200);
  assert.equal((await request(port, "GET /readyz")).status, 200);
  gateway.ready = false;
  gateway.statusOverrides = { stopping: true };
  assert.equal(errorCode(await request(port, "GET /readyz")), "STOPPING");
  gateway.statusOverrides = { caughtUp: false };
  assert.equal(errorCode(await request(port, "GET /readyz")), "STARTING");
  gateway.statusOverrides = { state: "fenced" };
  assert.equal(errorCode(await request(port, "GET /readyz")), "FENCED");
  gateway.statusOverrides = { state: "disputed" };
  assert.equal(errorCode(await request(port, "GET /readyz")), "STATE_DISPUTED");
  gateway.statusOverrides = {};
  assert.equal(errorCode(await request(port, "GET /readyz")), "OVERLOADED");
  gateway.currentLeader = undefined;
  const leaderless = await request(port, "GET /readyz");
  assert.equal(leaderless.status, 503);
  assert.equal(errorCode(leaderless), "NO_LEADER");
  assert.equal((await request(port, "GET /livez")).status, 200);
  gateway.ready = true;
  gateway.currentLeader = LEADER;
});

test("the welcome page names the routes", async () => {
  const { status, body } = await request(port, "GET /");
  assert.equal(status, 200);
  for (const route of ["/v1/kv/{key}", "/v1/sessions", "/v1/status", "/livez", "/readyz"]) {
    assert(body.includes(route), route);
  }
});

test("what does not exist is a 404, and a wrong method a 405 that says which are right", async () => {
  for (const path of ["/v1", "/v1/txn", "/v1/watch", "/v1/kvx", "/V1/kv/a", "/metrics", "/*"]) {
    const response = await request(port, `GET ${path}`);
    assert.equal(response.status, 404, path);
    assert.match(JSON.parse(response.body).error.message, /GET \/ lists/);
  }
  const wrong: readonly (readonly [string, string])[] = [
    ["POST /v1/kv/a", "GET, HEAD, PUT, DELETE"],
    ["PATCH /v1/kv/a?x", "GET, HEAD, PUT, DELETE"],
    ["TRACE /v1/kv/a", "GET, HEAD, PUT, DELETE"],
    ["OPTIONS /v1/kv/a", "GET, HEAD, PUT, DELETE"],
    ["PROPFIND /v1/kv", "GET, HEAD, PUT, DELETE"],
    ["GET /v1/sessions", "POST"],
    ["PUT /v1/sessions/x", "DELETE"],
    ["DELETE /v1/status", "GET, HEAD"],
    ["POST /livez", "GET, HEAD"],
    ["POST /readyz", "GET, HEAD"],
    ["PUT /", "GET, HEAD"],
  ];
  for (const [line, allow] of wrong) {
    const response = await request(port, line);
    assert.equal(response.status, 405, line);
    assert.equal(errorCode(response), "METHOD_NOT_ALLOWED");
    assert.equal(response.headers.get("allow"), allow);
  }
});

test("a bug is a 500 without details for the client and with all of them in the log", async () => {
  const { gateway, errors } = fixture;
  const status = gateway.status;
  gateway.status = () => {
    throw new TypeError("secret detail");
  };
  const response = await request(port, "GET /v1/status");
  gateway.status = status;
  assert.equal(response.status, 500);
  assert.equal(errorCode(response), "INTERNAL");
  assert(!response.body.includes("secret"));
  assert.equal(errors.length, 1);
  assert.match(errors.join(""), /secret detail/);
});
