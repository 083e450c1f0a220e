import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkHistory } from "./check-history.ts";
import type { Condition, HistoryOperation, Input, Output } from "./history.ts";
import { NotLinearizableError, requireLinearizable } from "./index.ts";

/** `at` is "call return", or "call" when the outcome is unknown. */
function operation(at: string, input: Input, output?: Output): HistoryOperation {
  const [callOrder = 0, returnOrder = 0] = at.split(" ").map(Number);
  const span = { client: "c", input, callOrder };
  if (output === undefined) return { ...span, outcome: "unknown" };
  return { ...span, outcome: "ok", output, returnOrder };
}

/** `written` is "value version revision". */
function recordOf(written: string | null) {
  if (written === null) return null;
  const [value = "", version, revision] = written.split(" ");
  if (version === undefined) return { value };
  return { value, version: Number(version), revision: Number(revision) };
}

const get = (at: string, key: string, seen: string | null) =>
  operation(at, { kind: "get", key }, { kind: "record", record: recordOf(seen) });

function put(at: string, key: string, written: string, condition?: Condition): HistoryOperation {
  const { value = "", ...numbers } = recordOf(written) ?? {};
  const isKnown = at.includes(" ");
  return operation(
    at,
    { kind: "put", key, value, condition },
    isKnown ? { kind: "put", ...numbers } : undefined,
  );
}

const failedPut = (at: string, key: string, condition: Condition, current: string | null) =>
  operation(
    at,
    { kind: "put", key, value: "never", condition },
    { kind: "condition-failed", current: recordOf(current) },
  );

const remove = (at: string, key: string, deleted: number, revision?: number) =>
  operation(at, { kind: "delete", key }, { kind: "deleted", deleted, revision });

const list = (at: string, seen: Readonly<Record<string, string>>, revision?: number) =>
  operation(
    at,
    { kind: "list", prefix: "" },
    {
      kind: "list",
      revision,
      items: Object.entries(seen).map(([key, written]) => ({
        key,
        record: recordOf(written) ?? { value: "" },
      })),
    },
  );

const isGood = (...history: readonly HistoryOperation[]): boolean =>
  checkHistory(history).kind === "linearizable";

function assertGood(...history: readonly HistoryOperation[]): void {
  requireLinearizable(history);
}

function assertBad(...history: readonly HistoryOperation[]): void {
  assert.equal(checkHistory(history).kind, "violation");
}

describe("values alone", () => {
  test("a key is absent, then what was put, then absent again", () => {
    assertGood(get("1 2", "a", null), put("3 4", "a", "x"), get("5 6", "a", "x"));
    assertGood(put("1 2", "a", "x"), remove("3 4", "a", 1), get("5 6", "a", null));
    assertBad(put("1 2", "a", "x"), remove("3 4", "a", 0));
    assertBad(put("1 2", "a", "x"), get("3 4", "a", null));
  });

  test("keys do not matter to each other", () => {
    assertGood(put("1 2", "a", "x"), put("3 4", "b", "y"), get("5 6", "a", "x"));
    assertBad(put("1 2", "a", "x"), put("3 4", "b", "y"), get("5 6", "b", "x"));
  });

  test("what certainly failed was never there", () => {
    const failed = { ...put("1", "a", "x"), outcome: "fail" } as const;
    assertGood(failed, get("2 3", "a", null));
    assertBad(failed, get("2 3", "a", "x"));
  });

  test("what is unknown may be there now, later or never, and only once", () => {
    const lost = put("1", "a", "x");
    assertGood(lost, get("2 3", "a", null), get("4 5", "a", null));
    assertGood(lost, get("2 3", "a", null), get("4 5", "a", "x"));
    assertBad(lost, get("2 3", "a", "x"), get("4 5", "a", null));
    assertBad(lost, get("2 3", "a", "x"), put("4 5", "a", "y"), get("6 7", "a", "x"));
  });

  test("a record that nobody wrote is found, also in a list", () => {
    assertBad(get("1 2", "a", "x"));
    assertBad(list("1 2", { a: "x" }));
    assertBad(list("1 2", { a: "x 1 1" }, 1));
  });
});

