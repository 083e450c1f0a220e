/** The door of clients/, besides the contract. The command line stands apart: it needs Node. */
export { type ClientClock, systemClock } from "./clock.ts";
export type {
  ErrorCode,
  Outcome,
  StatusResponse,
} from "./contract.ts";
export type { Entry } from "./entry.ts";
export {
  AbortedError,
  ClientClosedError,
  type ClientErrorCode,
  ConnectionError,
  InvalidArgumentError,
  KvClientError,
  OutcomeUnknownError,
  RefusedError,
  TimeoutError,
  UnexpectedResponseError,
} from "./errors.ts";
export type { Fetch, FetchInit, FetchResponse } from "./http-try.ts";
export type { Key } from "./key.ts";
export { KvClient } from "./kv-client.ts";
export type * from "./options.ts";
export type { RetryPolicy } from "./retry.ts";
