import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { keyFromJson, keyFromUrl, keyToJsonFields, prefixEnd } from "./key.ts";
import { byteString } from "./testing/entries.ts";

function messageOf(key: ReturnType<typeof keyFromUrl>): string {
  return typeof key === "string" ? `accepted: ${key}` : key.message;
}

test("a key in a URL is percent-decoded exactly once and never normalised", () => {
  const cases: readonly [string, string][] = [
    ["a", "a"],
    ["a/b", "a/b"],
    ["a%2Fb", "a/b"],
    ["a%2fb", "a/b"],
    ["%2525", "%25"],
    ["a//b/../c/./", "a//b/../c/./"],
    ["%2e%2e%2f", "../"],
    ["a+b", "a+b"],
    ["%00%FF%c3%28", "\x00\xff\xc3\x28"],
    ["%E2%82%AC", byteString("€")],
    ["__proto__", "__proto__"],
    ["x%0A", "x\n"],
  ];
  for (const [raw, key] of cases) assert.equal(keyFromUrl(raw), key, raw);
});

test("a bad escape, a raw byte beyond ASCII, an empty and a long key are refused", () => {
  for (const raw of ["%", "%a", "a%g0", "%0g", "%%20", "ab%2", "% 1"]) {
    assert.match(messageOf(keyFromUrl(raw)), /two hexadecimal digits/, raw);
  }
  assert.match(messageOf(keyFromUrl("caf\xe9")), /ASCII/);
  assert.match(messageOf(keyFromUrl("%20\u20ac")), /ASCII/);
  assert.match(messageOf(keyFromUrl("")), /at least 1 byte/);
  assert.equal(keyFromUrl("k".repeat(1024)), "k".repeat(1024));
  assert.match(messageOf(keyFromUrl("k".repeat(1025))), /at most 1024/);
  assert.equal(keyFromUrl("%6b".repeat(1024)), "k".repeat(1024));
  assert.match(messageOf(keyFromUrl("%6b".repeat(1025))), /at most 1024/);
});

test("every byte survives the way through a URL", () => {
  for (let byte = 0; byte < 256; byte += 1) {
    const escaped = `%${byte.toString(16).padStart(2, "0")}`;
    assert.equal(keyFromUrl(`a${escaped}z`), `a${String.fromCharCode(byte)}z`);
  }
});

test("any bytes survive the way through JSON, as text or as base64", () => {
  const seed = 11;
  const random = new SeededRandom(seed);
  const texts = ["a", 'qu"ote\\', "line\nfeed", "\u2028", "é€😀", "__proto__", "\x7f"];
  const keys = texts.map(byteString);
  for (let round = 0; round < 500; round += 1) {
    const length = 1 + random.below(12);
    keys.push(String.fromCharCode(...Array.from({ length }, () => random.below(256))));
  }
  for (const key of keys) {
    const parsed: unknown = JSON.parse(`{${keyToJsonFields(key)}}`);
    assert(typeof parsed === "object" && parsed !== null && "key" in parsed);
    assert(typeof parsed.key === "string");
    const encoding = "keyEncoding" in parsed ? "base64" : undefined;
    assert.equal(keyFromJson(parsed.key, encoding), key, `seed ${seed}: ${JSON.stringify(key)}`);
  }
  assert.equal(keyToJsonFields("\xff\x00"), '"key":"/wA=","keyEncoding":"base64"');
  assert.equal(keyToJsonFields(byteString("é")), '"key":"é"');
});

test("an unpaired surrogate and sloppy base64 in JSON are refused", () => {
  assert.match(messageOf(keyFromJson("a\ud800")), /surrogate/);
  assert.match(messageOf(keyFromJson("\udc00a")), /surrogate/);
  assert.equal(keyFromJson("\ud83d\ude00"), byteString("😀"));
  for (const text of ["/w", "/w=", "/wA=\n", "/x==", "_w==", "*"]) {
    assert.match(messageOf(keyFromJson(text, "base64")), /base64/, text);
  }
  assert.match(messageOf(keyFromJson("", "base64")), /at least 1 byte/);
  assert.match(messageOf(keyFromJson("€".repeat(342))), /at most 1024/);
});

test("a prefix ends right after the last key that begins with it", () => {
  assert.equal(prefixEnd("a"), "b");
  assert.equal(prefixEnd("a/"), "a0");
  assert.equal(prefixEnd("a\xff"), "b");
  assert.equal(prefixEnd("a\xfe\xff\xff"), "a\xff");
  assert.equal(prefixEnd("\xff\xff"), undefined);
  assert.equal(prefixEnd(""), undefined);
});
