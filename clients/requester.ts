/**
 * The loop of tries: sends a request to one node after another until there is an answer, a
 * refusal that would not change, or no more time.
 *
 * What makes a retry safe is decided by whoever builds the request: reads, and writes that carry
 * a session and a sequence, may be repeated after a try with an unknown outcome; other writes may
 * not, and end there with "outcome unknown".
 */
import type { ClientClock } from "./clock.ts";
import type { EndpointChooser, Target } from "./endpoint.ts";
import {
  ConnectionError,
  type KvClientError,
  OutcomeUnknownError,
  RefusedError,
  UnexpectedResponseError,
} from "./errors.ts";
import type { Answer, Body, Fetch, Lost, Refusal } from "./http-try.ts";
import { sendOnce } from "./http-try.ts";
import type { Operation } from "./operation.ts";
import { backoffMs, type RetryPolicy } from "./retry.ts";

export interface Request {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Path and query; what is asked of a node besides is added for each try. */
  readonly path: string;
  readonly body?: Body;
  readonly expects?: "json" | "bytes";
  /** Called for each try: the session header moves on while a write is being retried. */
  readonly headers?: () => Record<string, string>;
  /** Whether it changes the store, so that a lost try leaves a doubt. */
  readonly isWrite: boolean;
  /** Whether sending it twice does no more than sending it once. */
  readonly isRepeatable: boolean;
}

export interface RequesterParts {
  readonly fetch: Fetch;
  readonly clock: ClientClock;
  /** A fraction from 0 up to, not including, 1. */
  readonly random: () => number;
  readonly retry: RetryPolicy;
}

/** What to do after a try that brought no answer. */
type Next =
  | { readonly kind: "settle"; readonly refusal: Refusal }
  | { readonly kind: "give-up"; readonly error: KvClientError }
  | { readonly kind: "ask-the-named-leader" }
  | { readonly kind: "wait"; readonly delayMsMin: number };

export class Requester {
  readonly #parts: RequesterParts;

  constructor(parts: RequesterParts) {
    this.#parts = parts;
  }

  /** Resolves with an answer or a final refusal; rejects when the operation ends before that. */
  async send(
    request: Request,
    chooser: EndpointChooser,
    operation: Operation,
  ): Promise<Answer | Refusal> {
    // One hop to a named leader is free of delay; two in a row could be nodes naming each other.
    let mayHop = true;
    for (;;) {
      operation.check();
      const target = chooser.next();
      const result = await this.#try(request, target, operation);
      if (result.kind === "answer") return result;
      const next =
        result.kind === "refusal"
          ? afterRefusal(request, target, result, chooser, operation)
          : afterLoss(request, target, result, chooser, operation);
      if (next.kind === "settle") return next.refusal;
      if (next.kind === "give-up") throw next.error;
      if (next.kind === "ask-the-named-leader" && mayHop) {
        mayHop = false;
        continue;
      }
      mayHop = true;
      await this.pause(operation, next.kind === "wait" ? next.delayMsMin : 0);
    }
  }

  /** The delay before another try, at least as long as a server asked for. */
  pause(operation: Operation, delayMsMin = 0): Promise<void> {
    const { retry, random } = this.#parts;
    return operation.pause(Math.max(delayMsMin, backoffMs(retry, operation.retries, random)));
  }

  #try(request: Request, target: Target, operation: Operation) {
    const { fetch, clock, retry } = this.#parts;
    const joint = request.path.includes("?") ? "&" : "?";
    const suffix = target.forward ? "" : `${joint}forward=false`;
    const http = {
      url: `${target.endpoint}${request.path}${suffix}`,
      method: request.method,
      headers: request.headers?.() ?? {},
      body: request.body ?? null,
      expects: request.expects ?? "json",
    };
    const timeoutMs = Math.min(retry.tryTimeoutMs, operation.remainingMs());
    return sendOnce(fetch, clock, http, { timeoutMs, signal: operation.signal });
  }
}

