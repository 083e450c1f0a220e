/**
 * The one table from what went wrong to what the client is told: code, status, outcome, what to
 * do next. Everything in server/http that is not a success comes through here, so that an outcome
 * nobody knows is never called a failure and no stack trace ever leaves the process.
 */
import { ERRORS, type ErrorCode } from "../../clients/contract.ts";
import { unreachable } from "../../raft/index.ts";
import type { ReadOutcome, WriteOutcome } from "../gateway.ts";
import type { Used } from "./answer.ts";
import type { RequestRefusal } from "./refusal.ts";

type ReadRefused = Extract<ReadOutcome, { kind: "refused" }>;
type WriteFailed = Exclude<WriteOutcome, { kind: "applied" }>;

export interface ErrorExtras {
  /** The leader's client address, when this node knows one. */
  readonly leader?: string | undefined;
  /** More members of the answer as JSON text, to follow the error. */
  readonly moreJson?: string | undefined;
  readonly allow?: string | undefined;
  /** How the read that found this out was confirmed. */
  readonly used?: Used | undefined;
  /** The connection cannot be used again: what follows on it is not a request. */
  readonly close?: boolean | undefined;
}

const RETRY_AFTER_SECONDS = "1";

/** The headers of an error answer; a fresh object, because the adapter may write to it. */
export function errorHeaders(code: ErrorCode, extras: ErrorExtras): Record<string, string> {
  const headers: Record<string, string> = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    Vary: "Accept",
  };
  const { status } = ERRORS[code];
  if (status === 429 || status === 503) headers["Retry-After"] = RETRY_AFTER_SECONDS;
  if (extras.allow !== undefined) headers["Allow"] = extras.allow;
  if (extras.used !== undefined) headers["X-Raft-Kv-Consistency"] = extras.used;
  if (extras.close === true) headers["Connection"] = "close";
  return headers;
}

export function errorJson(code: ErrorCode, message: string, extras: ErrorExtras): string {
  const { outcome, retryable } = ERRORS[code];
  const leader = extras.leader === undefined ? {} : { leader: extras.leader };
  const error = JSON.stringify({ code, message, outcome, retryable, ...leader });
  return extras.moreJson === undefined
    ? `{"error":${error}}`
    : `{"error":${error},${extras.moreJson}}`;
}

const NO_EXTRAS: ErrorExtras = {};

export function errorResponse(code: ErrorCode, message: string, extras = NO_EXTRAS): Response {
  return new Response(errorJson(code, message, extras), {
    status: ERRORS[code].status,
    headers: errorHeaders(code, extras),
  });
}

export function refusalResponse(refusal: RequestRefusal, extras = NO_EXTRAS): Response {
  return errorResponse(refusal.code, refusal.message, extras);
}

type RefusalReason = ReadRefused["reason"];

/** Why a node could not serve a request now, and what a client can do about it. */
function explain(reason: RefusalReason): readonly [ErrorCode, string] {
  switch (reason) {
    case "no-leader":
      return ["NO_LEADER", "No leader is known; an election may be under way. Try again shortly."];
    case "not-leader":
      return ["NOT_LEADER", "This node does not lead. Send the request to the leader."];
    case "overloaded":
      return ["OVERLOADED", "Too much is waiting to be committed. Try again more slowly."];
    case "disk-full":
      return ["DISK_FULL", "A disk is full; writes resume when there is space again."];
    case "stopping":
      return ["STOPPING", "This node is stopping. Send the request to another one."];
    case "starting":
      return ["STARTING", "This node has not caught up since its start. Try another one."];
    case "repairing":
      return ["STARTING", "This node is repairing its log from its peers. Try another one."];
    case "disputed":
      return [
        "STATE_DISPUTED",
        "The replicas hold different states and no majority agrees: writes stop. An operator must look.",
      ];
    case "fenced":
      return ["FENCED", "This node's state is not that of the majority. Try another node."];
    case "timeout":
      return ["READ_TIMEOUT", "The read could not be confirmed in time. Try again."];
    case "behind":
      return ["BEHIND", "This node did not reach minRevision in time. Try again or another node."];
    default:
      return unreachable(reason);
  }
}

/** A read that was not granted; certainly without effect. */
export function readRefusedResponse(outcome: ReadRefused): Response {
  const [code, message] = explain(outcome.reason);
  return errorResponse(code, message, { leader: leaderAddress(outcome.leader) });
}

/** A write that was certainly not applied, or one of which nobody can say. */
export function writeFailedResponse(outcome: WriteFailed): Response {
  switch (outcome.kind) {
    case "not-applied": {
      const [code, message] = explain(outcome.reason);
      return errorResponse(code, message, { leader: leaderAddress(outcome.leader) });
    }
    case "unknown":
      return errorResponse("OUTCOME_UNKNOWN", UNKNOWN_MESSAGES[outcome.reason]);
    default:
      return unreachable(outcome);
  }
}

const ASK_AGAIN =
  "It may have been applied or be applied later: read the key, or repeat it in its session.";

const UNKNOWN_MESSAGES = {
  timeout: `The write was not confirmed in time. ${ASK_AGAIN}`,
  "leadership-lost": `The leader changed before the write was confirmed. ${ASK_AGAIN}`,
  "link-lost": `The link to the leader broke before the write was confirmed. ${ASK_AGAIN}`,
} as const satisfies Record<Extract<WriteOutcome, { kind: "unknown" }>["reason"], string>;

function leaderAddress(leader: { readonly clientAddress: string } | undefined): string | undefined {
  return leader === undefined || leader.clientAddress === "" ? undefined : leader.clientAddress;
}

/** A bug of ours. The log has the details; the client learns only that the outcome is unknown. */
export function internalErrorResponse(): Response {
  return errorResponse("INTERNAL", "This node failed to answer. Its log says more.");
}
