/** Finding the leader and getting through: redirects, dead nodes, delays, deadlines, aborts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AbortedError, ConnectionError, RefusedError, TimeoutError } from "./errors.ts";
import { failure } from "./testing/fake-cluster.ts";
import { type Harness, harness, NODES, rejection } from "./testing/harness.ts";

function asked({ cluster }: Harness): readonly string[] {
  return cluster.seen.map(({ endpoint }) => endpoint.slice("http://".length, -":8001".length));
}

test("a follower names the leader, who is asked at once and from then on", async () => {
  const h = harness();
  h.cluster.leader = NODES[2];
  await h.client.get("a");
  await h.client.get("b");
  assert.deepEqual(asked(h), ["n1", "n3", "n3"]);
  assert.equal(h.clock.now(), 0);
});

test("dead nodes are passed over until the leader is found", async () => {
  const h = harness();
  h.cluster.leader = NODES[2];
  h.cluster.fault = ({ endpoint }) => (endpoint.endsWith(NODES[2]) ? undefined : "refused");
  assert.equal((await h.clock.settle(h.client.put("a", "1"))).ok, true);
  assert.deepEqual(asked(h), ["n1", "n2", "n3", "n3"]);
  assert.equal(h.clock.now(), 12.5 + 25);
});

test("a leader that dies is replaced within a few quick tries", async () => {
  const h = harness();
  await h.client.put("a", "1");
  h.cluster.leader = undefined;
  h.cluster.fault = ({ endpoint }) => (endpoint.endsWith(NODES[0]) ? "refused" : undefined);
  h.clock.after(300, () => {
    h.cluster.leader = NODES[1];
  });
  await h.clock.settle(h.client.put("a", "2"));
  assert.deepEqual(h.cluster.applied, ["PUT a 1", "PUT a 2"]);
  assert.ok(h.clock.now() <= 300 + 125, `found after ${h.clock.now()} ms`);
});

test("two nodes that name each other are not asked without end", async () => {
  const h = harness({ timeoutMs: 1_000 });
  h.cluster.fault = ({ endpoint }) =>
    failure("NOT_LEADER", endpoint.endsWith(NODES[0]) ? NODES[1] : NODES[0]);
  const error = await h.clock.settle(rejection(h.client.get("a")));
  assert.ok(error instanceof TimeoutError);
  assert.equal(error.leader, asked(h).length % 2 === 1 ? NODES[1] : NODES[0]);
  assert.ok(asked(h).length < 30, `${asked(h).length} requests`);
});

test("a leader that only the cluster can reach is reached through another node", async () => {
  const h = harness({ endpoints: [NODES[0]] });
  h.cluster.leader = "10.0.0.9:8001";
  h.cluster.fault = ({ endpoint }) => (endpoint.includes("10.0.0.9") ? "refused" : undefined);
  await h.clock.settle(h.client.put("a", "1"));
  await h.client.put("a", "2");
  assert.deepEqual(h.cluster.applied, ["PUT a 1", "PUT a 2"]);
  assert.equal(h.cluster.seen.at(-1)?.path, "/v1/kv/a");
});

test("a node that hangs costs one try, not the deadline", async () => {
  const h = harness();
  h.cluster.fault = ({ endpoint }) => (endpoint.endsWith(NODES[0]) ? "hang" : undefined);
  h.cluster.leader = NODES[1];
  await h.clock.settle(h.client.get("a"));
  assert.deepEqual(asked(h), ["n1", "n2"]);
  assert.equal(h.clock.now(), 2_000 + 12.5);
});

test("Retry-After is obeyed towards the node that said it", async () => {
  const h = harness();
  const headers = { "retry-after": "1" };
  h.cluster.fault = () =>
    h.cluster.seen.length < 3 ? { ...failure("OVERLOADED"), headers } : undefined;
  await h.clock.settle(h.client.get("a"));
  assert.deepEqual(asked(h), ["n1", "n1", "n1"]);
  assert.equal(h.clock.now(), 2_000);
});

test("Retry-After of a node without a leader does not keep us from asking the next", async () => {
  const h = harness();
  const headers = { "retry-after": "1" };
  h.cluster.fault = () =>
    h.cluster.seen.length < 3 ? { ...failure("NO_LEADER"), headers } : undefined;
  h.cluster.leader = NODES[2];
  await h.clock.settle(h.client.get("a"));
  assert.deepEqual(asked(h), ["n1", "n2", "n3"]);
  assert.equal(h.clock.now(), 12.5 + 25);
});

test("the deadline ends all tries, says why, and that nothing was applied", async () => {
  const h = harness({ timeoutMs: 700 });
  h.cluster.fault = () => "refused";
  const error = await h.clock.settle(rejection(h.client.put("a", "1")));
  assert.ok(error instanceof TimeoutError);
  assert.deepEqual([error.code, error.outcome], ["TIMEOUT", "not_applied"]);
  assert.match(
    error.message,
    /^no answer within 700 ms: http:\/\/n\d:800\d: connect ECONNREFUSED$/,
  );
  assert.ok(error.cause instanceof ConnectionError);
  assert.ok(h.clock.now() <= 700 && h.clock.now() > 500, `${h.clock.now()} ms`);
  await h.client.close();
  await h.clock.idle();
  assert.equal(h.clock.timerCount, 0);
});

test("a call can have its own deadline", async () => {
  const h = harness();
  h.cluster.fault = () => "hang";
  const error = await h.clock.settle(rejection(h.client.get("a", { timeoutMs: 50 })));
  assert.ok(error instanceof TimeoutError && error.outcome === "not_applied");
  assert.equal(h.clock.now(), 50);
});

test("a refusal that would not change is not repeated", async () => {
  const h = harness();
  h.cluster.fault = () => failure("BODY_TOO_LARGE");
  const error = await rejection(h.client.get("a"));
  assert.ok(error instanceof RefusedError);
  assert.deepEqual(
    [error.code, error.status, error.outcome],
    ["BODY_TOO_LARGE", 413, "not_applied"],
  );
  assert.equal(h.cluster.seen.length, 1);
});

test("a read is repeated after anything that was lost on the way", async () => {
  const h = harness();
  const faults = ["lost-request", "lost-answer", { status: 502, body: "<html>" }] as const;
  h.cluster.fault = () => faults[h.cluster.seen.length - 1] ?? failure("NOT_FOUND");
  assert.equal(await h.clock.settle(h.client.get("a")), undefined);
  assert.equal(h.cluster.seen.length, 4);
});

test("an abort before anything was sent sends nothing", async () => {
  const h = harness();
  const reason = new Error("changed my mind");
  const signal = AbortSignal.abort(reason);
  for (const call of [h.client.get("a", { signal }), h.client.put("a", "1", { signal })]) {
    const error = await rejection(call);
    assert.ok(error instanceof AbortedError);
    assert.deepEqual([error.outcome, error.cause], ["not_applied", reason]);
  }
  assert.equal(h.cluster.seen.length, 0);
});

test("an abort between two tries ends the wait at once", async () => {
  const h = harness();
  const controller = new AbortController();
  h.cluster.fault = () => "refused";
  const call = rejection(h.client.get("a", { signal: controller.signal }));
  await h.clock.idle();
  controller.abort();
  assert.ok((await call) instanceof AbortedError);
  assert.equal(h.clock.timerCount, 0);
});