function afterLoss(
  request: Request,
  { endpoint }: Target,
  lost: Lost,
  chooser: EndpointChooser,
  operation: Operation,
): Next {
  if (request.isWrite && lost.how !== "not-sent") operation.doubt();
  if (lost.how === "aborted") return { kind: "give-up", error: operation.abortedError() };
  chooser.unreachable(endpoint);
  const details = { outcome: operation.outcome, cause: lost.cause };
  return retry(request, new ConnectionError(`${endpoint}: ${lost.message}`, details), operation);
}

function afterRefusal(
  request: Request,
  { endpoint }: Target,
  refusal: Refusal,
  chooser: EndpointChooser,
  operation: Operation,
): Next {
  if (request.isWrite && refusal.outcome === "unknown") operation.doubt();
  const reaction = reactionTo(refusal);
  if (reaction === "settle") return { kind: "settle", refusal };
  if (reaction === "move-on") chooser.unavailable(endpoint);
  const isHop = reaction === "redirect" && chooser.redirected(endpoint, refusal.leader);
  const next = retry(request, refusalError(refusal, operation, endpoint), operation);
  if (next.kind !== "wait") return next;
  if (isHop) return { kind: "ask-the-named-leader" };
  // Retry-After speaks for the node that sent it; it is no reason not to ask another one.
  return { kind: "wait", delayMsMin: reaction === "stay" ? refusal.retryAfterMs : 0 };
}

/** Another try, unless an earlier one may have been applied and repeating it would not be safe. */
function retry(request: Request, error: KvClientError, operation: Operation): Next {
  operation.lastFailure = error;
  if (operation.isInDoubt && !request.isRepeatable) {
    const message = `the write may have been applied: ${error.message}`;
    const unknown = new OutcomeUnknownError(message, { status: error.status, cause: error });
    return { kind: "give-up", error: unknown };
  }
  return { kind: "wait", delayMsMin: 0 };
}

/**
 * `settle`: asking again would not help. `stay`: the right node, at the wrong moment. `move-on`:
 * another node may know better. `redirect`: it may even have said which.
 */
function reactionTo(refusal: Refusal): "settle" | "stay" | "move-on" | "redirect" {
  switch (refusal.code) {
    case "NOT_LEADER":
      return "redirect";
    case "OVERLOADED":
    case "SESSIONS_FULL":
    case "REQUEST_TIMEOUT":
      return "stay";
    case "NO_LEADER":
    case "TOO_MANY_CONNECTIONS":
    case "STARTING":
    case "STOPPING":
    case "BEHIND":
    case "STATE_DISPUTED":
    case "FENCED":
    case "DISK_FULL":
    case "READ_TIMEOUT":
    // The session makes it safe, and the next answer settles what this one could not.
    case "OUTCOME_UNKNOWN":
      return "move-on";
    case "unrecognized":
      if (refusal.status === 429) return "stay";
      return refusal.status >= 500 ? "move-on" : "settle";
    default:
      return "settle";
  }
}

/** The refusal as an error, with an outcome that speaks for all tries and not only for the last. */
export function refusalError(
  refusal: Refusal,
  operation: Operation,
  endpoint?: string,
): KvClientError {
  const { code, status, leader } = refusal;
  const message = endpoint === undefined ? refusal.message : `${endpoint}: ${refusal.message}`;
  // A refusal of unknown outcome has put a write in doubt already; a read has nothing to doubt.
  const outcome = refusal.outcome === "applied" ? "applied" : operation.outcome;
  const details = { outcome, status, leader };
  if (code === "unrecognized") return new UnexpectedResponseError(message, details);
  const error = new RefusedError(code, message, details);
  if (outcome !== "unknown" || refusal.outcome === "unknown") return error;
  // This try was refused, an earlier one may not have been.
  return new OutcomeUnknownError(`an earlier try may have been applied: ${message}`, {
    status,
    leader,
    cause: error,
  });
}
