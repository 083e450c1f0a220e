/**
 * Keys on their way in and out: from a URL, from JSON, to JSON. Inside, a key is a byte string.
 *
 * - A key is 1 to LIMITS.keyBytesMax bytes, any bytes, never normalised.
 * - A bad key is a value, not an exception; a good one is a plain string, so that the path of every
 *   request allocates nothing else.
 */
import { isUtf8 } from "node:buffer";
import { LIMITS } from "../../clients/contract.ts";
import type { ByteString } from "./record.ts";

export interface BadKey {
  readonly kind: "bad-key";
  readonly message: string;
}

const EMPTY = badKey("a key has at least 1 byte");
const TOO_LONG = badKey(`a key has at most ${LIMITS.keyBytesMax} bytes`);
const BAD_ESCAPE = badKey("% is followed by two hexadecimal digits");
const NOT_ASCII = badKey("a URL is ASCII: send other bytes percent-encoded");
const NOT_TEXT = badKey("a key in JSON has no unpaired surrogates");
const BAD_BASE64 = badKey("the key is not valid base64");

const PERCENT = 0x25;
const ASCII_MAX = 0x7f;
const NOT_A_DIGIT = -1;

/**
 * Percent-decodes the raw part of a URL exactly once. The result may share memory with the URL:
 * it is for looking up and for encoding into a command, not for keeping.
 */
export function keyFromUrl(raw: string): ByteString | BadKey {
  for (let at = 0; at < raw.length; at += 1) {
    const code = raw.charCodeAt(at);
    if (code === PERCENT) return checkLength(decodeEscapes(raw, at));
    if (code > ASCII_MAX) return NOT_ASCII;
  }
  return checkLength(raw);
}

/** `encoding` is the field `keyEncoding` that may stand beside a key in JSON. */
export function keyFromJson(text: string, encoding?: "base64" | undefined): ByteString | BadKey {
  if (encoding === "base64") return checkLength(decodeBase64(text));
  if (isAscii(text)) return checkLength(text);
  // With the u flag this finds only surrogates that are not part of a pair.
  if (/[\ud800-\udfff]/u.test(text)) return NOT_TEXT;
  return checkLength(Buffer.from(text, "utf8").toString("latin1"));
}

/** The fields of a key in a JSON object: `"key":"…"`, and `"keyEncoding":"base64"` if needed. */
export function keyToJsonFields(key: ByteString): string {
  const text = textOf(key);
  if (text !== undefined) return `"key":${quote(text)}`;
  return `"key":"${Buffer.from(key, "latin1").toString("base64")}","keyEncoding":"base64"`;
}

/** The end of the range of all keys that begin with `prefix`; undefined: the last key. */
export function prefixEnd(prefix: ByteString): ByteString | undefined {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length -= 1;
  if (length === 0) return undefined;
  const last = String.fromCharCode(prefix.charCodeAt(length - 1) + 1);
  return prefix.slice(0, length - 1) + last;
}

/** Byte string to text; undefined when the bytes are not UTF-8. */
export function textOf(bytes: ByteString): string | undefined {
  if (isAscii(bytes)) return bytes;
  const buffer = Buffer.from(bytes, "latin1");
  return isUtf8(buffer) ? buffer.toString("utf8") : undefined;
}

/** A JSON string. JSON.stringify costs a call into the runtime; most text needs no escape. */
export function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

const NEEDS_ESCAPE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;
const BEYOND_ASCII = /[\x80-\uffff]/;

function isAscii(text: string): boolean {
  return !BEYOND_ASCII.test(text);
}

function badKey(message: string): BadKey {
  return { kind: "bad-key", message };
}

function checkLength(key: ByteString | BadKey): ByteString | BadKey {
  if (typeof key !== "string") return key;
  if (key.length === 0) return EMPTY;
  return key.length > LIMITS.keyBytesMax ? TOO_LONG : key;
}

/** `from` is where the first % stands. */
function decodeEscapes(raw: string, from: number): ByteString | BadKey {
  const bytes = Buffer.allocUnsafe(raw.length);
  bytes.write(raw, 0, from, "latin1");
  let length = from;
  for (let at = from; at < raw.length; at += 1) {
    let code = raw.charCodeAt(at);
    if (code > ASCII_MAX) return NOT_ASCII;
    if (code === PERCENT) {
      const high = hexDigit(raw.charCodeAt(at + 1));
      const low = hexDigit(raw.charCodeAt(at + 2));
      if (high === NOT_A_DIGIT || low === NOT_A_DIGIT) return BAD_ESCAPE;
      code = high * 16 + low;
      at += 2;
    }
    bytes[length] = code;
    length += 1;
  }
  return bytes.toString("latin1", 0, length);
}

/** Beyond the end charCodeAt gives NaN, which is no digit. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x41 + 10;
  if (code >= 0x61 && code <= 0x66) return code - 0x61 + 10;
  return NOT_A_DIGIT;
}

/** Buffer skips what is not base64; only a text that comes back the same was well formed. */
function decodeBase64(text: string): ByteString | BadKey {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes.toString("latin1") : BAD_BASE64;
}
