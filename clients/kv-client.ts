/**
 * A client for raft-kv over the global `fetch`: Node, browsers, edge runtimes.
 *
 *     const kv = new KvClient({ endpoints: ["127.0.0.1:8001", "127.0.0.1:8002"] });
 *     const { revision } = await kv.put("greeting", "hello");
 *     await kv.putJson("config", { retries: 3 });
 *     const entry = await kv.get("greeting"); // undefined when absent
 *     if (entry?.type === "text") console.log(entry.value, entry.revision);
 *     const swap = await kv.put("greeting", "hi", { ifRevision: revision });
 *     if (!swap.ok) console.log("someone was faster:", swap.current);
 *     for await (const { key } of kv.entries("user/")) console.log(key);
 *     await kv.delete("greeting", { signal: AbortSignal.timeout(500) });
 *     await kv.close();
 *
 * It finds the leader by itself and retries with backoff until `timeoutMs`. Every write carries a
 * session and a sequence, so that a retry is never applied twice: neither a lost connection nor a
 * dying leader is the caller's business. What remains is thrown as a `KvClientError`, whose
 * `outcome` says what became of the write. An absent key and a condition that does not hold are
 * answers, not errors.
 *
 * This file owns the public methods and how each becomes a request. It knows nothing of nodes,
 * tries, sessions or delays.
 */
import { Caller } from "./caller.ts";
import {
  API_PREFIX,
  deleteResponseSchema,
  listKeysResponseSchema,
  listResponseSchema,
  putResponseSchema,
  recordSchema,
  type StatusResponse,
  statusResponseSchema,
} from "./contract.ts";
import { decode, decodeConditionFailed, decodeEntry, decodeKey, decodePrevious } from "./decode.ts";
import type { Entry } from "./entry.ts";
import { InvalidArgumentError } from "./errors.ts";
import { type Key, KV_PATH, keyPath, type QueryParameters, wellFormed, withQuery } from "./key.ts";
import type {
  AnyCondition,
  Condition,
  ConditionFailed,
  Deleted,
  KvClientOptions,
  ListOptions,
  NoCondition,
  Page,
  PutOptions,
  ReadOptions,
  ScanOptions,
  StatusOptions,
  WriteOptions,
  Written,
} from "./options.ts";
import {
  conditionHeaders,
  listParameters,
  readParameters,
  writeParameters,
} from "./request-options.ts";

type Value = string | Uint8Array;

const CONTENT_TYPES = {
  text: "text/plain; charset=utf-8",
  json: "application/json",
  binary: "application/octet-stream",
} as const;

export class KvClient {
  readonly #caller: Caller;

  constructor(options: KvClientOptions) {
    this.#caller = new Caller(options);
  }

  /** The configured endpoints, in their normal form. */
  get endpoints(): readonly string[] {
    return this.#caller.endpoints;
  }

  /** The record, or undefined when the key is absent. */
  async get(key: Key, options: ReadOptions = {}): Promise<Entry | undefined> {
    const path = withQuery(keyPath(key), readParameters(options));
    const answer = await this.#caller.read({ path }, options);
    return answer === undefined ? undefined : decodeEntry(decode(recordSchema, answer.body));
  }

  /** The value's bytes exactly as they were stored, whatever their type. */
  async getBytes(key: Key, options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    const parameters: QueryParameters = [["raw", "true"], ...readParameters(options)];
    const path = withQuery(keyPath(key), parameters);
    const answer = await this.#caller.read({ path, expects: "bytes" }, options);
    return answer?.body instanceof Uint8Array ? answer.body : undefined;
  }

  /** With a condition, look at the result's `ok`. */
  put(key: Key, value: Value, options: PutOptions & Condition): Promise<Written | ConditionFailed>;
  put(key: Key, value: Value, options?: PutOptions & NoCondition): Promise<Written>;
  put(
    key: Key,
    value: Value,
    options?: PutOptions & AnyCondition,
  ): Promise<Written | ConditionFailed>;
  async put(
    key: Key,
    value: Value,
    options: PutOptions & AnyCondition = {},
  ): Promise<Written | ConditionFailed> {
    const isText = typeof value === "string";
    // Bytes are copied, since the caller may reuse the buffer while the write is being retried.
    const body = isText ? wellFormed(value) : new Uint8Array(value);
    const contentType = CONTENT_TYPES[options.type ?? (isText ? "text" : "binary")];
    const headers = { "content-type": contentType, ...conditionHeaders(options) };
    const path = withQuery(keyPath(key), writeParameters(options));
    const result = await this.#caller.write({ method: "PUT", path, body, headers }, options);
    if (result.kind === "refusal") return decodeConditionFailed(result.body);
    const written = decode(putResponseSchema, result.body, "unknown");
    const { revision, createRevision, version, previous } = written;
    return { ok: true, revision, createRevision, version, ...decodePrevious(previous) };
  }

