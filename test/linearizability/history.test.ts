import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError, SeededRandom } from "../../raft/index.ts";
import { formatHistory, HistoryFormatError, parseHistory } from "./history.ts";
import { HistoryRecorder } from "./history-recorder.ts";
import { RANDOM_HISTORY_DEFAULTS, randomHistory } from "./random-history.ts";

const HEADER = '{"format":"raft-kv-history","version":1}';

describe("a history file", () => {
  test("gives back what was written", () => {
    for (const hasVersions of [true, false]) {
      const options = { ...RANDOM_HISTORY_DEFAULTS, listPercent: 5, txnPercent: 5, hasVersions };
      const history = randomHistory(new SeededRandom(3), options);
      assert.deepEqual(parseHistory(formatHistory(history)), JSON.parse(JSON.stringify(history)));
    }
  });

  test("is one line for the header and one for each operation", () => {
    const text = formatHistory([
      {
        client: "c1",
        input: { kind: "put", key: "a", value: "x" },
        callOrder: 3,
        returnOrder: 6,
        outcome: "ok",
        output: { kind: "put", revision: 7, createRevision: 3, version: 2 },
      },
    ]);
    const line =
      '{"client":"c1","input":{"kind":"put","key":"a","value":"x"},"callOrder":3,' +
      '"returnOrder":6,"outcome":"ok",' +
      '"output":{"kind":"put","revision":7,"createRevision":3,"version":2}}';
    assert.equal(text, `${HEADER}\n${line}\n`);
  });

  const get = '"client":"c","input":{"kind":"get","key":"a"}';
  const record = '"outcome":"ok","output":{"kind":"record","record":null}';
  const bad: readonly (readonly [string, string, number])[] = [
    ["is empty", "", 1],
    ["has no header", `{${get},"callOrder":1,"outcome":"unknown"}\n`, 1],
    ["has a newer version", '{"format":"raft-kv-history","version":2}\n', 1],
    ["was cut short", `${HEADER}\n{${get},"callOrder":1,"outcome":"unknown"}`, 2],
    ["has a line that is not JSON", `${HEADER}\n{"client"\n`, 2],
    ["has an empty line", `${HEADER}\n\n`, 2],
    ["has an unknown outcome", `${HEADER}\n{${get},"callOrder":1,"outcome":"maybe"}\n`, 2],
    ["has an answer without a return", `${HEADER}\n{${get},"callOrder":1,${record}}\n`, 2],
    [
      "has a return before the call",
      `${HEADER}\n{${get},"callOrder":2,"returnOrder":1,${record}}\n`,
      2,
    ],
    [
      "has another input's answer",
      `${HEADER}\n{${get},"callOrder":1,"returnOrder":2,"outcome":"ok","output":{"kind":"put"}}\n`,
      2,
    ],
    [
      "has a field that nobody knows",
      `${HEADER}\n{${get},"callOrder":1,"outcome":"unknown","extra":1}\n`,
      2,
    ],
  ];
  for (const [what, text, line] of bad) {
    test(`that ${what} is refused with the line`, () => {
      assert.throws(
        () => parseHistory(text),
        (error) => error instanceof HistoryFormatError && error.line === line,
      );
    });
  }
});

describe("the recorder", () => {
  const input = { kind: "get", key: "a" } as const;
  const output = { kind: "record", record: null } as const;

  test("keeps the order of calls and returns, and the time for people", () => {
    let nowMs = 100;
    const recorder = new HistoryRecorder(() => nowMs++);
    const first = recorder.call("c1", input);
    const second = recorder.call("c2", input);
    second.ok(output);
    first.fail();
    assert.deepEqual(recorder.history(), [
      {
        client: "c1",
        input,
        callOrder: 1,
        callMs: 100,
        outcome: "fail",
        returnOrder: 4,
        returnMs: 103,
      },
      {
        client: "c2",
        input,
        callOrder: 2,
        callMs: 101,
        outcome: "ok",
        output,
        returnOrder: 3,
        returnMs: 102,
      },
    ]);
  });

  test("leaves what has not ended unknown", () => {
    const recorder = new HistoryRecorder();
    recorder.call("c1", input);
    assert.deepEqual(recorder.history(), [
      { client: "c1", input, callOrder: 1, outcome: "unknown" },
    ]);
  });

  test("lets a call end only once", () => {
    const call = new HistoryRecorder().call("c1", input);
    call.unknown();
    assert.throws(() => call.ok(output), InvariantError);
  });
});
