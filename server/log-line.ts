/**
 * One JSON log line as a person reads it: time, level, message, then `key=value`. Elections are
 * what one watches a Raft cluster for, so roles and terms stand out in colour.
 *
 * Knows the shape of `logger.ts`'s lines and nothing else. Text from fields is escaped: a log line
 * is one line (a stack follows indented), and never moves a terminal's cursor.
 */
import * as z from "zod";

const lineSchema = z.looseObject({
  time: z.string(),
  level: z.string(),
  message: z.string().default(""),
});

const RESET = "\u001b[0m";
const DIM = "\u001b[2m";
const BOLD = "\u001b[1m";
const RED = "\u001b[31m";
const GREEN = "\u001b[32m";
const YELLOW = "\u001b[33m";
const CYAN = "\u001b[36m";

const LEVEL_COLOURS = new Map([
  ["debug", DIM],
  ["info", CYAN],
  ["warn", YELLOW],
  ["error", RED],
]);

const ROLE_COLOURS = new Map([
  ["leader", BOLD + GREEN],
  ["candidate", YELLOW],
  ["pre-candidate", YELLOW],
  ["follower", CYAN],
  ["learner", CYAN],
]);

/** Shown in another way, or said by the supervisor's prefix already. */
const UNSHOWN = new Set(["time", "level", "message", "node", "stack"]);

export function formatLogLine(json: string, hasColour: boolean): string {
  const paint = (colour: string | undefined, text: string): string =>
    hasColour && colour !== undefined ? colour + text + RESET : text;
  const line = lineSchema.parse(JSON.parse(json));
  const clock = line.time.slice("2000-01-01T".length, "2000-01-01T00:00:00.000".length);
  const parts = [
    paint(DIM, clock),
    paint(LEVEL_COLOURS.get(line.level), line.level.toUpperCase().padEnd(5)),
    paint(
      line.level === "info" ? undefined : LEVEL_COLOURS.get(line.level),
      printable(line.message),
    ),
  ];
  for (const [name, value] of Object.entries(line)) {
    if (UNSHOWN.has(name)) continue;
    const text = fieldText(value);
    parts.push(`${paint(DIM, `${printable(name)}=`)}${paint(fieldColour(name, text), text)}`);
  }
  return `${parts.join(" ")}\n${stackLines(line["stack"])}`;
}

/** A stack is the one thing a single line can not hold. */
function stackLines(stack: unknown): string {
  if (typeof stack !== "string") return "";
  const lines = stack.split("\n").map((line) => `    ${printable(line.trim())}\n`);
  return lines.join("");
}

function fieldColour(name: string, text: string): string | undefined {
  if (name === "role") return ROLE_COLOURS.get(text);
  if (name === "term" || name === "leader") return BOLD;
  if (name === "error") return RED;
  return undefined;
}

function fieldText(value: unknown): string {
  if (typeof value === "string") {
    return /^[\w.:/@+-]+$/u.test(value) ? printable(value) : printable(JSON.stringify(value));
  }
  const error = errorSchema.safeParse(value);
  if (error.success) return printable(JSON.stringify(error.data.message));
  return printable(JSON.stringify(value) ?? "undefined");
}

/** pino's rendering of an Error. */
const errorSchema = z.looseObject({ type: z.string(), message: z.string(), stack: z.string() });

function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