describe("versions and revisions", () => {
  test("rise by one and never fall", () => {
    assertGood(put("1 2", "a", "x 1 5"), put("3 4", "a", "y 2 6"), get("5 6", "a", "y 2 6"));
    assertBad(put("1 2", "a", "x 1 5"), put("3 4", "a", "y 3 6"));
    assertBad(put("1 2", "a", "x 1 5"), put("3 4", "a", "y 2 5"));
    assertBad(put("1 2", "a", "x 1 5"), get("5 6", "a", "x 1 4"));
  });

  test("begin again with the key", () => {
    const before = [put("1 2", "a", "x 1 1"), remove("3 4", "a", 1, 2)];
    assertGood(...before, put("5 6", "a", "y 1 3"));
    assertBad(...before, put("5 6", "a", "y 2 3"));
    assertBad(...before, put("5 6", "a", "y 1 2"));
  });

  test("show a lost write that took effect though nobody saw its value", () => {
    const lost = put("1", "a", "x");
    assertGood(lost, put("2 3", "a", "y 1 1"));
    assertGood(lost, put("2 3", "a", "y 2 2"));
    assertBad(lost, put("2 3", "a", "y 3 3"));
    assertBad(lost, put("2 3", "a", "y 2 1"));
  });

  test("leave a lost write no place between two answers that follow each other", () => {
    const lost = put("1", "a", "x");
    const [first, second] = [put("2 3", "b", "u 1 1"), put("4 5", "b", "v 2 2")];
    assertGood(lost, first, second, put("6 7", "a", "y 2 4"));
    assertBad(lost, first, second, put("6 7", "a", "y 2 3"));
  });

  test("tell on a write that was applied twice", () => {
    const twice = [put("1 2", "a", "x 1 1"), put("3 4", "a", "y 2 2"), get("5 6", "a", "x 3 3")];
    assertBad(...twice);
  });

  test("are one counter over all keys", () => {
    assertGood(put("1 2", "a", "x 1 1"), put("3 4", "b", "y 1 2"));
    assertBad(put("1 2", "a", "x 1 2"), put("3 4", "b", "y 1 1"));
    assertBad(put("1 9", "a", "x 1 1"), put("2 9", "b", "y 1 1"));
  });
});

describe("conditions", () => {
  const absent: Condition = { kind: "absent" };
  const revision = (number: number): Condition => ({ kind: "revision", revision: number });

  test("decide by what is there", () => {
    assertGood(put("1 2", "a", "x 1 1", absent), put("3 4", "a", "y 2 2", revision(1)));
    assertBad(put("1 2", "a", "x 1 1"), put("3 4", "a", "y 2 2", absent));
    assertBad(put("1 2", "a", "x 1 1"), put("3 4", "a", "y 2 2", revision(7)));
    assertBad(put("1 2", "a", "x 1 1", { kind: "exists" }));
  });

  test("fail only when they do not hold, and name what is there", () => {
    assertGood(put("1 2", "a", "x 1 1"), failedPut("3 4", "a", absent, "x 1 1"));
    assertBad(put("1 2", "a", "x 1 1"), failedPut("3 4", "a", revision(1), "x 1 1"));
    assertBad(put("1 2", "a", "x 1 1"), failedPut("3 4", "a", revision(2), "y 1 1"));
    assertBad(failedPut("3 4", "a", absent, null));
  });

  test("of two writers who expect the same revision, one wins", () => {
    const first = put("1 2", "a", "x 1 1");
    const winner = put("3 9", "a", "y 2 2", revision(1));
    assertGood(first, winner, failedPut("3 9", "a", revision(1), "y 2 2"));
    assertBad(first, winner, put("3 9", "a", "z 3 3", revision(1)));
  });

  test("of a lost write may hold when the revision it names is not known to be another", () => {
    const before = [put("1 2", "a", "x 1 1"), put("3", "a", "lost")];
    assertGood(...before, put("4", "a", "y", revision(2)), get("5 6", "a", "y 3 3"));
    assertBad(...before, put("4", "a", "y", revision(9)), get("5 6", "a", "y 3 3"));
  });
});

