/**
 * Request targets exactly as the client sent them. A key is everything between `/v1/kv/` and the
 * `?`, percent-decoded once and never normalised; `..`, `//` and `%2F` are ordinary bytes of it.
 */
import type { IncomingMessage } from "node:http";
import { API_PREFIX } from "../../clients/contract.ts";

export const LIST_PATH = `${API_PREFIX}/kv`;
/** All keys share this one route. */
export const KEY_PATH = `${API_PREFIX}/kv/`;
export const SESSIONS_PATH = `${API_PREFIX}/sessions`;
/** All session ids share this one route. */
export const SESSION_PATH = `${API_PREFIX}/sessions/`;

export function targetOf(incoming: IncomingMessage): string {
  return incoming.url ?? "/";
}

/** What stands between `path` and the query, as sent. */
export function restOfPath(target: string, path: string): string {
  const questionMark = target.indexOf("?", path.length);
  return questionMark === -1 ? target.slice(path.length) : target.slice(path.length, questionMark);
}
