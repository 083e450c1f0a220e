/**
 * Histories: what clients asked of a store, what it answered, and when. Owns the types, and the
 * file format that this and other checkers read; knows nothing of models or searches.
 *
 * A file is UTF-8, one JSON object per line. The first line is the header,
 *
 *     {"format":"raft-kv-history","version":1}
 *
 * and every other line is one operation, in any order:
 *
 *     {"client":"c1","input":{"kind":"put","key":"a","value":"x"},"callOrder":3,"returnOrder":6,
 *      "outcome":"ok","output":{"kind":"put","revision":7,"createRevision":3,"version":2}}
 *
 * - `client`: who asked. Of no importance to the verdict; it helps people.
 * - `callOrder`, `returnOrder`: when it was sent and when the answer was there, on one common line:
 *   a counter or a monotonic clock, in any unit. One operation precedes another when its
 *   `returnOrder` is smaller than the other's `callOrder`; at equal numbers they are concurrent.
 *   `callMs` and `returnMs` may tell people the time.
 * - `outcome`: "ok", it took effect and answered `output`; "fail", it certainly has no effect, now
 *   or later; "unknown", it may have taken effect or do so at any time after its call. Only "ok"
 *   has an `output` and needs a `returnOrder`.
 * - `input` by `kind`:
 *     get     key
 *     put     key, value, condition?
 *     delete  key, condition?
 *     list    prefix                          all keys that start so, in one answer; "" is all
 *     txn     compare, success, failure       `compare`: [{key, target, op, value}] as in the API;
 *                                             `success` (its `then`) and `failure` (its `else`):
 *                                             inputs get, put and delete without condition, each
 *                                             key written once
 *   where `condition` is {"kind":"absent"}, {"kind":"exists"} or {"kind":"revision","revision":7}.
 * - `output` by `kind`:
 *     record            record                of a get; null when the key is absent
 *     put               createRevision?, version?, previous?
 *     deleted           deleted, previous?    how many keys went away
 *     condition-failed  current?              nothing was changed
 *     list              items                 [{key, record}]
 *     txn               succeeded, results?   one output for each of the branch
 *   each with `revision?`, the store's revision when it took effect (for what changes something,
 *   the revision it made). A `record` is {value, revision?, createRevision?, version?}; null means
 *   the key is absent. What is left out is not checked.
 * - A value is any text that stands for the bytes stored: equal texts, equal bytes. Values that are
 *   written only once make the check sharper and faster.
 * - The history begins with an empty store, and every write to its keys is in it. Reads that asked
 *   for less than linearizability are not.
 */
import * as z from "zod";

const revisionSchema = z.number().int().nonnegative().optional();

const recordSchema = z.strictObject({
  value: z.string(),
  /** The store's revision when this value was written. */
  revision: revisionSchema,
  createRevision: revisionSchema,
  version: revisionSchema,
});
export type ObservedRecord = Readonly<z.infer<typeof recordSchema>>;

const conditionSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("none") }),
  z.strictObject({ kind: z.literal("absent") }),
  z.strictObject({ kind: z.literal("exists") }),
  z.strictObject({ kind: z.literal("revision"), revision: z.number().int() }),
]);
export type Condition = Readonly<z.infer<typeof conditionSchema>>;

const getSchema = z.strictObject({ kind: z.literal("get"), key: z.string() });
const putSchema = z.strictObject({
  kind: z.literal("put"),
  key: z.string(),
  value: z.string(),
  condition: conditionSchema.optional(),
});
const deleteSchema = z.strictObject({
  kind: z.literal("delete"),
  key: z.string(),
  condition: conditionSchema.optional(),
});
const listSchema = z.strictObject({ kind: z.literal("list"), prefix: z.string() });

const comparisonSchema = z.strictObject({
  key: z.string(),
  target: z.enum(["revision", "createRevision", "version", "value", "exists"]),
  op: z.enum(["=", "!=", "<", ">"]),
  value: z.union([z.number(), z.string(), z.boolean()]),
});
export type Comparison = Readonly<z.infer<typeof comparisonSchema>>;

const writtenKeys = (parts: readonly { kind: string; key: string }[]): readonly string[] =>
  parts.filter(({ kind }) => kind !== "get").map(({ key }) => key);

const partsSchema = z
  .array(
    z.discriminatedUnion("kind", [
      getSchema,
      putSchema.omit({ condition: true }),
      deleteSchema.omit({ condition: true }),
    ]),
  )
  .readonly()
  .refine((parts) => new Set(writtenKeys(parts)).size === writtenKeys(parts).length, {
    error: "a transaction writes a key once",
  });

const txnSchema = z.strictObject({
  kind: z.literal("txn"),
  compare: z.array(comparisonSchema).readonly(),
  success: partsSchema,
  failure: partsSchema,
});

