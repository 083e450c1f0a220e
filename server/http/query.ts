/**
 * The query part of a request target. Strict, because a parameter that is silently ignored is a
 * promise silently broken: unknown, repeated and malformed parameters are refused by name.
 *
 * Values become byte strings: `%` escapes and `+` (a space, as every form encoder writes it) are
 * decoded once and never interpreted as UTF-8, so that any key fits into `?key=`.
 */
import type { ByteString } from "../kv/index.ts";
import { badRequest, type RequestRefusal } from "./refusal.ts";

export type Query = ReadonlyMap<string, ByteString>;

export const NO_QUERY: Query = new Map();

/** Described in the API, not in this version: named, so that nobody hunts for a typing error. */
const PLANNED_PARAMETERS: ReadonlySet<string> = new Set([
  "all",
  "count",
  "delimiter",
  "explain",
  "lease",
  "reverse",
  "revision",
  "ttlMs",
]);

const SAFE_NAME = /^[\w.-]{1,32}$/;

/** The parameters of `target`, all of them among `allowed`. */
export function parseQuery(target: string, allowed: ReadonlySet<string>): Query | RequestRefusal {
  const questionMark = target.indexOf("?");
  if (questionMark === -1 || questionMark === target.length - 1) return NO_QUERY;
  const query = new Map<string, ByteString>();
  for (const part of target.slice(questionMark + 1).split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals === -1 ? part : part.slice(0, equals);
    if (!allowed.has(name)) return unknownParameter(name, allowed);
    if (query.has(name)) return badRequest(`The parameter ${name} is given twice.`);
    const value = equals === -1 ? "" : decodeParameter(part.slice(equals + 1));
    if (value === undefined) return badRequest(`The parameter ${name} has a broken % escape.`);
    query.set(name, value);
  }
  return query;
}

function unknownParameter(name: string, allowed: ReadonlySet<string>): RequestRefusal {
  const shown = SAFE_NAME.test(name) ? name : encodeURIComponent(name).slice(0, 64);
  if (PLANNED_PARAMETERS.has(name)) {
    return badRequest(`The parameter ${shown} is not available here in this version.`);
  }
  const known = allowed.size === 0 ? "none" : [...allowed].join(", ");
  return badRequest(`Unknown parameter ${shown}. Known here: ${known}.`);
}

function decodeParameter(text: string): ByteString | undefined {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  let isValid = true;
  const decoded = spaced.replace(/%(..?)?/g, (_escape, digits: string | undefined) => {
    if (digits !== undefined && /^[\da-fA-F]{2}$/.test(digits)) {
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    isValid = false;
    return "";
  });
  return isValid ? decoded : undefined;
}

/** `?raw`, `?raw=true` and `?raw=1` are true; absent, `false` and `0` are not. */
export function booleanParameter(
  query: Query,
  name: string,
  absent: boolean,
): boolean | RequestRefusal {
  const text = query.get(name);
  switch (text) {
    case undefined:
      return absent;
    case "":
    case "1":
    case "true":
      return true;
    case "0":
    case "false":
      return false;
    default:
      return badRequest(`The parameter ${name} takes true or false.`);
  }
}

export interface IntegerBounds {
  readonly absent: number;
  readonly min: number;
  readonly max: number;
}

export function integerParameter(
  query: Query,
  name: string,
  bounds: IntegerBounds,
): number | RequestRefusal {
  const text = query.get(name);
  if (text === undefined) return bounds.absent;
  const value = parseDigits(text);
  if (value === undefined || value < bounds.min || value > bounds.max) {
    return badRequest(
      `The parameter ${name} takes an integer from ${bounds.min} to ${bounds.max}.`,
    );
  }
  return value;
}

/** Decimal digits only: no sign, exponent, fraction or leading zero, and exact as a number. */
export function parseDigits(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
