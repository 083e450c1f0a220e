/**
 * Keys in URLs. A key is any 1 to 1,024 bytes and must arrive byte for byte, while everything
 * between here and the server believes that it may tidy up a path. So every byte that is not
 * unreserved (RFC 3986, section 2.3) is percent-encoded, the slash excepted, and a key whose
 * segments a URL would drop or resolve travels in the query instead, where nothing is resolved.
 */
import { API_PREFIX, LIMITS } from "./contract.ts";
import { InvalidArgumentError } from "./errors.ts";

/** A string stands for its UTF-8 bytes. */
export type Key = string | Uint8Array;

export type QueryParameters = readonly (readonly [name: string, value: Key | undefined])[];

export const KV_PATH = `${API_PREFIX}/kv`;
const PLAIN = /^[A-Za-z0-9_~-]{1,1024}$/;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

const PERCENT: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (UNRESERVED.test(character)) return character;
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});

const encoder = new TextEncoder();

/** The path of a key, with a query when the path cannot carry it. */
export function keyPath(key: Key): string {
  if (typeof key === "string" && PLAIN.test(key)) return `${KV_PATH}/${key}`;
  const bytes = keyBytes(key);
  if (bytes.length === 0) throw new InvalidArgumentError("a key has at least one byte");
  if (bytes.length > LIMITS.keyBytesMax) {
    throw new InvalidArgumentError(`a key has at most ${LIMITS.keyBytesMax} bytes`);
  }
  const encoded = percentEncode(bytes);
  const segments = encoded.split("%2F");
  const isFragile = segments.some((segment) => /^\.{0,2}$/.test(segment));
  return isFragile ? `${KV_PATH}?key=${encoded}` : `${KV_PATH}/${segments.join("/")}`;
}

/** Adds parameters to a path that may have some already. Undefined ones are left out. */
export function withQuery(path: string, parameters: QueryParameters): string {
  let query = "";
  for (const [name, value] of parameters) {
    if (value !== undefined) query += `&${name}=${percentEncode(keyBytes(value))}`;
  }
  if (query === "" || path.includes("?")) return path + query;
  return `${path}?${query.slice(1)}`;
}

function keyBytes(key: Key): Uint8Array {
  return typeof key === "string" ? encoder.encode(wellFormed(key)) : key;
}

/**
 * Half of a surrogate pair has no UTF-8 and would silently become U+FFFD: two different keys
 * would be one.
 */
export function wellFormed(text: string): string {
  if (LONE_SURROGATE.test(text)) {
    throw new InvalidArgumentError("a string with a lone surrogate has no UTF-8 form");
  }
  return text;
}

function percentEncode(bytes: Uint8Array): string {
  let encoded = "";
  for (const byte of bytes) encoded += PERCENT[byte];
  return encoded;
}
