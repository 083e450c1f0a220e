/**
 * From answers, as JSON came in, to what callers get. The gateway for everything a server says:
 * behind it, types are trusted.
 */
import type * as z from "zod";
import type { KeyRecord, Outcome } from "./contract.ts";
import { conditionFailedBodySchema } from "./contract.ts";
import { type Entry, toEntry, toKey } from "./entry.ts";
import { UnexpectedResponseError } from "./errors.ts";
import type { Key } from "./key.ts";
import type { ConditionFailed } from "./options.ts";

/**
 * `outcome` is what a caller has to assume if the answer makes no sense: "unknown" for a write,
 * since whoever answered need not have been one of our nodes.
 */
export function decode<Schema extends z.ZodType>(
  schema: Schema,
  body: unknown,
  outcome: Outcome = "not_applied",
): z.infer<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new UnexpectedResponseError("the answer has not the shape it should have", {
    outcome,
    cause: parsed.error,
  });
}

export function decodeEntry(record: KeyRecord): Entry {
  return required(toEntry(record));
}

export function decodeKey(item: Pick<KeyRecord, "key" | "keyEncoding">): Key {
  return required(toKey(item));
}

export function decodePrevious(record: KeyRecord | null | undefined): {
  readonly previous?: Entry;
} {
  return record ? { previous: required(toEntry(record), "unknown") } : {};
}

export function decodeConditionFailed(body: unknown): ConditionFailed {
  const { current } = decode(conditionFailedBodySchema, body);
  return { ok: false, current: current === null ? undefined : decodeEntry(current) };
}

function required<Value>(value: Value | undefined, outcome: Outcome = "not_applied"): Value {
  if (value !== undefined) return value;
  throw new UnexpectedResponseError("the answer holds a record that contradicts itself", {
    outcome,
  });
}
