/**
 * One request to one node: sends it, waits no longer than it may, and says what happened as a
 * value. It never throws and never retries; what the result means for the next try is not known
 * here.
 *
 * Invariant: "not-sent" is said only when the connection itself failed. In every other case the
 * request may have reached the node.
 */
import type { ClientClock } from "./clock.ts";
import { ERRORS, type ErrorCode, errorBodySchema, type Outcome } from "./contract.ts";
import { retryAfterMs } from "./retry.ts";

/** As much of the global `fetch` as is used. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchResponse>;

export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: Body | null;
  readonly signal: AbortSignal;
  readonly redirect: "manual";
}

export interface FetchResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export type Body = string | Uint8Array<ArrayBuffer>;

export interface HttpRequest {
  readonly url: string;
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly headers: Record<string, string>;
  readonly body: Body | null;
  /** Whether a good answer is JSON or the bytes themselves. */
  readonly expects: "json" | "bytes";
}

export type TryResult = Answer | Refusal | Lost;

export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  /** Parsed JSON or a Uint8Array, as the request expects. */
  readonly body: unknown;
}

export interface Refusal {
  readonly kind: "refusal";
  readonly status: number;
  /** "unrecognized" when it is not an error this API defines. */
  readonly code: ErrorCode | "unrecognized";
  readonly message: string;
  readonly outcome: Outcome;
  readonly leader: string | undefined;
  readonly retryAfterMs: number;
  readonly body: unknown;
}

export interface Lost {
  readonly kind: "lost";
  readonly how: "not-sent" | "no-answer" | "timed-out" | "aborted";
  readonly message: string;
  readonly cause: unknown;
}

export interface TryLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export async function sendOnce(
  fetch: Fetch,
  clock: ClientClock,
  request: HttpRequest,
  { timeoutMs, signal }: TryLimits,
): Promise<TryResult> {
  const controller = new AbortController();
  let ended: "timed-out" | "aborted" | undefined;
  const end = (how: "timed-out" | "aborted") => {
    ended ??= how;
    controller.abort();
  };
  const abort = () => end("aborted");
  const cancel = clock.after(timeoutMs, () => end("timed-out"));
  // Not AbortSignal.any: on Node 20 it leaks when one signal serves many requests.
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const { url, method, headers, body } = request;
    const init: FetchInit = {
      method,
      headers,
      body,
      signal: controller.signal,
      redirect: "manual",
    };
    return await readResponse(await fetch(url, init), request.expects);
  } catch (cause) {
    if (ended === "timed-out") {
      return {
        kind: "lost",
        how: ended,
        message: `no answer in ${Math.ceil(timeoutMs)} ms`,
        cause,
      };
    }
    if (ended === "aborted") return { kind: "lost", how: ended, message: "aborted", cause };
    const how = isNotSent(cause) ? "not-sent" : "no-answer";
    return { kind: "lost", how, message: innermostMessage(cause), cause };
  } finally {
    cancel();
    signal?.removeEventListener("abort", abort);
  }
}

async function readResponse(
  response: FetchResponse,
  expects: "json" | "bytes",
): Promise<TryResult> {
  const { status } = response;
  const isGood = status >= 200 && status < 300;
  if (isGood && expects === "bytes") {
    return { kind: "answer", status, body: new Uint8Array(await response.arrayBuffer()) };
  }
  const body = parseJson(await response.text());
  return isGood ? { kind: "answer", status, body } : readRefusal(response, body);
}

function readRefusal({ status, headers }: FetchResponse, body: unknown): Refusal {
  const parsed = errorBodySchema.safeParse(body);
  const common = {
    kind: "refusal",
    status,
    retryAfterMs: retryAfterMs(headers.get("retry-after")),
    body,
  } as const;
  if (!parsed.success) {
    const message = `HTTP status ${status} without an error this client knows`;
    // Whoever wrote this, a node may have seen the request before.
    return { ...common, code: "unrecognized", message, outcome: "unknown", leader: undefined };
  }
  const { code, message, outcome, leader } = parsed.data.error;
  if (isErrorCode(code)) return { ...common, code, message, outcome, leader };
  return { ...common, code: "unrecognized", message: `${code}: ${message}`, outcome, leader };
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** Undefined when it is not JSON, which JSON itself cannot say. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const NOT_SENT_CODES: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/**
 * True when the connection was never made. Node says so in the `cause` of fetch's TypeError; a
 * browser says nothing, and then the request may have been sent.
 */
function isNotSent(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false;
  // One error for each address of a name: all of them must have failed to connect.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.every((each) => isNotSent(each, depth + 1));
  }
  if ("code" in error && NOT_SENT_CODES.has(error.code)) return true;
  if ("syscall" in error && error.syscall === "connect") return true;
  return isNotSent(error.cause, depth + 1);
}

function innermostMessage(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return String(error);
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error.cause;
  if (inner instanceof Error && depth < 4) return innermostMessage(inner, depth + 1);
  return error.message;
}
