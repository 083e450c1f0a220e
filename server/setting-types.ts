/**
 * The kinds of values settings have. Each takes the text of a flag or variable as well as the JSON
 * value of a config file, and refuses with a sentence.
 */
import * as z from "zod";
import { parseCluster, parseHostPort } from "./address.ts";

const BYTE_UNITS = new Map([
  ["", 1],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
]);

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const range =
    max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `from ${min} to ${max}`;
  const message = `must be ${range}`;
  return z
    .union([z.number(), z.string().regex(/^\d+$/u).transform(Number)], { error: message })
    .pipe(z.number(message).int(message).min(min, message).max(max, message));
}

/** `16777216` or `16MiB`. */
export function byteCount(min: number, max: number) {
  const message = `must be a number of bytes such as 65536 or 16MiB, from ${min} to ${max}`;
  return z
    .union([z.number(), z.string().transform(bytesOf)], { error: message })
    .pipe(z.number(message).int(message).min(min, message).max(max, message));
}

function bytesOf(text: string): number {
  const [, digits, unit = ""] = /^(\d+)\s*([KMG]iB)?$/u.exec(text) ?? [];
  const factor = BYTE_UNITS.get(unit);
  return digits === undefined || factor === undefined ? Number.NaN : Number(digits) * factor;
}

/** A share of a whole: 0 to below 1. */
export function fraction() {
  const message = "must be a fraction from 0 to below 1, such as 0.01";
  return z
    .union(
      [
        z.number(),
        z
          .string()
          .regex(/^\d*\.?\d+$/u)
          .transform(Number),
      ],
      { error: message },
    )
    .pipe(z.number(message).min(0, message).lt(1, message));
}

export function truth() {
  return z.union([z.boolean(), z.stringbool()], { error: "must be true or false" });
}

export function text() {
  const message = "must not be empty";
  return z.string(message).min(1, message);
}

export function choice<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names, { error: `must be one of ${names.join(", ")}` });
}

/** `a,b` or `["a","b"]`. */
export function list() {
  const message = "must be names separated by commas";
  return z.union(
    [
      z.array(z.string()),
      z.string().transform((names) =>
        names
          .split(",")
          .map((name) => name.trim())
          .filter((name) => name !== ""),
      ),
    ],
    { error: message },
  );
}

/** `host:port`; port 0 lets the system choose one. */
export function hostPort() {
  return z.string("must be host:port").transform((given, context) => {
    const parsed = parseHostPort(given);
    if (parsed !== undefined) return parsed;
    context.addIssue("must be host:port, such as 127.0.0.1:8001");
    return z.NEVER;
  });
}

const memberSchema = z.strictObject({
  id: z.number().int().min(1),
  peer: z.string(),
  client: z.string(),
});

/** `ID=PEER/CLIENT,…`, or `[{"id":1,"peer":"host:port","client":"host:port"},…]`. */
export function cluster() {
  const message =
    'must be ID=PEER/CLIENT,… or [{"id":1,"peer":"host:port","client":"host:port"},…]';
  return z
    .union([z.string().transform((line) => parseCluster(line)), z.array(memberSchema)], {
      error: message,
    })
    .pipe(z.array(memberSchema, message).min(1, message))
    .superRefine((members, context) => {
      const seen = new Set<string>();
      for (const { id, peer, client } of members) {
        for (const address of [peer, client]) {
          const parsed = parseHostPort(address);
          if (parsed === undefined || parsed.port === 0) {
            context.addIssue(`"${address}" is not a host:port that others can dial`);
          }
        }
        for (const name of [`id ${id}`, peer, client]) {
          if (seen.has(name)) context.addIssue(`${name} stands for two things`);
          seen.add(name);
        }
      }
    });
}
