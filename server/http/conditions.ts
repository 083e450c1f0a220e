/**
 * If-Match, If-None-Match and Session: the headers that decide whether a write takes effect. A
 * condition that cannot be understood is refused, never ignored: the write would be unconditional.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Condition, SessionStamp } from "../kv/index.ts";
import { parseDigits } from "./query.ts";
import { badRequest, type RequestRefusal } from "./refusal.ts";

const UNCONDITIONAL: Condition = { kind: "none" };
const EXISTS: Condition = { kind: "exists" };
const ABSENT: Condition = { kind: "absent" };

export function parseWriteCondition(headers: IncomingHttpHeaders): Condition | RequestRefusal {
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  if (match === undefined && noneMatch === undefined) return UNCONDITIONAL;
  if (match !== undefined && noneMatch !== undefined) {
    return badRequest("Send If-Match or If-None-Match, not both.");
  }
  if (match === undefined) {
    return noneMatch === "*" ? ABSENT : badRequest("On a write, If-None-Match takes only *.");
  }
  if (match === "*") return EXISTS;
  const revision = parseEntityTag(match);
  return revision === undefined
    ? badRequest('If-Match takes * or one revision in double quotes, as in If-Match: "7".')
    : { kind: "revision", revision };
}

/** Headers of the API that this version cannot honour; ignoring them would break their promise. */
export function refuseUnavailableHeaders(headers: IncomingHttpHeaders): RequestRefusal | undefined {
  if (headers["idempotency-key"] !== undefined) {
    return badRequest("Idempotency-Key is not available in this version; use a session.");
  }
  if (headers["if-lock"] !== undefined) {
    return badRequest("If-Lock is not available in this version.");
  }
  return undefined;
}

/**
 * Whether a reader that sent If-None-Match already has this revision. Entity tags are compared
 * weakly, as RFC 9110 (13.1.2) asks; a tag that is not one of ours matches nothing.
 */
export function isNotModified(headers: IncomingHttpHeaders, revision: number): boolean {
  const noneMatch = headers["if-none-match"];
  if (noneMatch === undefined) return false;
  if (noneMatch.trim() === "*") return true;
  for (const tag of noneMatch.split(",")) {
    const trimmed = tag.trim();
    const strong = trimmed.startsWith("W/") ? trimmed.slice(2) : trimmed;
    if (parseEntityTag(strong) === revision) return true;
  }
  return false;
}

function parseEntityTag(tag: string): number | undefined {
  if (tag.length < 3 || !tag.startsWith('"') || !tag.endsWith('"')) return undefined;
  return parseDigits(tag.slice(1, -1));
}

const SESSION_ID = /^[\w.-]{1,128}$/;

export function isSessionId(text: string): boolean {
  return SESSION_ID.test(text);
}

/** `Session: id;sequence;lowest-unanswered`. */
export function parseSession(
  headers: IncomingHttpHeaders,
): SessionStamp | RequestRefusal | undefined {
  const header = headers["session"];
  if (header === undefined) return undefined;
  const parts = typeof header === "string" ? header.split(";") : [];
  const [id, sequenceText, lowestText] = parts.map((part) => part.trim());
  const sequence = parseDigits(sequenceText ?? "");
  const lowestUnanswered = parseDigits(lowestText ?? "");
  if (
    parts.length !== 3 ||
    id === undefined ||
    !isSessionId(id) ||
    sequence === undefined ||
    lowestUnanswered === undefined ||
    lowestUnanswered < 1 ||
    sequence < lowestUnanswered
  ) {
    return badRequest(
      "Session takes id;sequence;lowest-unanswered, with 1 <= lowest-unanswered <= sequence.",
    );
  }
  return { id, sequence, lowestUnanswered };
}
