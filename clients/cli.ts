/**
 * `raft-kv get | put | del | list | status`: the client on a command line. It owns the commands,
 * their output and the exit codes; everything else is the client's. What the process has is
 * handed in, and `process` itself will do.
 */
import {
  checkUsage,
  conditionOf,
  type OptionName,
  parse,
  readOptions,
  type Usage,
  UsageError,
  type Values,
  wholeNumber,
} from "./cli-arguments.ts";
import {
  asText,
  jsonEntry,
  jsonKey,
  type NodeReport,
  oneLine,
  oneLineEntry,
  statusTable,
} from "./cli-format.ts";
import { type CommandName, helpText } from "./cli-help.ts";
import type { Entry } from "./entry.ts";
import { InvalidArgumentError, KvClientError } from "./errors.ts";
import { KvClient } from "./kv-client.ts";
import type { ConditionFailed, KvClientOptions } from "./options.ts";

export interface ClientIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: { write(data: string | Uint8Array): unknown };
  readonly stderr: { write(data: string): unknown };
  /** Other ports than the global ones, for tests. */
  readonly ports?: Pick<KvClientOptions, "fetch" | "clock" | "random">;
}

export const EXIT = { ok: 0, absent: 1, usage: 2, notApplied: 3, unknown: 4 } as const;

/** What every command works with. */
interface Context {
  readonly client: KvClient;
  readonly io: ClientIo;
  readonly isJson: boolean;
  readonly timeoutMs: number | undefined;
}

const TIMEOUT_MS = 5_000;
/** A status that takes longer is news in itself. */
const STATUS_TIMEOUT_MS = 1_000;
const DEFAULT_ENDPOINTS = ["127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"];

interface Command extends Usage {
  run(context: Context, positionals: readonly string[], values: Values): Promise<number>;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  command("get", ["raw", "stale", "min-revision"], 1, 1, get),
  command("put", ["json", "if-revision", "if-exists", "if-absent"], 2, 2, put),
  command("del", ["if-revision", "if-exists"], 1, 1, del),
  command("list", ["keys", "limit", "stale", "min-revision"], 0, 1, list),
  command("status", [], 0, 0, status),
]);

/** True for the commands that `runClientCommand` knows. */
export function isClientCommand(name: string): boolean {
  return COMMANDS.has(name);
}

/** `argv` begins with the command's name. Resolves with the exit code and never rejects. */
export async function runClientCommand(argv: readonly string[], io: ClientIo): Promise<number> {
  let client: KvClient | undefined;
  try {
    const [name = "", ...args] = argv;
    const found = COMMANDS.get(name);
    if (found === undefined) throw new UsageError(`no such command: ${name}`);
    const { values, positionals } = parse(args);
    if (values.help) {
      io.stdout.write(helpText(found.name));
      return EXIT.ok;
    }
    checkUsage(found, positionals, values);
    const context = openContext(values, io);
    client = context.client;
    return await found.run(context, positionals, values);
  } catch (error) {
    return explain(error, io);
  } finally {
    await client?.close();
  }
}

async function get(context: Context, [key = ""]: readonly string[], values: Values) {
  const { client, io, isJson } = context;
  const options = readOptions(values);
  if (isJson && !values.raw) {
    const entry = await client.get(key, options);
    if (entry === undefined) return absent(key, io);
    io.stdout.write(`${jsonEntry(entry)}\n`);
    return EXIT.ok;
  }
  const bytes = await client.getBytes(key, options);
  if (bytes === undefined) return absent(key, io);
  io.stdout.write(bytes);
  if (!values.raw && asText(bytes) !== undefined) io.stdout.write("\n");
  return EXIT.ok;
}

async function put(context: Context, [key = "", text = ""]: readonly string[], values: Values) {
  const { client, io, isJson } = context;
  const bytes = text === "-" ? await readAll(io.stdin) : undefined;
  const value = bytes === undefined ? text : (asText(bytes) ?? bytes);
  if (values.json) checkJson(value);
  const type = values.json ? "json" : undefined;
  const result = await client.put(key, value, { ...conditionOf(values), type });
  if (!result.ok) return conditionFailed(result, context);
  const { revision, createRevision, version } = result;
  const json = JSON.stringify({ ...jsonKey(key), revision, createRevision, version });
  io.stdout.write(isJson ? `${json}\n` : `revision ${revision}\n`);
  return EXIT.ok;
}

