/**
 * The one voice of a node: structured lines on standard output, JSON for machines, a readable line
 * for people. It decides nothing about what is worth saying.
 *
 * - Keys and values of users never appear: fields that could hold them are removed.
 * - Saying something never blocks the event loop and never ends the process: writes are buffered
 *   up to a bound, what exceeds it is lost, and a reader that went away (EPIPE) is forgotten.
 * - What was said before `process.exit` is flushed.
 */
import { pino } from "pino";
import { formatLogLine } from "./log-line.ts";

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "auto" | "json" | "text";

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** Takes whole lines, newline included. */
export interface LogSink {
  write(line: string): void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Stands in every JSON line; undefined for a process that is no node. */
  readonly nodeId: number | undefined;
}

/** Whoever logs one of these by mistake must not leak what users store. */
const SECRET_FIELDS = ["key", "value", "previous", "command", "body", "data", "token"];

const BUFFERED_BYTES_MAX = 1024 * 1024;

/** `log` for the process: standard output, readable when it is a terminal. */
export function createLogger(options: LoggerOptions): Logger {
  const isTerminal = process.stdout.isTTY === true;
  return createLoggerOn(standardOutput(), options, {
    isTerminal,
    hasColour: wantsColour(isTerminal, process.env),
  });
}

export function createLoggerOn(
  sink: LogSink,
  options: LoggerOptions,
  output: { readonly isTerminal: boolean; readonly hasColour: boolean },
): Logger {
  const isText = options.format === "text" || (options.format === "auto" && output.isTerminal);
  const destination = isText
    ? { write: (json: string) => sink.write(formatLogLine(json, output.hasColour)) }
    : sink;
  return pino(
    {
      level: options.level,
      base: options.nodeId === undefined ? {} : { node: options.nodeId },
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      redact: { paths: SECRET_FIELDS, remove: true },
    },
    destination,
  );
}

/** https://no-color.org and https://force-color.org, in the order the latter asks for. */
export function wantsColour(
  isTerminal: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  if ((environment["NO_COLOR"] ?? "") !== "") return false;
  const forced = environment["FORCE_COLOR"] ?? "";
  if (forced !== "") return forced !== "0";
  return isTerminal && environment["TERM"] !== "dumb";
}

function standardOutput(): LogSink {
  const descriptor = 1;
  const stream = pino.destination({
    dest: descriptor,
    sync: false,
    maxLength: BUFFERED_BYTES_MAX,
  });
  let isGone = false;
  // pino forgives EPIPE; a terminal that was closed gives EIO. Neither is worth dying for.
  stream.on("error", () => {
    isGone = true;
  });
  return {
    write(line) {
      if (!isGone) stream.write(line);
    },
  };
}
