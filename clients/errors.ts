/**
 * Everything the client throws. Each error says what became of the request (`outcome`):
 *
 * - "not_applied": it had no effect and never will;
 * - "unknown": it may have been applied, or may be applied later;
 * - "applied": it was, as the server says in its error.
 *
 * The one promise of this file: nothing is called "not_applied" that might have been applied.
 * Tell errors apart by `code`, never by message.
 */
import type { ErrorCode, Outcome } from "./contract.ts";

export type ClientErrorCode =
  | ErrorCode
  | "UNEXPECTED_RESPONSE"
  | "CONNECTION_FAILED"
  | "TIMEOUT"
  | "ABORTED"
  | "CLIENT_CLOSED"
  | "INVALID_ARGUMENT";

export interface ErrorDetails {
  readonly outcome: Outcome;
  /** The HTTP status, when the error is a server's answer. */
  readonly status?: number | undefined;
  /** The leader's address, `host:port`, when the server named one. */
  readonly leader?: string | undefined;
  readonly cause?: unknown;
}

export abstract class KvClientError extends Error {
  override readonly name: string = "KvClientError";
  abstract readonly code: ClientErrorCode;
  readonly outcome: Outcome;
  readonly status: number | undefined;
  readonly leader: string | undefined;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.outcome = details.outcome;
    this.status = details.status;
    this.leader = details.leader;
  }
}

/** A server said no, and asking again would not change its mind. */
export class RefusedError extends KvClientError {
  override readonly name = "RefusedError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** Something answered that does not speak this API: a proxy, another service, a newer server. */
export class UnexpectedResponseError extends KvClientError {
  override readonly name = "UnexpectedResponseError";
  readonly code = "UNEXPECTED_RESPONSE";
}

/** No connection, or it broke before the answer. Seen as the `cause` of the errors below. */
export class ConnectionError extends KvClientError {
  override readonly name = "ConnectionError";
  readonly code = "CONNECTION_FAILED";
}

/** The deadline passed. `cause` is what the last try ran into. */
export class TimeoutError extends KvClientError {
  override readonly name = "TimeoutError";
  readonly code = "TIMEOUT";
}

/** The caller's AbortSignal fired. `cause` is its reason. */
export class AbortedError extends KvClientError {
  override readonly name = "AbortedError";
  readonly code = "ABORTED";
}

/** A try may have been applied and another one would not be safe, or would not tell. */
export class OutcomeUnknownError extends KvClientError {
  override readonly name = "OutcomeUnknownError";
  readonly code = "OUTCOME_UNKNOWN";

  constructor(message: string, details: Omit<ErrorDetails, "outcome">) {
    super(message, { ...details, outcome: "unknown" });
  }
}

/** The client was closed before the request was sent. */
export class ClientClosedError extends KvClientError {
  override readonly name = "ClientClosedError";
  readonly code = "CLIENT_CLOSED";

  constructor() {
    super("the client is closed", { outcome: "not_applied" });
  }
}

/** Refused here, before anything was sent. */
export class InvalidArgumentError extends KvClientError {
  override readonly name = "InvalidArgumentError";
  readonly code = "INVALID_ARGUMENT";

  constructor(message: string, cause?: unknown) {
    super(message, { outcome: "not_applied", cause });
  }
}
