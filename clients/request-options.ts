/** From the options of a call to query parameters and headers. */
import { InvalidArgumentError } from "./errors.ts";
import type { QueryParameters } from "./key.ts";
import type { AnyCondition, ListOptions, ReadOptions, WriteOptions } from "./options.ts";

export function readParameters({ consistency, minRevision }: ReadOptions): QueryParameters {
  if (consistency === undefined && minRevision === undefined) return [];
  return [
    ["consistency", consistency],
    ["minRevision", decimal("minRevision", minRevision)],
  ];
}

export function listParameters(options: ListOptions): QueryParameters {
  const { prefix, start, end, limit, cursor } = options;
  return [
    ["prefix", prefix],
    ["start", start],
    ["end", end],
    ["limit", decimal("limit", limit)],
    ["cursor", cursor],
    ...readParameters(options),
  ];
}

export function writeParameters({ previous }: WriteOptions): QueryParameters {
  return previous ? [["prev", "true"]] : [];
}

export function conditionHeaders(condition: AnyCondition): Record<string, string> {
  const { ifRevision, ifAbsent, ifExists } = condition;
  const given = [ifRevision !== undefined, ifAbsent === true, ifExists === true];
  if (given.filter((isGiven) => isGiven).length > 1) {
    throw new InvalidArgumentError("ifRevision, ifAbsent and ifExists exclude each other");
  }
  if (ifRevision !== undefined) return { "if-match": `"${decimal("ifRevision", ifRevision)}"` };
  if (ifExists) return { "if-match": "*" };
  return ifAbsent ? { "if-none-match": "*" } : {};
}

function decimal(name: string, value: number | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError(`${name} must be a whole number, not ${value}`);
  }
  return String(value);
}
