import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fetch, FetchResponse } from "./http-try.ts";
import { sendOnce } from "./http-try.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { connectionError } from "./testing/fake-cluster.ts";

const REQUEST = {
  url: "http://n1:8001/v1/kv/a",
  method: "GET",
  headers: {},
  body: null,
  expects: "json",
} as const;

function send(fetch: Fetch, clock = new FakeClock(), signal?: AbortSignal) {
  return sendOnce(fetch, clock, REQUEST, { timeoutMs: 100, signal });
}

function failing(error: unknown): Fetch {
  return () => Promise.reject(error);
}

function answering(status: number, text: string): Fetch {
  const response: FetchResponse = {
    status,
    headers: { get: () => null },
    text: async () => text,
    arrayBuffer: async () => new ArrayBuffer(0),
  };
  return async () => response;
}

const hanging: Fetch = (_, { signal }) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("aborted")));
  });

async function howLost(error: unknown): Promise<string> {
  const result = await send(failing(error));
  return result.kind === "lost" ? result.how : result.kind;
}

test("only a connection that was never made is called not-sent", async () => {
  const attempts = [
    connectionError("ECONNREFUSED", "connect"),
    connectionError("ECONNREFUSED", "connect"),
  ].map(({ cause }) => cause);
  const bothAddresses = new TypeError("fetch failed", { cause: new AggregateError(attempts) });
  assert.equal(await howLost(connectionError("ECONNREFUSED", "connect")), "not-sent");
  assert.equal(await howLost(connectionError("EHOSTUNREACH", "connect")), "not-sent");
  assert.equal(await howLost(connectionError("ENOTFOUND", "getaddrinfo")), "not-sent");
  assert.equal(await howLost(bothAddresses), "not-sent");
});

test("every other loss may have reached the node", async () => {
  const mixed = new AggregateError([
    connectionError("ECONNREFUSED", "connect"),
    connectionError("ECONNRESET", "read"),
  ]);
  assert.equal(await howLost(connectionError("ECONNRESET", "read")), "no-answer");
  assert.equal(await howLost(connectionError("EHOSTUNREACH", "read")), "no-answer");
  assert.equal(await howLost(connectionError("EPIPE", "write")), "no-answer");
  assert.equal(await howLost(new TypeError("Failed to fetch")), "no-answer");
  assert.equal(await howLost(new TypeError("fetch failed", { cause: mixed })), "no-answer");
  assert.equal(await howLost("a string"), "no-answer");
});

test("a node that hangs is given up after the time of one try", async () => {
  const clock = new FakeClock();
  const result = await clock.settle(send(hanging, clock));
  assert.equal(result.kind === "lost" && result.how, "timed-out");
  assert.equal(clock.now(), 100);
});

test("the caller's abort ends the try and leaves neither timer nor listener", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const sent = send(hanging, clock, controller.signal);
  controller.abort();
  const result = await sent;
  assert.equal(result.kind === "lost" && result.how, "aborted");
  assert.equal(clock.timerCount, 0);
});

test("an error body is read as the contract has it", async () => {
  const error = { code: "NO_LEADER", message: "m", outcome: "not_applied", retryable: true };
  const result = await send(
    answering(503, JSON.stringify({ error: { ...error, leader: "a:8001" } })),
  );
  assert.deepEqual(result.kind === "refusal" && [result.code, result.outcome, result.leader], [
    "NO_LEADER",
    "not_applied",
    "a:8001",
  ]);
});

test("an error nobody knows has an unknown outcome, unless it says otherwise", async () => {
  const known = { code: "NEW_ONE", message: "m", outcome: "not_applied", retryable: true };
  for (const [text, outcome] of [
    ["<html>502 Bad Gateway</html>", "unknown"],
    ["", "unknown"],
    ["null", "unknown"],
    [JSON.stringify({ error: known }), "not_applied"],
  ] as const) {
    const result = await send(answering(502, text));
    assert.deepEqual(result.kind === "refusal" && [result.code, result.outcome], [
      "unrecognized",
      outcome,
    ]);
  }
});
