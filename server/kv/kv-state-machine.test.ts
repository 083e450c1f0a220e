import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeDelete, encodePut } from "./command.ts";
import { UnsupportedCommandError, UnsupportedFeatureLevelError } from "./errors.ts";
import { FEATURE_LEVEL_MAX, KvStateMachine } from "./kv-state-machine.ts";
import type { KvResult } from "./result.ts";
import { StoredRecord } from "./stored-record.ts";
import { byteString, bytes, commandEntry, LogWriter } from "./testing/entries.ts";

function put(key: string, value: string): Uint8Array {
  return encodePut({ key: byteString(key), value: bytes(value), type: "text" });
}

function start(): { machine: KvStateMachine; log: LogWriter } {
  const machine = new KvStateMachine();
  return { machine, log: new LogWriter(machine) };
}

test("a put always raises the revision, and counts the versions of its key", () => {
  const { machine, log } = start();
  assert.deepEqual(log.apply(put("a", "1")), {
    kind: "put",
    revision: 1,
    createRevision: 1,
    version: 1,
  });
  log.apply(put("b", "1"));
  assert.deepEqual(log.apply(put("a", "1")), {
    kind: "put",
    revision: 3,
    createRevision: 1,
    version: 2,
  });
  assert.deepEqual(machine.get("a"), new StoredRecord("1", "text", 3, 1, 2, 0, 0).copy());
  assert.equal(machine.revision, 3);
  assert.equal(machine.keyCount, 2);
});

test("a record that was read does not change with the next write", () => {
  const { machine, log } = start();
  log.apply(put("a", "1"));
  const read = machine.get("a");
  const [listed] = machine.list({ start: "", end: undefined, limit: 1, bytesMax: 1 }).items;
  log.apply(put("a", "2"));
  const first = new StoredRecord("1", "text", 1, 1, 1, 0, 0).copy();
  assert.deepEqual(read, first);
  assert.deepEqual(listed, { key: "a", record: first });
});

test("a key that comes back after a delete begins a new life", () => {
  const { machine, log } = start();
  log.apply(put("a", "1"));
  assert.deepEqual(log.apply(encodeDelete({ key: "a" })), {
    kind: "deleted",
    deleted: 1,
    revision: 2,
  });
  assert.equal(machine.get("a"), undefined);
  assert.deepEqual(log.apply(put("a", "2")), {
    kind: "put",
    revision: 3,
    createRevision: 3,
    version: 1,
  });
});

test("deleting an absent key changes nothing", () => {
  const { machine, log } = start();
  log.apply(put("a", "1"));
  assert.deepEqual(log.apply(encodeDelete({ key: "b", wantPrevious: true })), {
    kind: "deleted",
    deleted: 0,
    revision: 1,
  });
  assert.equal(machine.revision, 1);
});

test("the record before is part of the answer when it is asked for", () => {
  const { log } = start();
  const request = { key: "a", value: bytes("1"), type: "binary", wantPrevious: true } as const;
  const first = log.apply(encodePut(request));
  assert.ok(first.kind === "put" && "previous" in first && first.previous === undefined);
  const second = log.apply(encodePut({ ...request, value: bytes("2") }));
  const before = new StoredRecord("1", "binary", 1, 1, 1, 0, 0).copy();
  assert.deepEqual(second, {
    kind: "put",
    revision: 2,
    createRevision: 1,
    version: 2,
    previous: before,
  });
  const third = log.apply(encodeDelete({ key: "a", wantPrevious: true }));
  assert.ok(third.kind === "deleted" && third.previous?.value === "2");
});

test("a condition that does not hold changes nothing and shows the current record", () => {
  const { machine, log } = start();
  const value = bytes("new");
  const missing: KvResult = { kind: "condition-failed", revision: 0, current: undefined };
  for (const condition of [{ kind: "exists" }, { kind: "revision", revision: 1 }] as const) {
    assert.deepEqual(log.apply(encodePut({ key: "a", value, type: "text", condition })), missing);
    assert.deepEqual(log.apply(encodeDelete({ key: "a", condition })), missing);
  }
  log.apply(put("a", "old"));
  const current = machine.get("a");
  const failed: KvResult = { kind: "condition-failed", revision: 1, current };
  for (const condition of [{ kind: "absent" }, { kind: "revision", revision: 2 }] as const) {
    assert.deepEqual(log.apply(encodePut({ key: "a", value, type: "text", condition })), failed);
    assert.deepEqual(log.apply(encodeDelete({ key: "a", condition })), failed);
  }
  assert.deepEqual(machine.get("a"), current);
});

