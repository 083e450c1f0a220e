/**
 * `/v1/kv` without a key in the path: listings, and keys that a URL's path cannot carry, given as
 * `?key=`. A page is bounded in items and in bytes, and a cursor carries the rest of its range.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { LIMITS } from "../../clients/contract.ts";
import {
  type ByteString,
  type KvReader,
  keyToJsonFields,
  prefixEnd,
  recordToJson,
} from "../kv/index.ts";
import { readAnswer } from "./answer.ts";
import { decodeCursor, encodeCursor, type Range } from "./cursor.ts";
import {
  deleteRecord,
  GET_PARAMETERS,
  getRecord,
  type KvDeps,
  putRecord,
  WRITE_PARAMETERS,
} from "./kv-routes.ts";
import { booleanParameter, integerParameter, parseQuery, type Query } from "./query.ts";
import { parseRead, READ_PARAMETERS, runRead } from "./read.ts";
import { badKey, badRequest, RequestRefusal } from "./refusal.ts";
import { refuse } from "./refuse.ts";
import { targetOf } from "./target.ts";

const LIST_PARAMETERS: ReadonlySet<string> = new Set([
  "prefix",
  "start",
  "end",
  "limit",
  "cursor",
  "keys",
  ...READ_PARAMETERS,
]);
const KEYED_GET_PARAMETERS: ReadonlySet<string> = new Set(["key", ...GET_PARAMETERS]);
const KEYED_WRITE_PARAMETERS: ReadonlySet<string> = new Set(["key", ...WRITE_PARAMETERS]);

const LIMIT_BOUNDS = {
  absent: LIMITS.listItemsDefault,
  min: 1,
  max: LIMITS.listItemsMax,
} as const;

export function getByQuery(deps: KvDeps, incoming: IncomingMessage): Response | Promise<Response> {
  const target = targetOf(incoming);
  if (!/[?&]key(?:=|&|$)/.test(target)) return list(deps, incoming, target);
  const keyed = parseKeyed(target, KEYED_GET_PARAMETERS);
  if (keyed instanceof RequestRefusal) return refuse(incoming, keyed);
  return getRecord(deps, incoming, keyed.key, keyed.query);
}

export function putByQuery(
  deps: KvDeps,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Response | Promise<Response> {
  const keyed = parseKeyed(targetOf(incoming), KEYED_WRITE_PARAMETERS);
  if (keyed instanceof RequestRefusal) return refuse(incoming, keyed);
  return putRecord(deps, incoming, outgoing, keyed.key, keyed.query);
}

export function deleteByQuery(
  deps: KvDeps,
  incoming: IncomingMessage,
): Response | Promise<Response> {
  const target = targetOf(incoming);
  if (/[?&](?:prefix|start|end)=/.test(target)) {
    const message = "Deleting a range is not available in this version; delete key by key.";
    return refuse(incoming, badRequest(message));
  }
  const keyed = parseKeyed(target, KEYED_WRITE_PARAMETERS);
  if (keyed instanceof RequestRefusal) return refuse(incoming, keyed);
  return deleteRecord(deps, incoming, keyed.key, keyed.query);
}

interface Keyed {
  readonly key: ByteString;
  readonly query: Query;
}

function parseKeyed(target: string, allowed: ReadonlySet<string>): Keyed | RequestRefusal {
  const query = parseQuery(target, allowed);
  if (query instanceof RequestRefusal) return query;
  const key = query.get("key");
  if (key === undefined) return badKey("give it in the path, /v1/kv/{key}, or as ?key=");
  if (key.length === 0) return badKey("a key has at least 1 byte");
  if (key.length > LIMITS.keyBytesMax) {
    return badKey(`a key has at most ${LIMITS.keyBytesMax} bytes`);
  }
  return { key, query };
}

function list(
  deps: KvDeps,
  incoming: IncomingMessage,
  target: string,
): Response | Promise<Response> {
  const query = parseQuery(target, LIST_PARAMETERS);
  if (query instanceof RequestRefusal) return refuse(incoming, query);
  const request = parseRead(query);
  if (request instanceof RequestRefusal) return refuse(incoming, request);
  const page = parsePage(query);
  if (page instanceof RequestRefusal) return refuse(incoming, page);
  return runRead(deps.gateway, request, (reader, used) => readAnswer(pageJson(reader, page), used));
}

interface PageRequest extends Range {
  readonly limit: number;
  readonly keysOnly: boolean;
}

function parsePage(query: Query): PageRequest | RequestRefusal {
  const limit = integerParameter(query, "limit", LIMIT_BOUNDS);
  if (limit instanceof RequestRefusal) return limit;
  const keysOnly = booleanParameter(query, "keys", false);
  if (keysOnly instanceof RequestRefusal) return keysOnly;
  const asked = parseRange(query);
  if (asked instanceof RequestRefusal) return asked;
  const cursor = query.get("cursor");
  if (cursor === undefined) return { start: asked.start, end: asked.end, limit, keysOnly };
  const rest = decodeCursor(cursor);
  if (rest === undefined) return badRequest("This is not a cursor of a listing.");
  const isBare = !query.has("prefix") && !query.has("start") && !query.has("end");
  if (!isBare && (rest.start < asked.start || rest.end !== asked.end)) {
    return badRequest("This cursor belongs to another listing.");
  }
  return { start: rest.start, end: rest.end, limit, keysOnly };
}

function parseRange(query: Query): Range | RequestRefusal {
  const prefix = query.get("prefix");
  const start = query.get("start") ?? "";
  const end = query.get("end");
  for (const bound of [prefix ?? "", start, end ?? ""]) {
    if (bound.length > LIMITS.keyBytesMax) {
      return badKey(`a key has at most ${LIMITS.keyBytesMax} bytes`);
    }
  }
  if (prefix === undefined) return { start, end };
  if (query.has("start") || query.has("end")) {
    return badRequest("Give either prefix, or start and end.");
  }
  return { start: prefix, end: prefixEnd(prefix) };
}

function pageJson(reader: KvReader, page: PageRequest): string {
  const { start, end, limit } = page;
  const { items, next } = reader.list({ start, end, limit, bytesMax: LIMITS.listBytesMax });
  const parts: string[] = [];
  for (const { key, record } of items) {
    parts.push(page.keysOnly ? `{${keyToJsonFields(key)}}` : recordToJson(key, record));
  }
  const cursor = next === undefined ? "" : `,"cursor":"${encodeCursor({ start: next, end })}"`;
  return `{"items":[${parts.join(",")}],"revision":${reader.revision}${cursor}}`;
}