  /** Stored as JSON, and shown as JSON to everyone who reads the record. */
  putJson(
    key: Key,
    value: unknown,
    options: WriteOptions & Condition,
  ): Promise<Written | ConditionFailed>;
  putJson(key: Key, value: unknown, options?: WriteOptions & NoCondition): Promise<Written>;
  putJson(
    key: Key,
    value: unknown,
    options?: WriteOptions & AnyCondition,
  ): Promise<Written | ConditionFailed>;
  async putJson(
    key: Key,
    value: unknown,
    options: WriteOptions & AnyCondition = {},
  ): Promise<Written | ConditionFailed> {
    return this.put(key, toJson(value), { ...options, type: "json" });
  }

  /** Deleting what is not there is fine: `deleted` is false then. */
  delete(key: Key, options: WriteOptions & Condition): Promise<Deleted | ConditionFailed>;
  delete(key: Key, options?: WriteOptions & NoCondition): Promise<Deleted>;
  delete(key: Key, options?: WriteOptions & AnyCondition): Promise<Deleted | ConditionFailed>;
  async delete(
    key: Key,
    options: WriteOptions & AnyCondition = {},
  ): Promise<Deleted | ConditionFailed> {
    const path = withQuery(keyPath(key), writeParameters(options));
    const headers = conditionHeaders(options);
    const result = await this.#caller.write({ method: "DELETE", path, headers }, options);
    if (result.kind === "refusal") return decodeConditionFailed(result.body);
    const { deleted, revision, previous } = decode(deleteResponseSchema, result.body, "unknown");
    return { ok: true, deleted: deleted > 0, revision, ...decodePrevious(previous) };
  }

  /** One page of a range, in the order of the keys' bytes. */
  async list(options: ListOptions = {}): Promise<Page<Entry>> {
    const body = await this.#range(options, listParameters(options));
    const { items, revision, cursor } = decode(listResponseSchema, body);
    return { items: items.map(decodeEntry), revision, cursor };
  }

  /** One page of the keys alone. */
  async listKeys(options: ListOptions = {}): Promise<Page<Key>> {
    const body = await this.#range(options, [["keys", "true"], ...listParameters(options)]);
    const { items, revision, cursor } = decode(listKeysResponseSchema, body);
    return { items: items.map(decodeKey), revision, cursor };
  }

  /** All records of a range, fetched page by page as they are taken. */
  entries(range: Key | ScanOptions = {}): AsyncGenerator<Entry, void, undefined> {
    return scan((options) => this.list(options), range);
  }

  /** All keys of a range, fetched page by page as they are taken. */
  keys(range: Key | ScanOptions = {}): AsyncGenerator<Key, void, undefined> {
    return scan((options) => this.listKeys(options), range);
  }

  /** How one node sees itself and the cluster. */
  async status(options: StatusOptions = {}): Promise<StatusResponse> {
    const answer = await this.#caller.readNode({ path: `${API_PREFIX}/status` }, options);
    return decode(statusResponseSchema, answer?.body);
  }

  /**
   * Refuses further calls, lets the writes under way come to their end, and gives the session
   * back. Never rejects.
   */
  close(): Promise<void> {
    return this.#caller.close();
  }

  async #range(options: ListOptions, parameters: QueryParameters): Promise<unknown> {
    const answer = await this.#caller.read({ path: withQuery(KV_PATH, parameters) }, options);
    return answer?.body;
  }
}

async function* scan<Item>(
  fetchPage: (options: ListOptions) => Promise<Page<Item>>,
  range: Key | ScanOptions,
): AsyncGenerator<Item, void, undefined> {
  const isKey = typeof range === "string" || range instanceof Uint8Array;
  const { pageLimit, ...options }: ScanOptions = isKey ? { prefix: range } : range;
  let cursor: string | undefined;
  do {
    const page = await fetchPage({ ...options, limit: pageLimit, cursor });
    yield* page.items;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

function toJson(value: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    throw new InvalidArgumentError("the value has no JSON form", cause);
  }
  if (json === undefined) throw new InvalidArgumentError("the value has no JSON form");
  return json;
}
