/**
 * The arguments of the client commands: which there are, and what they mean to the client. The
 * only file of the clients that needs Node, for its argument parser.
 */
import { parseArgs } from "node:util";
import type { CommandName } from "./cli-help.ts";
import type { AnyCondition, ReadOptions } from "./options.ts";

const COMMON = {
  endpoint: { type: "string", short: "e", multiple: true },
  output: { type: "string", short: "o" },
  timeout: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

const OPTIONS = {
  ...COMMON,
  raw: { type: "boolean" },
  stale: { type: "boolean" },
  "min-revision": { type: "string" },
  json: { type: "boolean" },
  "if-revision": { type: "string" },
  "if-exists": { type: "boolean" },
  "if-absent": { type: "boolean" },
  keys: { type: "boolean" },
  limit: { type: "string" },
} as const;

export type OptionName = keyof typeof OPTIONS;
export type Values = ReturnType<typeof parse>["values"];

export interface Usage {
  readonly name: CommandName;
  readonly options: readonly OptionName[];
  readonly argumentsMin: number;
  readonly argumentsMax: number;
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // Its message names the option; there is nothing else to it.
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

export function checkUsage(usage: Usage, positionals: readonly string[], values: Values): void {
  const { name, options, argumentsMin, argumentsMax } = usage;
  const known = new Set<string>([...Object.keys(COMMON), ...options]);
  for (const option of Object.keys(values)) {
    if (!known.has(option)) throw new UsageError(`${name} has no option --${option}`);
  }
  if (positionals.length < argumentsMin) throw new UsageError(`${name}: an argument is missing`);
  if (positionals.length > argumentsMax) throw new UsageError(`${name}: too many arguments`);
}

export function readOptions(values: Values): ReadOptions {
  return {
    consistency: values.stale ? "stale" : undefined,
    minRevision: wholeNumber("min-revision", values["min-revision"]),
  };
}

export function conditionOf(values: Values): AnyCondition {
  const ifRevision = wholeNumber("if-revision", values["if-revision"]);
  const ifAbsent = values["if-absent"] === true;
  const ifExists = values["if-exists"] === true;
  if (Number(ifRevision !== undefined) + Number(ifAbsent) + Number(ifExists) > 1) {
    throw new UsageError("only one condition at a time");
  }
  if (ifRevision !== undefined) return { ifRevision };
  if (ifAbsent) return { ifAbsent };
  return ifExists ? { ifExists } : {};
}

export function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${name} is a whole number, not ${text}`);
  return Number(text);
}
