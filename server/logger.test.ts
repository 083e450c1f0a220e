import assert from "node:assert/strict";
import { test } from "node:test";
import { createLoggerOn, type LogFormat, type LogLevel, wantsColour } from "./logger.ts";

const TERMINAL = { isTerminal: true, hasColour: false };
const PIPE = { isTerminal: false, hasColour: false };

function recorder(
  format: LogFormat,
  output: { readonly isTerminal: boolean; readonly hasColour: boolean },
  level: LogLevel = "info",
) {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line) };
  return { lines, log: createLoggerOn(sink, { format, level, nodeId: 2 }, output) };
}

/** A readable line without its time of day, which no test can know. */
function untimed(line: string | undefined): string {
  assert.match(line ?? "", /^\d\d:\d\d:\d\d\.\d\d\d /u);
  return (line ?? "").slice("00:00:00.000 ".length);
}

test("a pipe gets one JSON object a line, with the node, an ISO time and the level by name", () => {
  const { lines, log } = recorder("auto", PIPE);
  log.info({ role: "leader", term: 3 }, "role changed");
  assert.equal(lines.length, 1);
  const { time, ...rest } = JSON.parse(lines[0] ?? "");
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u);
  assert.deepEqual(rest, {
    level: "info",
    node: 2,
    role: "leader",
    term: 3,
    message: "role changed",
  });
});

test("a terminal gets a readable line with role and term", () => {
  const { lines, log } = recorder("auto", TERMINAL);
  log.info({ role: "leader", term: 3, leader: "node2" }, "role changed");
  assert.equal(untimed(lines[0]), "INFO  role changed role=leader term=3 leader=node2\n");
});

test("the format can be forced either way", () => {
  const text = recorder("text", PIPE);
  text.log.warn({}, "slow disk");
  assert.equal(untimed(text.lines[0]), "WARN  slow disk\n");
  const json = recorder("json", TERMINAL);
  json.log.warn({}, "slow disk");
  assert.equal(JSON.parse(json.lines[0] ?? "").message, "slow disk");
});

test("colours make a leader stand out, and only where they are wanted", () => {
  const { lines, log } = recorder("text", { isTerminal: true, hasColour: true });
  log.info({ role: "leader" }, "role changed");
  assert.ok(lines[0]?.includes("\u001b[1m\u001b[32mleader\u001b[0m"), lines[0]);
});

test("keys, values and the cluster token never reach a line", () => {
  const { lines, log } = recorder("json", PIPE);
  log.info({ key: "k-secret", value: "v-secret", token: "t-secret", body: "b-secret" }, "odd");
  assert.doesNotMatch(lines[0] ?? "", /secret/u);
});

test("levels below the one asked for are silent", () => {
  const { lines, log } = recorder("json", PIPE, "warn");
  log.debug({}, "a");
  log.info({}, "b");
  log.warn({}, "c");
  log.error({}, "d");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).message),
    ["c", "d"],
  );
});

test("an error shows its message in a readable line and its stack in JSON", () => {
  const text = recorder("text", PIPE);
  text.log.error({ error: new Error("no space left") }, "write failed");
  assert.equal(untimed(text.lines[0]), 'ERROR write failed error="no space left"\n');
  const json = recorder("json", PIPE);
  json.log.error({ error: new Error("no space left") }, "write failed");
  assert.match(JSON.parse(json.lines[0] ?? "").error.stack, /no space left\n\s+at /u);
});

test("a stack follows its readable line, indented", () => {
  const { lines, log } = recorder("text", PIPE);
  log.error({ stack: "Error: odd\n    at a.ts:1\n    at b.ts:2" }, "an invariant is broken");
  assert.equal(
    untimed(lines[0]),
    "ERROR an invariant is broken\n    Error: odd\n    at a.ts:1\n    at b.ts:2\n",
  );
});

test("control characters in a field neither break the line nor reach the terminal", () => {
  const { lines, log } = recorder("text", PIPE);
  log.info({ peer: "a\nb\u001b[2Jc", "odd\nname": 1 }, "two\nlines");
  const line = lines[0] ?? "";
  assert.equal(line.indexOf("\n"), line.length - 1);
  assert.equal(line.includes("\u001b"), false);
});

test("NO_COLOR beats FORCE_COLOR, which beats what the terminal says", () => {
  assert.equal(wantsColour(true, {}), true);
  assert.equal(wantsColour(false, {}), false);
  assert.equal(wantsColour(false, { FORCE_COLOR: "1" }), true);
  assert.equal(wantsColour(true, { FORCE_COLOR: "0" }), false);
  assert.equal(wantsColour(true, { FORCE_COLOR: "1", NO_COLOR: "1" }), false);
  assert.equal(wantsColour(true, { TERM: "dumb" }), false);
});
