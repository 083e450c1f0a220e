import assert from "node:assert/strict";
import { test } from "node:test";
import type { ValueType } from "./record.ts";
import { StoredRecord } from "./stored-record.ts";
import { byteString, bytes } from "./testing/entries.ts";
import { classifyValue, recordToJson } from "./value.ts";

const FORM = "application/x-www-form-urlencoded";
const NOT_UTF8 = new Uint8Array([0x61, 0xff]);

function jsonOf(value: string, type: ValueType): string {
  return recordToJson("k", new StoredRecord(value, type, 7, 3, 2, 0, 0));
}

function refusal(contentType: string, body: Uint8Array): string {
  const type = classifyValue(contentType, body);
  return typeof type === "string" ? `accepted as ${type}` : type.message;
}

test("the content type and the bytes decide the type of a value", () => {
  assert.equal(classifyValue(undefined, bytes("a")), "text");
  assert.equal(classifyValue(FORM, bytes("a=b&c")), "text");
  assert.equal(classifyValue("Text/HTML; charset=utf-8", bytes("é")), "text");
  assert.equal(classifyValue("text/plain", new Uint8Array(0)), "text");
  assert.equal(classifyValue(FORM, NOT_UTF8), "binary");
  assert.equal(classifyValue(undefined, NOT_UTF8), "binary");
  assert.equal(classifyValue("application/octet-stream", bytes("a")), "binary");
  assert.equal(classifyValue("image/png", bytes("a")), "binary");
  assert.equal(classifyValue("Application/JSON ;charset=utf-8", bytes('{"a":1}')), "json");
});

test("JSON must parse, be UTF-8, carry no byte order mark and stay shallow", () => {
  const json = "application/json";
  for (const text of ["", "{", "nul", "1 2", "[1,]", "\ufeff1", "NaN", '"a', "{]"]) {
    assert.match(refusal(json, bytes(text)), /not valid JSON/, text);
  }
  assert.match(refusal(json, NOT_UTF8), /UTF-8/);
  const nested = (depth: number): Uint8Array => bytes("[".repeat(depth) + "]".repeat(depth));
  assert.equal(classifyValue(json, nested(32)), "json");
  assert.match(refusal(json, nested(33)), /32 levels/);
  assert.match(refusal(json, nested(500_000)), /32 levels/);
  assert.equal(classifyValue(json, bytes(`"${"[".repeat(100)}\\"${"{".repeat(100)}"`)), "json");
  assert.equal(
    classifyValue(json, bytes('{"a":1,"a":12345678901234567890,"__proto__":{}}')),
    "json",
  );
});

test("a record has its fields in the order of the contract", () => {
  assert.equal(
    jsonOf("hello", "text"),
    '{"key":"k","value":"hello","type":"text","revision":7,"createRevision":3,"version":2}',
  );
});

test("JSON is embedded as it was sent", () => {
  const sent = ' {"a": 12345678901234567890, "a": "é€"} ';
  assert.ok(jsonOf(byteString(sent), "json").includes(`"value":${sent},"type":"json"`));
});

test("text is a JSON string, whatever stands in it", () => {
  for (const text of ["", 'a"b\\c', "\x00\x1f\x7f", "tab\t\r\n", "é€😀\u2028", "</script>"]) {
    const parsed: unknown = JSON.parse(jsonOf(byteString(text), "text"));
    assert(typeof parsed === "object" && parsed !== null && "value" in parsed);
    assert.equal(parsed.value, text);
  }
});

test("binary is base64, and so is text that is not", () => {
  assert.ok(jsonOf("\x00\xff", "binary").includes('"value":"AP8=","type":"binary"'));
  assert.ok(jsonOf("\xff", "text").includes('"value":"/w==","type":"binary"'));
});
