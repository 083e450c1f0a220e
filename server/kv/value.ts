/**
 * Values on their way in and out: which type a body has, and how a record looks in JSON.
 *
 * - A `json` value is valid JSON of bounded depth, kept and answered exactly as it was sent:
 *   duplicate names and big integers are the client's own.
 * - JSON answers are built by hand: parsing a stored value only to print it again costs more than
 *   everything else on the path of a GET.
 */
import { isUtf8 } from "node:buffer";
import { LIMITS } from "../../clients/contract.ts";
import { unreachable } from "../../raft/index.ts";
import { asBuffer } from "./bytes.ts";
import { keyToJsonFields, quote, textOf } from "./key.ts";
import type { ByteString, KvRecord, ValueType } from "./record.ts";

export interface BadJson {
  readonly kind: "bad-json";
  readonly message: string;
}

const BAD_JSON = badJson("the body is not valid JSON");
const NOT_UTF8 = badJson("JSON is UTF-8");
const TOO_DEEP = badJson(`JSON is nested at most ${LIMITS.jsonDepthMax} levels deep`);

/** The type a body is stored with, by the content type it was sent with. */
export function classifyValue(
  contentType: string | undefined,
  body: Uint8Array,
): ValueType | BadJson {
  const mediaType = mediaTypeOf(contentType);
  if (mediaType === "application/json") return checkJson(body) ?? "json";
  const isText =
    mediaType === "" ||
    mediaType === "application/x-www-form-urlencoded" ||
    mediaType.startsWith("text/");
  return isText && isUtf8(body) ? "text" : "binary";
}

/** A whole record, fields in the order of the public contract. */
export function recordToJson(key: ByteString, record: KvRecord): string {
  return (
    `{${keyToJsonFields(key)},${valueToJsonFields(record)},"revision":${record.revision},` +
    `"createRevision":${record.createRevision},"version":${record.version}}`
  );
}

/** `"value":…,"type":"…"`: JSON as it was sent, text as a string, anything else as base64. */
function valueToJsonFields(record: KvRecord): string {
  const { type, value } = record;
  switch (type) {
    case "json":
    case "text": {
      const text = textOf(value);
      if (text === undefined) return binaryToJsonFields(value);
      return type === "json"
        ? `"value":${text},"type":"json"`
        : `"value":${quote(text)},"type":"text"`;
    }
    case "binary":
      return binaryToJsonFields(value);
    default:
      return unreachable(type);
  }
}

function binaryToJsonFields(value: ByteString): string {
  return `"value":"${Buffer.from(value, "latin1").toString("base64")}","type":"binary"`;
}

/** Lower case, without parameters such as charset. */
function mediaTypeOf(contentType: string | undefined): string {
  if (contentType === undefined) return "";
  const end = contentType.indexOf(";");
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** Depth comes first: the parser's own stack is not ours to bound. */
function checkJson(body: Uint8Array): BadJson | undefined {
  if (!isUtf8(body)) return NOT_UTF8;
  if (isDeeperThan(body, LIMITS.jsonDepthMax)) return TOO_DEEP;
  try {
    JSON.parse(asBuffer(body).toString("utf8"));
  } catch {
    return BAD_JSON;
  }
  return undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Counts brackets outside strings. Right for valid JSON; the parser refuses what is not. */
function isDeeperThan(body: Uint8Array, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (inString) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      depth += 1;
      if (depth > depthMax) return true;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
      depth -= 1;
    }
  }
  return false;
}

function badJson(message: string): BadJson {
  return { kind: "bad-json", message };
}
