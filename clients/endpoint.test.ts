import assert from "node:assert/strict";
import { test } from "node:test";
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
  const wrong = ["ftp://a:1", "http://a:1/?q", "http://u:p@a:1", "http://", "a b:1", "h:99999"];
  for (const text of wrong) {
    assert.throws(() => parseEndpoint(text), InvalidArgumentError, text);
  }
  assert.throws(() => parseEndpoints([]), InvalidArgumentError);
  assert.throws(() => parseEndpoints(" , "), InvalidArgumentError);
});

test("a hint is used only when it is host:port, with the scheme of the node that gave it", () => {
  assert.equal(hintedEndpoint("10.0.0.2:8002", "http://n1:1"), "http://10.0.0.2:8002");
  assert.equal(hintedEndpoint("kv-2.example:8002", "https://n1/a"), "https://kv-2.example:8002");
  assert.equal(hintedEndpoint("[::1]:8002", "http://n1:1"), "http://[::1]:8002");
  const wrong = [
    undefined,
    "",
    "n2",
    "n2:",
    "n2:0",
    "n2:70000",
    "n2:80/path",
    "u@n2:80",
    "http://n2:80",
    "n2:80?x",
    "n2:80#x",
    "n 2:80",
    "n2:80\r\nX: y",
  ];
  for (const hint of wrong) assert.equal(hintedEndpoint(hint, "http://n1:1"), undefined, hint);
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