test("a condition that holds lets the write through", () => {
  const { machine, log } = start();
  const value = bytes("v");
  const kinds: string[] = [];
  for (const condition of [
    { kind: "absent" },
    { kind: "revision", revision: 1 },
    { kind: "exists" },
  ] as const) {
    kinds.push(log.apply(encodePut({ key: "a", value, type: "text", condition })).kind);
  }
  const condition = { kind: "revision", revision: 3 } as const;
  kinds.push(log.apply(encodeDelete({ key: "a", condition })).kind);
  assert.deepEqual(kinds, ["put", "put", "put", "deleted"]);
  assert.equal(machine.revision, 4);
});

test("a list is in UTF-8 order and pages by count and by bytes", () => {
  const { machine, log } = start();
  const texts = ["__proto__", "a", "a/b", "constructor", "é", "\uff5e", "😀"];
  for (const text of texts.toReversed()) log.apply(put(text, "1234"));
  const keysOf = (start: string, end: string | undefined, limit: number, bytesMax = 1e6) => {
    const { items, next } = machine.list({ start, end, limit, bytesMax });
    const keys = items.map(({ key }) => Buffer.from(key, "latin1").toString());
    return { keys, next: next === undefined ? undefined : Buffer.from(next, "latin1").toString() };
  };
  assert.deepEqual(keysOf("", undefined, 100), { keys: texts, next: undefined });
  assert.deepEqual(keysOf("", undefined, 2), { keys: ["__proto__", "a"], next: "a/b" });
  assert.deepEqual(keysOf("a", "b", 2), { keys: ["a", "a/b"], next: undefined });
  assert.deepEqual(keysOf("a", "b", 1), { keys: ["a"], next: "a/b" });
  // "a" and its value are 5 bytes, "a/b" and its value 7.
  assert.deepEqual(keysOf("a", undefined, 9, 12), { keys: ["a", "a/b"], next: "constructor" });
  assert.deepEqual(keysOf("a", undefined, 9, 11), { keys: ["a"], next: "a/b" });
  assert.deepEqual(keysOf("a", undefined, 9, 0), { keys: ["a"], next: "a/b" });
  assert.equal(Object.hasOwn({}, "a"), false);
});

test("values come back byte for byte, empty, large and with every byte", () => {
  const { machine, log } = start();
  const all = Uint8Array.from({ length: 256 }, (_, n) => n);
  const large = Buffer.alloc(1024 * 1024, 0xe9);
  for (const value of [new Uint8Array(0), all, large]) {
    log.apply(encodePut({ key: "k", value, type: "binary" }));
    const stored = machine.get("k");
    assert.ok(stored !== undefined);
    assert.ok(Buffer.from(stored.value, "latin1").equals(value));
  }
});

test("a stored value does not change with the buffer it came in", () => {
  const { machine, log } = start();
  const data = put("key", "value");
  log.apply(data);
  data.fill(0);
  assert.equal(machine.get("key")?.value, "value");
});

test("malformed bytes are an answer, a foreign command is not", () => {
  const { machine, log } = start();
  assert.deepEqual(log.apply(new Uint8Array(0)), { kind: "malformed" });
  assert.deepEqual(log.apply(put("a", "1").subarray(0, 40)), { kind: "malformed" });
  assert.equal(machine.revision, 0);
  const foreign = Buffer.from(put("a", "1"));
  foreign.writeUInt8(9, 0);
  assert.throws(() => log.apply(foreign), UnsupportedCommandError);
});

test("every command entry is answered once and in order, other entries never", () => {
  const { machine } = start();
  const base = { group: 0, term: 1, time: 1 };
  const configuration = { members: [] };
  const answered: number[] = [];
  machine.apply(
    [
      { ...base, type: "noop", index: 1 },
      commandEntry(2, 1, put("a", "1")),
      { ...base, type: "conf-change", index: 3, configuration },
      commandEntry(4, 1, new Uint8Array(0)),
      { ...base, type: "time", index: 5 },
      { ...base, type: "feature-level", index: 6, level: FEATURE_LEVEL_MAX },
      commandEntry(7, 1, put("a", "2")),
    ],
    (entry) => answered.push(entry.index),
  );
  assert.deepEqual(answered, [2, 4, 7]);
  assert.equal(machine.featureLevel, FEATURE_LEVEL_MAX);
});

test("a feature level of a newer build stops the node", () => {
  const { machine } = start();
  const level = FEATURE_LEVEL_MAX + 1;
  assert.throws(
    () =>
      machine.apply(
        [{ type: "feature-level", group: 0, term: 1, index: 1, time: 1, level }],
        () => {},
      ),
    UnsupportedFeatureLevelError,
  );
});
