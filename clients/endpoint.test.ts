import assert from "node:assert/strict";
import { test } from "node:test";
import { isRefusedByFetch } from "./contract.ts";
import { hintedEndpoint, parseEndpoint, parseEndpoints, RoundRobin } from "./endpoint.ts";
import { InvalidArgumentError } from "./errors.ts";

test("endpoints are base URLs without a trailing slash, each once", () => {
  assert.deepEqual(
    parseEndpoints("127.0.0.1:8001, http://127.0.0.1:8001/ ,https://kv.example/a/"),
    ["http://127.0.0.1:8001", "https://kv.example/a"],
  );
  assert.equal(parseEndpoint("[::1]:8001"), "http://[::1]:8001");
});

test("what cannot be an endpoint is refused", () => {
  const wrong = ["ftp://a:1", "http://a:8001/?q", "http://u:p@a:1", "http://", "a b:1", "h:99999"];
  for (const text of [...wrong, "h:10080"]) {
    assert.throws(() => parseEndpoint(text), InvalidArgumentError, text);
  }
  assert.throws(() => parseEndpoints([]), InvalidArgumentError);
  assert.throws(() => parseEndpoints(" , "), InvalidArgumentError);
});

test("a hint is used only when it is host:port, with the scheme of the node that gave it", () => {
  assert.equal(hintedEndpoint("10.0.0.2:8002", "http://n1:8001"), "http://10.0.0.2:8002");
  assert.equal(hintedEndpoint("kv-2.example:8002", "https://n1/a"), "https://kv-2.example:8002");
  assert.equal(hintedEndpoint("[::1]:8002", "http://n1:8001"), "http://[::1]:8002");
  const wrong = [
    undefined,
    "",
    "n2",
    "n2:",
    "n2:0",
    "n2:70000",
    "n2:6000",
    "n2:80/path",
    "u@n2:80",
    "http://n2:80",
    "n2:80?x",
    "n2:80#x",
    "n 2:80",
    "n2:80\r\nX: y",
  ];
  for (const hint of wrong) assert.equal(hintedEndpoint(hint, "http://n1:8001"), undefined, hint);
});

test("the ports that are called bad are those that fetch refuses", async () => {
  const isBadPort = (error: unknown) =>
    error instanceof TypeError &&
    error.cause instanceof Error &&
    error.cause.message === "bad port";
  const bad = Array.from({ length: 65_535 }, (_, at) => at + 1).filter(isRefusedByFetch);
  assert.ok(bad.length > 70);
  for (const port of bad) {
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), isBadPort, `port ${port}`);
  }
  // 8001 to 8005 and 9001 to 9005 are what nodes use unless they are told otherwise.
  for (const port of [80, 443, 8001, 8005, 9001, 9005]) assert.ok(!isRefusedByFetch(port));
});

test("round robin stays with a node until that node fails", () => {
  const chooser = new RoundRobin(["a", "b", "c"], 2);
  assert.deepEqual(chooser.next(), { endpoint: "c", forward: true });
  chooser.unreachable("b");
  assert.equal(chooser.next().endpoint, "c", "news about another node changes nothing");
  chooser.unavailable("c");
  assert.equal(chooser.next().endpoint, "a");
  assert.equal(chooser.redirected("a"), false);
  assert.equal(chooser.next().endpoint, "b");
});
