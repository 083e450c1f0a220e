/**
 * A cluster as the client sees it: a `fetch` over some nodes that share one store, keep sessions
 * as the servers do, and fail as they are told. `fault` decides for each request.
 */
import assert from "node:assert/strict";
import { ERRORS, type ErrorCode } from "../contract.ts";
import type { Fetch, FetchInit, FetchResponse } from "../http-try.ts";

export interface SeenRequest {
  readonly endpoint: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string | Uint8Array | null;
}

export type Fault =
  /** The connection is refused. */
  | "refused"
  /** The connection breaks before the node has read the request. */
  | "lost-request"
  /** The node serves the request and the connection breaks before the answer. */
  | "lost-answer"
  /** The node serves the request and never answers. */
  | "hang"
  | FakeResponse;

export interface FakeResponse {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface StoredRecord {
  readonly value: unknown;
  readonly type: "json" | "text" | "binary";
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
}

interface FakeSession {
  lowestUnanswered: number;
  readonly answers: Map<number, { readonly request: string; readonly response: FakeResponse }>;
}

export class FakeCluster {
  readonly seen: SeenRequest[] = [];
  readonly records = new Map<string, StoredRecord>();
  readonly sessions = new Map<string, FakeSession>();
  /** Every write that took effect, in order: `PUT key value`. */
  readonly applied: string[] = [];
  /** Host and port of the leader; undefined while there is none. */
  leader: string | undefined;
  fault: (request: SeenRequest) => Fault | undefined = () => undefined;
  #revision = 0;
  #sessionsOpened = 0;

  constructor(leader: string | undefined) {
    this.leader = leader;
  }

  readonly fetch: Fetch = async (url, init) => {
    const { origin, pathname, search } = new URL(url);
    const request: SeenRequest = {
      endpoint: origin,
      method: init.method,
      path: pathname + search,
      headers: new Map(Object.entries(init.headers)),
      body: init.body,
    };
    this.seen.push(request);
    await Promise.resolve();
    const fault = this.fault(request);
    if (fault === "refused") throw connectionError("ECONNREFUSED", "connect");
    if (fault === "lost-request") throw connectionError("ECONNRESET", "read");
    if (typeof fault === "object") return toResponse(fault);
    const response = this.serve(request);
    if (fault === "lost-answer") throw connectionError("ECONNRESET", "read");
    if (fault === "hang") await aborted(init);
    return toResponse(response);
  };

  serve(request: SeenRequest): FakeResponse {
    const url = new URL(request.path, request.endpoint);
    const host = new URL(request.endpoint).host;
    const isAnywhere = url.searchParams.get("consistency") === "stale";
    if (!isAnywhere && host !== this.leader) {
      if (this.leader === undefined) return failure("NO_LEADER");
      if (url.searchParams.get("forward") === "false") return failure("NOT_LEADER", this.leader);
    }
    if (url.pathname === "/v1/sessions") return this.#openSession();
    if (url.pathname.startsWith("/v1/sessions/")) {
      this.sessions.delete(url.pathname.slice("/v1/sessions/".length));
      return { status: 200, body: {} };
    }
    if (request.method === "GET") return this.#read(keyOf(url));
    return this.#inSession(request, () => this.#write(request, keyOf(url)));
  }

  #openSession(): FakeResponse {
    this.#sessionsOpened += 1;
    const id = `s${this.#sessionsOpened}`;
    this.sessions.set(id, { lowestUnanswered: 1, answers: new Map() });
    return { status: 201, body: { id, ttlMs: 60_000 } };
  }

  #inSession(request: SeenRequest, write: () => FakeResponse): FakeResponse {
    const header = request.headers.get("session");
    if (header === undefined) return write();
    const [id = "", ...numbers] = header.split(";");
    const [sequence = 0, lowest = 0] = numbers.map(Number);
    assert.ok(lowest >= 1 && lowest <= sequence, `a session header that makes sense: ${header}`);
    const session = this.sessions.get(id);
    if (session === undefined) return failure("SESSION_EXPIRED");
    session.lowestUnanswered = Math.max(session.lowestUnanswered, lowest);
    for (const old of session.answers.keys()) {
      if (old < session.lowestUnanswered) session.answers.delete(old);
    }
    if (sequence < session.lowestUnanswered) return failure("SESSION_CONFLICT");
    const fingerprint = `${request.method} ${keyOf(new URL(request.path, request.endpoint))}`;
    const known = session.answers.get(sequence);
    if (known !== undefined) {
      return known.request === fingerprint ? known.response : failure("SESSION_CONFLICT");
    }
    const response = write();
    session.answers.set(sequence, { request: fingerprint, response });
    assert.ok(session.answers.size <= 512, "the window of a session is bounded");
    return response;
  }

  #read(key: string): FakeResponse {
    const record = this.records.get(key);
    if (record === undefined) return failure("NOT_FOUND");
    return { status: 200, body: { key, ...record } };
  }

  #write(request: SeenRequest, key: string): FakeResponse {
    const before = this.records.get(key);
    if (!conditionHolds(request, before)) {
      const current = before === undefined ? null : { key, ...before };
      return { status: 412, body: { ...Object(failure("CONDITION_FAILED").body), current } };
    }
    if (request.method === "DELETE") {
      if (before !== undefined) {
        this.#revision += 1;
        this.applied.push(`DELETE ${key}`);
        this.records.delete(key);
      }
      const deleted = before === undefined ? 0 : 1;
      return { status: 200, body: { deleted, revision: this.#revision } };
    }
    this.#revision += 1;
    this.applied.push(`PUT ${key} ${String(request.body)}`);
    const numbers = {
      revision: this.#revision,
      createRevision: before?.createRevision ?? this.#revision,
      version: (before?.version ?? 0) + 1,
    };
    this.records.set(key, { value: String(request.body), type: "text", ...numbers });
    return { status: 200, body: { key, ...numbers } };
  }
}

export function failure(code: ErrorCode, leader?: string): FakeResponse {
  const { status, retryable, outcome } = ERRORS[code];
  const error = { code, message: `refused with ${code}`, outcome, retryable };
  return { status, body: { error: leader === undefined ? error : { ...error, leader } } };
}

/** As Node's fetch throws it. */
export function connectionError(code: string, syscall: string): TypeError {
  const cause = Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
  return new TypeError("fetch failed", { cause });
}

function conditionHolds({ headers }: SeenRequest, before: StoredRecord | undefined): boolean {
  const ifMatch = headers.get("if-match");
  if (headers.get("if-none-match") === "*" && before !== undefined) return false;
  if (ifMatch === undefined) return true;
  if (before === undefined) return false;
  return ifMatch === "*" || ifMatch === `"${before.revision}"`;
}

function keyOf(url: URL): string {
  return url.searchParams.get("key") ?? decodeURIComponent(url.pathname.slice("/v1/kv/".length));
}

function toResponse({ status, body, headers = {} }: FakeResponse): FetchResponse {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name, value]));
  return {
    status,
    headers: { get: (name) => lower.get(name) ?? null },
    text: async () => text,
    arrayBuffer: async () => new TextEncoder().encode(text).buffer,
  };
}

/** Never resolves; rejects as fetch does when its signal fires. */
function aborted({ signal }: FetchInit): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(new DOMException("This operation was aborted", "AbortError"));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
  });
}
