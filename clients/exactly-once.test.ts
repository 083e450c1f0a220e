/** Writes: one sequence for all tries, applied at most once, and outcomes that are never wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AbortedError,
  KvClientError,
  OutcomeUnknownError,
  RefusedError,
  TimeoutError,
} from "./errors.ts";
import { type FakeCluster, type Fault, failure, type SeenRequest } from "./testing/fake-cluster.ts";
import { harness, NODES, rejection } from "./testing/harness.ts";

function isWrite({ method }: SeenRequest): boolean {
  return method === "PUT" || method === "DELETE";
}

function sessionHeaders(cluster: FakeCluster): readonly (string | undefined)[] {
  return cluster.seen.filter(isWrite).map(({ headers }) => headers.get("session"));
}

/** Applies the faults to the writes in order; then all is well. */
function failWrites(cluster: FakeCluster, ...faults: readonly Fault[]): void {
  let count = 0;
  cluster.fault = (request) => {
    if (!isWrite(request)) return undefined;
    count += 1;
    return faults[count - 1];
  };
}

test("concurrent writes share one session and take sequences of their own", async () => {
  const { client, cluster } = harness();
  await Promise.all([client.put("a", "1"), client.put("b", "2"), client.delete("c")]);
  await client.put("d", "4");
  const opened = cluster.seen.filter(({ path }) => path.startsWith("/v1/sessions"));
  assert.equal(opened.length, 1);
  assert.deepEqual(sessionHeaders(cluster), ["s1;1;1", "s1;2;1", "s1;3;1", "s1;4;4"]);
});

test("a write whose answer was lost is repeated with its sequence and applied once", async () => {
  for (const fault of [
    "lost-answer",
    "lost-request",
    "hang",
    failure("OUTCOME_UNKNOWN"),
  ] as const) {
    const { client, cluster, clock } = harness();
    failWrites(cluster, fault, "refused", fault);
    const written = await clock.settle(client.put("a", "1"));
    assert.deepEqual(written, { ok: true, revision: 1, createRevision: 1, version: 1 });
    assert.deepEqual(cluster.applied, ["PUT a 1"]);
    assert.equal(new Set(sessionHeaders(cluster)).size, 1, String(fault));
  }
});

test("a condition is judged once: a repeat does not trip over its own first try", async () => {
  const { client, cluster, clock } = harness();
  failWrites(cluster, "lost-answer");
  const written = await clock.settle(client.put("lock", "me", { ifAbsent: true }));
  assert.equal(written.ok, true);
  assert.deepEqual(cluster.applied, ["PUT lock me"]);
});

test("the lowest unanswered sequence is told as of each try", async () => {
  const { client, cluster, clock } = harness();
  await client.put("first", "0");
  let slowTries = 0;
  cluster.fault = ({ path }) => {
    if (!path.startsWith("/v1/kv/slow")) return undefined;
    slowTries += 1;
    return slowTries === 1 ? "lost-answer" : undefined;
  };
  const slow = client.put("slow", "1");
  await client.put("quick", "2");
  await clock.settle(slow);
  await client.put("last", "3");
  assert.deepEqual(
    cluster.seen
      .filter((request) => isWrite(request) && request.endpoint.endsWith(NODES[0]))
      .map(({ path, headers }) => `${path.split("?")[0]?.slice(7)} ${headers.get("session")}`),
    ["first s1;1;1", "slow s1;2;2", "quick s1;3;2", "slow s1;2;2", "last s1;4;4"],
  );
});

test("a deadline after a try that may have been applied says unknown", async () => {
  const { client, cluster, clock } = harness({ timeoutMs: 500 });
  await client.put("a", "1");
  failWrites(cluster, "lost-request", ...Array.from({ length: 50 }, () => "refused" as const));
  const error = await clock.settle(rejection(client.put("a", "2")));
  assert.ok(error instanceof TimeoutError);
  assert.equal(error.outcome, "unknown");
});

test("an abort while a write is on its way says unknown, and the next write moves on", async () => {
  const { client, cluster } = harness();
  await client.put("a", "1");
  failWrites(cluster, "hang");
  const controller = new AbortController();
  const call = rejection(client.put("a", "2", { signal: controller.signal }));
  setImmediate(() => controller.abort());
  const error = await call;
  assert.ok(error instanceof AbortedError);
  assert.equal(error.outcome, "unknown");
  await client.put("a", "3");
  assert.equal(sessionHeaders(cluster).at(-1), "s1;3;3");
});

test("a session that expired before the first try is replaced and the write goes on", async () => {
  const { client, cluster, clock } = harness();
  await client.put("a", "1");
  cluster.sessions.clear();
  await clock.settle(Promise.all([client.put("b", "2"), client.put("c", "3")]));
  assert.deepEqual([...cluster.sessions.keys()], ["s2"]);
  assert.deepEqual(cluster.applied, ["PUT a 1", "PUT b 2", "PUT c 3"]);
});

test("a session that expired after a lost try leaves the outcome unknown", async () => {
  const { client, cluster, clock } = harness();
  await client.put("a", "1");
  failWrites(cluster, "lost-answer", failure("SESSION_EXPIRED"));
  const error = await clock.settle(rejection(client.put("a", "2")));
  assert.ok(error instanceof OutcomeUnknownError);
  assert.ok(error.cause instanceof RefusedError && error.cause.code === "SESSION_EXPIRED");
  assert.deepEqual(cluster.applied, ["PUT a 1", "PUT a 2"]);
  cluster.fault = () => undefined;
  await client.put("a", "3");
  assert.equal(sessionHeaders(cluster).at(-1), "s2;1;1");
});