async function del(context: Context, [key = ""]: readonly string[], values: Values) {
  const { client, io, isJson } = context;
  const result = await client.delete(key, conditionOf(values));
  if (!result.ok) return conditionFailed(result, context);
  const { deleted, revision } = result;
  if (isJson) io.stdout.write(`${JSON.stringify({ deleted: deleted ? 1 : 0, revision })}\n`);
  if (!deleted) return isJson ? EXIT.absent : absent(key, io);
  if (!isJson) io.stdout.write(`deleted, revision ${revision}\n`);
  return EXIT.ok;
}

async function list(context: Context, [prefix]: readonly string[], values: Values) {
  const { client, io, isJson } = context;
  const limit = wholeNumber("limit", values.limit) ?? Number.POSITIVE_INFINITY;
  const pageLimit = Math.min(limit, 1_000);
  const options = { ...readOptions(values), prefix: prefix === "" ? undefined : prefix, pageLimit };
  if (limit === 0) return EXIT.ok;
  let count = 0;
  for await (const line of values.keys ? keyLines() : entryLines()) {
    io.stdout.write(`${line}\n`);
    count += 1;
    if (count >= limit) break;
  }
  return EXIT.ok;

  async function* keyLines() {
    for await (const key of client.keys(options)) {
      yield isJson ? JSON.stringify(jsonKey(key)) : oneLine(key);
    }
  }
  async function* entryLines() {
    for await (const entry of client.entries(options)) {
      yield isJson ? jsonEntry(entry) : oneLineEntry(entry);
    }
  }
}

async function status({ client, io, isJson, timeoutMs = STATUS_TIMEOUT_MS }: Context) {
  const reports = await Promise.all(
    client.endpoints.map(async (endpoint): Promise<NodeReport> => {
      try {
        return { endpoint, status: await client.status({ endpoint, timeoutMs }) };
      } catch (error) {
        if (!(error instanceof KvClientError)) throw error;
        return { endpoint, error: error.message };
      }
    }),
  );
  io.stdout.write(isJson ? `${JSON.stringify(reports)}\n` : statusTable(reports));
  for (const report of reports) {
    if (!isJson && "error" in report) io.stderr.write(`${report.endpoint}: ${report.error}\n`);
  }
  const hasLeader = reports.some((each) => "status" in each && each.status.leaderId !== null);
  return hasLeader ? EXIT.ok : EXIT.notApplied;
}

function command(
  name: CommandName,
  options: readonly OptionName[],
  argumentsMin: number,
  argumentsMax: number,
  run: Command["run"],
) {
  return [name, { name, options, argumentsMin, argumentsMax, run }] as const;
}

function openContext(values: Values, io: ClientIo): Context {
  const output = values.output ?? io.env["RAFT_KV_OUTPUT"] ?? "text";
  if (output !== "text" && output !== "json") {
    throw new UsageError(`output is text or json, not ${output}`);
  }
  const timeoutMs = wholeNumber("timeout", values.timeout ?? io.env["RAFT_KV_TIMEOUT_MS"]);
  const client = new KvClient({
    endpoints: (
      values.endpoint ?? [io.env["RAFT_KV_ENDPOINTS"] || DEFAULT_ENDPOINTS.join(",")]
    ).join(","),
    timeoutMs: timeoutMs ?? TIMEOUT_MS,
    ...io.ports,
  });
  return { client, io, isJson: output === "json", timeoutMs };
}

/** Only checked: it is sent as it is, so that no digit of a big number gets lost. */
function checkJson(value: string | Uint8Array): void {
  try {
    JSON.parse(typeof value === "string" ? value : "");
  } catch {
    throw new UsageError("the value is not JSON");
  }
}

async function readAll(stdin: ClientIo["stdin"]): Promise<Uint8Array> {
  const encoder = new TextEncoder();
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) {
    chunks.push(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
  }
  const bytes = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function absent(key: string, io: ClientIo): number {
  io.stderr.write(`no such key: ${oneLine(key)}\n`);
  return EXIT.absent;
}

function conditionFailed({ current }: ConditionFailed, { io, isJson }: Context): number {
  if (isJson) io.stdout.write(`{"current":${current ? jsonEntry(current) : "null"}}\n`);
  io.stderr.write(`condition failed: ${currently(current)}\n`);
  return EXIT.absent;
}

function currently(current: Entry | undefined): string {
  return current === undefined ? "the key is absent" : `the key is at revision ${current.revision}`;
}

function explain(error: unknown, io: ClientIo): number {
  const message = error instanceof Error ? error.message : String(error);
  io.stderr.write(`raft-kv: ${message}\n`);
  const isUsage = error instanceof UsageError || error instanceof InvalidArgumentError;
  if (isUsage) return EXIT.usage;
  const isNotApplied = error instanceof KvClientError && error.outcome === "not_applied";
  return isNotApplied ? EXIT.notApplied : EXIT.unknown;
}
