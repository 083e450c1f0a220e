import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidArgumentError } from "./errors.ts";
import { type Key, keyPath, withQuery } from "./key.ts";

/** What a server sees of a path that went through `fetch`. */
function received(path: string): string {
  return new URL(`http://n1:8001${path}`).href.slice("http://n1:8001".length);
}

/** The bytes of the key in a request target, as latin1. */
function keyIn(target: string): string {
  const match = /^\/v1\/kv(?:\/|\?key=)([^?&]*)/.exec(target);
  assert.ok(match, target);
  return (match[1] ?? "").replaceAll(/%([0-9A-F]{2})/g, (_, hex) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function latin1(key: Key): string {
  return Buffer.from(key).toString("latin1");
}

test("readable keys stay readable", () => {
  assert.equal(keyPath("user-42"), "/v1/kv/user-42");
  assert.equal(keyPath("users/42/name.txt"), "/v1/kv/users/42/name.txt");
  assert.equal(keyPath("a b?c#d%2F+é"), "/v1/kv/a%20b%3Fc%23d%252F%2B%C3%A9");
});

test("a key whose segments a URL would drop or resolve goes into the query", () => {
  for (const key of [".", "..", "a/../b", "./a", "a/.", "/a", "a/", "a//b", "/", "//"]) {
    assert.match(keyPath(key), /^\/v1\/kv\?key=/, key);
  }
  for (const key of ["...", ".a", "a..", "%2e%2e", "a/%2E/b", "\\..\\"]) {
    assert.match(keyPath(key), /^\/v1\/kv\/./, key);
  }
});

test("every key arrives byte for byte, whatever a URL would like to tidy up", () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const keys: Key[] = [
    ...bytes.map((byte) => Uint8Array.of(byte)),
    ...bytes.map((byte) => Uint8Array.of(0x61, 0x2f, byte, 0x2f, byte)),
    Uint8Array.from(bytes),
    "..",
    "a/./b",
    "%2e%2e/status",
    "a//b",
    "\u2028\n",
    "\u{1F600}/ключ",
    "k".repeat(1_024),
  ];
  for (const key of keys) {
    const target = received(withQuery(keyPath(key), [["forward", "false"]]));
    assert.equal(keyIn(target), latin1(key));
    assert.match(target, /[?&]forward=false$/);
  }
});

test("keys that no server would take are refused before anything is sent", () => {
  for (const key of [
    "",
    new Uint8Array(),
    "k".repeat(1_025),
    "é".repeat(513),
    "a\ud800",
    "\udc00",
  ]) {
    assert.throws(() => keyPath(key), InvalidArgumentError);
  }
});

test("query parameters are encoded, and left out when undefined", () => {
  assert.equal(withQuery("/v1/kv", [["prefix", undefined]]), "/v1/kv");
  assert.equal(
    withQuery("/v1/kv", [
      ["prefix", "a&b=c+d/"],
      ["limit", undefined],
      ["cursor", Uint8Array.of(0xff)],
    ]),
    "/v1/kv?prefix=a%26b%3Dc%2Bd%2F&cursor=%FF",
  );
});