test("a session that is always expired does not spin: the deadline ends it", async () => {
  const { client, cluster, clock } = harness({ timeoutMs: 2_000 });
  failWrites(cluster, ...Array.from({ length: 500 }, () => failure("SESSION_EXPIRED")));
  const error = await clock.settle(rejection(client.put("a", "1")));
  assert.ok(error instanceof TimeoutError && error.outcome === "not_applied");
  assert.ok(cluster.seen.length < 60, `${cluster.seen.length} requests`);
});

test("a refusal is definite, until an earlier try was lost", async () => {
  const definite = harness();
  failWrites(definite.cluster, failure("SESSION_CONFLICT"));
  const refused = await rejection(definite.client.put("a", "1"));
  assert.ok(refused instanceof RefusedError && refused.outcome === "not_applied");

  const { client, cluster, clock } = harness();
  failWrites(cluster, "lost-answer", failure("SESSION_CONFLICT"));
  const unknown = await clock.settle(rejection(client.put("a", "1")));
  assert.ok(unknown instanceof OutcomeUnknownError && unknown.status === 409);
});

test("a server's own fault is not repeated, and its outcome is unknown", async () => {
  const { client, cluster } = harness();
  failWrites(cluster, failure("INTERNAL"));
  const error = await rejection(client.put("a", "1"));
  assert.ok(error instanceof RefusedError);
  assert.deepEqual([error.code, error.outcome], ["INTERNAL", "unknown"]);
  assert.equal(cluster.seen.filter(isWrite).length, 1);
});

test("a full session table is waited for", async () => {
  const { client, cluster, clock } = harness();
  cluster.fault = ({ path }) =>
    path.startsWith("/v1/sessions") && cluster.seen.length < 4
      ? { ...failure("SESSIONS_FULL"), headers: { "retry-after": "1" } }
      : undefined;
  await clock.settle(client.put("a", "1"));
  assert.deepEqual(cluster.applied, ["PUT a 1"]);
  assert.equal(clock.now(), 3_000);
});

test("an aborted write does not take the opening session away from the others", async () => {
  const { client, cluster, clock } = harness();
  cluster.fault = () => (cluster.seen.length === 1 ? "refused" : undefined);
  cluster.leader = NODES[1];
  const controller = new AbortController();
  const aborted = rejection(client.put("a", "1", { signal: controller.signal }));
  const other = client.put("b", "2");
  controller.abort();
  const error = await aborted;
  assert.ok(error instanceof AbortedError && error.outcome === "not_applied");
  await clock.settle(other);
  assert.deepEqual(cluster.applied, ["PUT b 2"]);
});

test("a write with more time than the client's usual goes on opening a session", async () => {
  const { client, cluster, clock } = harness({ timeoutMs: 1_000 });
  cluster.fault = () => (clock.now() < 3_000 ? "refused" : undefined);
  await clock.settle(client.put("a", "1", { timeoutMs: 10_000 }));
  assert.deepEqual(cluster.applied, ["PUT a 1"]);
});

test("without a session nothing is repeated that may have been applied", async () => {
  const { client, cluster, clock } = harness({ session: false });
  failWrites(cluster, failure("OVERLOADED"), "lost-answer");
  const error = await clock.settle(rejection(client.put("a", "1", { timeoutMs: 60_000 })));
  assert.ok(error instanceof OutcomeUnknownError);
  assert.deepEqual(cluster.applied, ["PUT a 1"]);
  assert.deepEqual(new Set(sessionHeaders(cluster)), new Set([undefined]));
});

test("whatever fails, nothing is applied twice and no outcome is wrong", async () => {
  for (let seed = 1; seed <= 60; seed += 1) await randomRun(seed);
});

/** Writes of unique values under random faults and elections, some of them with short deadlines. */
async function randomRun(seed: number): Promise<void> {
  const random = fractions(seed);
  const { client, cluster, clock } = harness({ random, timeoutMs: 5_000 });
  cluster.fault = () => {
    if (random() < 0.1) cluster.leader = NODES[Math.floor(random() * 4)];
    if (random() < 0.02) cluster.sessions.clear();
    return FAULTS[Math.floor(random() * 25)];
  };
  const outcomes = new Map<string, string>();
  const calls = Array.from({ length: 40 }, async (_, number) => {
    const write = `PUT k${number % 7} v${number}`;
    try {
      await client.put(`k${number % 7}`, `v${number}`, { timeoutMs: 50 + random() * 5_000 });
      outcomes.set(write, "applied");
    } catch (error) {
      if (!(error instanceof KvClientError)) throw error;
      outcomes.set(write, error.outcome);
    }
  });
  await clock.settle(Promise.all(calls));
  const times = new Map<string, number>();
  for (const write of cluster.applied) times.set(write, (times.get(write) ?? 0) + 1);
  for (const [write, outcome] of outcomes) {
    const count = times.get(write) ?? 0;
    const isRight =
      outcome === "applied" ? count === 1 : outcome === "not_applied" ? count === 0 : count <= 1;
    assert.ok(isRight, `seed ${seed}: ${write} was ${outcome} and applied ${count} times`);
  }
  cluster.fault = () => undefined;
  await clock.settle(client.close());
  await clock.idle();
  assert.equal(clock.timerCount, 0, `seed ${seed}: a timer is left`);
}

const FAULTS: readonly Fault[] = [
  "refused",
  "lost-request",
  "lost-answer",
  "lost-answer",
  "hang",
  failure("NO_LEADER"),
  failure("OVERLOADED"),
  { status: 502, body: "<html>" },
];

/** Park and Miller's generator: enough to spread faults. */
function fractions(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