describe("many keys at once", () => {
  const moved = (at: string, succeeded: boolean, results: readonly Output[], revision?: number) => {
    const results_ = results.flatMap((each) =>
      each.kind === "record" || each.kind === "put" || each.kind === "deleted" ? [each] : [],
    );
    const input: Input = {
      kind: "txn",
      compare: [{ key: "a", target: "value", op: "=", value: "x" }],
      success: [
        { kind: "delete", key: "a" },
        { kind: "put", key: "b", value: "x" },
      ],
      failure: [{ kind: "get", key: "b" }],
    };
    return operation(at, input, { kind: "txn", succeeded, results: results_, revision });
  };
  const done: readonly Output[] = [{ kind: "deleted", deleted: 1 }, { kind: "put" }];
  const refused: readonly Output[] = [{ kind: "record", record: { value: "x" } }];

  test("a transaction is atomic", () => {
    const before = put("1 2", "a", "x");
    assertGood(before, moved("3 4", true, done), get("5 6", "a", null), get("5 6", "b", "x"));
    assertBad(before, moved("3 4", true, done), get("5 6", "a", "x"));
    assertBad(before, moved("3 8", true, done), get("4 5", "b", "x"), get("6 7", "a", "x"));
    assertBad(before, moved("3 4", false, refused));
    assertGood(before, moved("3 4", true, done), moved("5 6", false, refused));
    assertBad(before, moved("3 4", true, done), moved("5 6", true, done));
  });

  test("a lost transaction takes effect whole or not at all", () => {
    const { input } = moved("1 2", true, done);
    const before = [put("1 2", "a", "x"), operation("3", input)];
    assertGood(...before, get("4 5", "a", "x"), get("6 7", "b", null));
    assertGood(...before, get("4 5", "a", "x"), get("6 7", "b", "x"));
    assertBad(...before, get("4 5", "b", "x"), get("6 7", "a", "x"));
  });

  test("a list shows nothing that it was not asked for, and nothing twice", () => {
    const before = [put("1 2", "a", "x 1 1"), put("3 4", "b", "y 1 2")];
    const item = { key: "b", record: { value: "y" } };
    const seen = (prefix: string, ...items: readonly (typeof item)[]) =>
      operation("5 6", { kind: "list", prefix }, { kind: "list", items, revision: 2 });
    assertGood(...before, seen("b", item));
    assertGood(...before, seen("z"));
    assertBad(...before, seen("z", item));
    assertBad(...before, seen("b", item, item));
  });

  test("a list is one moment, with revisions and without", () => {
    const [first, second] = [put("1 2", "a", "x 1 1"), put("3 4", "b", "y 1 2")];
    assertGood(first, second, list("5 6", { a: "x 1 1", b: "y 1 2" }, 2));
    assertGood(first, second, list("1 6", { a: "x 1 1" }, 1));
    assertBad(first, second, list("1 6", { b: "y 1 2" }, 2));
    assertBad(first, second, list("1 6", { a: "x 1 1" }, 2));
    assertBad(first, second, list("5 6", { a: "x 1 1" }, 1));
    assertGood(put("1 2", "a", "x"), put("3 4", "b", "y"), list("1 9", { a: "x" }));
    assertBad(put("1 2", "a", "x"), put("3 4", "b", "y"), list("1 9", { b: "y" }));
  });
});

describe("the verdict", () => {
  const bad = [put("1 2", "a", "x 1 1"), put("3 4", "a", "y 2 2"), get("5 6", "a", "x 1 1")];

  test("says what cannot be, what is known, and what happened around it", () => {
    assert.throws(
      () => requireLinearizable([...bad, put("7 8", "z", "later 1 3")]),
      (error) => {
        assert(error instanceof NotLinearizableError);
        assert.equal(
          error.message,
          [
            "NOT LINEARIZABLE: 4 operations on 2 keys, 2 parts, 4 steps",
            "",
            'No order of the operations on key "a" explains this answer:',
            '  [5 .. 6] c: get "a" -> "x" (version 1, revision 1)',
            "Orders that explain all answers before it end with",
            '  "a" = "y" (version 2, revision 2)',
            "Before it and at the same time (* may be in any order with it):",
            '  [1 .. 2] c: put "a" "x" -> put (version 1, revision 1)',
            '  [3 .. 4] c: put "a" "y" -> put (version 2, revision 2)',
            '  [5 .. 6] c: get "a" -> "x" (version 1, revision 1)',
          ].join("\n"),
        );
        return true;
      },
    );
  });

  test("undecided is a failure, too", () => {
    const puts = Array.from({ length: 9 }, (_, index) => put("1 2", "a", `v${index}`));
    const history = [...puts, get("3 4", "a", "nothing")];
    const options = { stepsMax: 100 };
    assert.equal(checkHistory(history, options).kind, "undecided");
    assert.throws(() => requireLinearizable(history, options), /^NotLinearizableError: UNDECIDED/u);
  });

  test("is the same for any order of the lines", () => {
    assert.equal(isGood(...bad.toReversed()), false);
    assert.equal(isGood(...bad.slice(0, 2).toReversed()), true);
  });
});
