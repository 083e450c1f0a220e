/**
 * GET, PUT and DELETE of one key. The hot path: one promise per request, no zod, no log line, and
 * for a granted read not even the promise.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Gateway } from "../gateway.ts";
import {
  type ByteString,
  type Condition,
  classifyValue,
  encodeDelete,
  encodePut,
  keyFromUrl,
  recordToJson,
  type SessionStamp,
  type ValueType,
} from "../kv/index.ts";
import { notModifiedAnswer, rawAnswer, recordAnswer } from "./answer.ts";
import { checkBody, readBody } from "./body.ts";
import {
  isNotModified,
  parseSession,
  parseWriteCondition,
  refuseUnavailableHeaders,
} from "./conditions.ts";
import { errorResponse } from "./error-response.ts";
import { booleanParameter, parseQuery, type Query } from "./query.ts";
import { parseRead, READ_PARAMETERS, runRead } from "./read.ts";
import { badKey, badRequest, RequestRefusal } from "./refusal.ts";
import { refuse } from "./refuse.ts";
import { KEY_PATH, restOfPath, targetOf } from "./target.ts";
import { runWrite } from "./write.ts";

export interface KvDeps {
  readonly gateway: Gateway;
  readonly valueBytesMax: number;
}

export const GET_PARAMETERS: ReadonlySet<string> = new Set([...READ_PARAMETERS, "raw"]);
export const WRITE_PARAMETERS: ReadonlySet<string> = new Set(["prev", "forward"]);

/** The key of `/v1/kv/{key}`. */
function keyOf(target: string): ByteString | RequestRefusal {
  const key = keyFromUrl(restOfPath(target, KEY_PATH));
  return typeof key === "string" ? key : badKey(key.message);
}

export function getKey(deps: KvDeps, incoming: IncomingMessage): Response | Promise<Response> {
  const target = targetOf(incoming);
  const key = keyOf(target);
  if (key instanceof RequestRefusal) return refuse(incoming, key);
  const query = parseQuery(target, GET_PARAMETERS);
  if (query instanceof RequestRefusal) return refuse(incoming, query);
  return getRecord(deps, incoming, key, query);
}

export function getRecord(
  deps: KvDeps,
  incoming: IncomingMessage,
  key: ByteString,
  query: Query,
): Response | Promise<Response> {
  const { headers } = incoming;
  const request = parseRead(query);
  if (request instanceof RequestRefusal) return refuse(incoming, request);
  const raw = booleanParameter(query, "raw", false);
  if (raw instanceof RequestRefusal) return refuse(incoming, raw);
  if (headers["if-match"] !== undefined) {
    return refuse(incoming, badRequest("If-Match is for writes; a read takes If-None-Match."));
  }
  const asOctets = headers.accept !== undefined && acceptsOctets(headers.accept);

  return runRead(deps.gateway, request, (reader, used) => {
    const record = reader.get(key);
    if (record === undefined) return errorResponse("NOT_FOUND", "There is no such key.", { used });
    if (isNotModified(headers, record.revision)) return notModifiedAnswer(record.revision, used);
    if (raw || asOctets) return rawAnswer(record, asOctets, used);
    return recordAnswer(recordToJson(key, record), record.revision, used);
  });
}

function acceptsOctets(accept: string): boolean {
  return /(?:^|[\s,])application\/octet-stream(?:$|[\s,;])/i.test(accept);
}

export function putKey(
  deps: KvDeps,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Response | Promise<Response> {
  const target = targetOf(incoming);
  const key = keyOf(target);
  if (key instanceof RequestRefusal) return refuse(incoming, key);
  const query = parseQuery(target, WRITE_PARAMETERS);
  if (query instanceof RequestRefusal) return refuse(incoming, query);
  return putRecord(deps, incoming, outgoing, key, query);
}

export function putRecord(
  deps: KvDeps,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  key: ByteString,
  query: Query,
): Response | Promise<Response> {
  const options = parseWrite(incoming, query);
  if (options instanceof RequestRefusal) return refuse(incoming, options);
  return new Promise((resolve) => {
    readBody(incoming, outgoing, deps.valueBytesMax, (body) => {
      const value = checkBody(body, deps.valueBytesMax);
      if (value instanceof RequestRefusal) return resolve(refuse(incoming, value));
      const type = classifyBody(value, incoming);
      if (type instanceof RequestRefusal) return resolve(refuse(incoming, type));
      const { condition, session, wantPrevious, forward } = options;
      const command = encodePut({ key, value, type, condition, session, wantPrevious });
      runWrite(deps.gateway, command, forward, key, resolve);
    });
  });
}

function classifyBody(value: Buffer, incoming: IncomingMessage): ValueType | RequestRefusal {
  const type = classifyValue(incoming.headers["content-type"], value);
  return typeof type === "string"
    ? type
    : new RequestRefusal("BAD_JSON", `A value sent as application/json is JSON: ${type.message}.`);
}

export function deleteKey(deps: KvDeps, incoming: IncomingMessage): Response | Promise<Response> {
  const target = targetOf(incoming);
  const key = keyOf(target);
  if (key instanceof RequestRefusal) return refuse(incoming, key);
  const query = parseQuery(target, WRITE_PARAMETERS);
  if (query instanceof RequestRefusal) return refuse(incoming, query);
  return deleteRecord(deps, incoming, key, query);
}

export function deleteRecord(
  deps: KvDeps,
  incoming: IncomingMessage,
  key: ByteString,
  query: Query,
): Response | Promise<Response> {
  const options = parseWrite(incoming, query);
  if (options instanceof RequestRefusal) return refuse(incoming, options);
  const { condition, session, wantPrevious, forward } = options;
  const command = encodeDelete({ key, condition, session, wantPrevious });
  return new Promise((resolve) => {
    runWrite(deps.gateway, command, forward, key, resolve);
  });
}

interface WriteOptions {
  readonly condition: Condition;
  readonly session: SessionStamp | undefined;
  readonly wantPrevious: boolean;
  readonly forward: boolean;
}

function parseWrite(incoming: IncomingMessage, query: Query): WriteOptions | RequestRefusal {
  const { headers } = incoming;
  const unavailable = refuseUnavailableHeaders(headers);
  if (unavailable !== undefined) return unavailable;
  const condition = parseWriteCondition(headers);
  if (condition instanceof RequestRefusal) return condition;
  const session = parseSession(headers);
  if (session instanceof RequestRefusal) return session;
  const wantPrevious = booleanParameter(query, "prev", false);
  if (wantPrevious instanceof RequestRefusal) return wantPrevious;
  const forward = booleanParameter(query, "forward", true);
  if (forward instanceof RequestRefusal) return forward;
  return { condition, session, wantPrevious, forward };
}
