import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "./address.ts";

test("an address is a name or a literal, and a port", () => {
  assert.deepEqual(parseAddress("127.0.0.1:9001"), { host: "127.0.0.1", port: 9001 });
  assert.deepEqual(parseAddress("node-2.example:1"), { host: "node-2.example", port: 1 });
  assert.deepEqual(parseAddress("[::1]:65535"), { host: "::1", port: 65535 });
});

test("anything else is no address", () => {
  for (const text of ["", "host", ":1", "host:", "host:65536", "::1:9", "a b:1", "h/x:1", "ü:1"]) {
    assert.equal(parseAddress(text), undefined, text);
  }
});