const inputSchema = z.discriminatedUnion("kind", [
  getSchema,
  putSchema,
  deleteSchema,
  listSchema,
  txnSchema,
]);
export type Input = Readonly<z.infer<typeof inputSchema>>;
export type SingleInput = Extract<Input, { readonly kind: "get" | "put" | "delete" }>;
export type TxnInput = Extract<Input, { readonly kind: "txn" }>;

const recordOutputSchema = z.strictObject({
  kind: z.literal("record"),
  record: recordSchema.nullable(),
  revision: revisionSchema,
});
const putOutputSchema = z.strictObject({
  kind: z.literal("put"),
  revision: revisionSchema,
  createRevision: revisionSchema,
  version: revisionSchema,
  previous: recordSchema.nullable().optional(),
});
const deletedOutputSchema = z.strictObject({
  kind: z.literal("deleted"),
  deleted: z.number().int().nonnegative(),
  revision: revisionSchema,
  previous: recordSchema.nullable().optional(),
});
const outputSchema = z.discriminatedUnion("kind", [
  recordOutputSchema,
  putOutputSchema,
  deletedOutputSchema,
  z.strictObject({
    kind: z.literal("condition-failed"),
    revision: revisionSchema,
    current: recordSchema.nullable().optional(),
  }),
  z.strictObject({
    kind: z.literal("list"),
    items: z.array(z.strictObject({ key: z.string(), record: recordSchema })).readonly(),
    revision: revisionSchema,
  }),
  z.strictObject({
    kind: z.literal("txn"),
    succeeded: z.boolean(),
    results: z
      .array(
        z.discriminatedUnion("kind", [recordOutputSchema, putOutputSchema, deletedOutputSchema]),
      )
      .readonly()
      .optional(),
    revision: revisionSchema,
  }),
]);
export type Output = Readonly<z.infer<typeof outputSchema>>;

const spanShape = {
  client: z.string(),
  input: inputSchema,
  callOrder: z.number(),
  callMs: z.number().optional(),
  returnMs: z.number().optional(),
};

const operationSchema = z.discriminatedUnion("outcome", [
  z
    .strictObject({
      ...spanShape,
      outcome: z.literal("ok"),
      output: outputSchema,
      returnOrder: z.number(),
    })
    .refine(({ callOrder, returnOrder }) => callOrder <= returnOrder, {
      error: "an operation returns after its call",
    })
    .refine(({ input, output }) => ANSWERS[input.kind].some((kind) => kind === output.kind), {
      error: "this input has no such output",
    }),
  z.strictObject({
    ...spanShape,
    outcome: z.enum(["fail", "unknown"]),
    /** When the client gave up; it bounds nothing. */
    returnOrder: z.number().optional(),
  }),
]);
export type HistoryOperation = Readonly<z.infer<typeof operationSchema>>;
export type AnsweredOperation = Extract<HistoryOperation, { readonly outcome: "ok" }>;

const ANSWERS: Readonly<Record<Input["kind"], readonly Output["kind"][]>> = {
  get: ["record"],
  put: ["put", "condition-failed"],
  delete: ["deleted", "condition-failed"],
  list: ["list"],
  txn: ["txn"],
};

const HEADER = { format: "raft-kv-history", version: 1 } as const;
const headerSchema = z.strictObject({
  format: z.literal(HEADER.format),
  version: z.literal(HEADER.version),
});

export class HistoryFormatError extends Error {
  override readonly name = "HistoryFormatError";
  readonly code = "HISTORY_FORMAT";
  readonly line: number;

  constructor(line: number, message: string, options?: ErrorOptions) {
    super(`line ${line}: ${message}`, options);
    this.line = line;
  }
}

export function formatHistory(history: readonly HistoryOperation[]): string {
  return `${[HEADER, ...history].map((line) => JSON.stringify(line)).join("\n")}\n`;
}

/** Throws a `HistoryFormatError` that names the line. */
export function parseHistory(text: string): readonly HistoryOperation[] {
  const lines = text.split("\n");
  // A writer that was killed leaves half a line, which might still be good JSON.
  if (lines.pop() !== "") throw new HistoryFormatError(lines.length + 1, "the file is cut short");
  const [header, ...operations] = lines;
  parseLine(headerSchema, header ?? "", 1);
  return operations.map((line, index) => parseLine(operationSchema, line, index + 2));
}

function parseLine<T>(schema: z.ZodType<T>, line: string, number: number): T {
  const parsed = schema.safeParse(parseJson(line, number));
  if (parsed.success) return parsed.data;
  throw new HistoryFormatError(number, z.prettifyError(parsed.error).replaceAll("\n", " "));
}

function parseJson(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new HistoryFormatError(number, "not JSON", { cause });
  }
}
