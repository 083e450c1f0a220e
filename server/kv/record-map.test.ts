import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import type { KvRecord } from "./record.ts";
import { type PinnedRecords, RecordMap } from "./record-map.ts";

type Model = ReadonlyMap<string, KvRecord>;

function sorted(model: Model): [string, KvRecord][] {
  return [...model].sort(([a], [b]) => (a < b ? -1 : 1));
}

function pairsOf(pinned: PinnedRecords): [string, KvRecord][] {
  const pairs: [string, KvRecord][] = [];
  pinned.scan("", undefined, (key, { ...record }) => pairs.push([key, record]) > 0);
  return pairs;
}

function living(records: RecordMap): [string, KvRecord][] {
  const pairs: [string, KvRecord][] = [];
  records.scan("", undefined, (key, record) => pairs.push([key, record.copy()]) > 0);
  return pairs;
}

/** One put or delete, on the map and on what it should be after it. */
function write(records: RecordMap, model: Map<string, KvRecord>, random: SeededRandom, n: number) {
  const key = `k${random.below(60)}`;
  const current = records.find(key);
  assert.deepEqual(current?.copy(), model.get(key));
  if (current !== undefined && random.below(3) === 0) {
    records.delete(key, current);
    model.delete(key);
    return;
  }
  const record = records.put(key, current, String(n), "text", n).copy();
  const { createRevision, version } = model.get(key) ?? { createRevision: n, version: 0 };
  const life = { createRevision, version: version + 1, lease: 0, expiresAt: 0 };
  assert.deepEqual(record, { value: String(n), type: "text", revision: n, ...life });
  model.set(key, record);
}

test("records are what a model says, and pinned ones stay what they were", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = new SeededRandom(seed);
    const records = new RecordMap();
    const model = new Map<string, KvRecord>();
    const pins: { pinned: PinnedRecords; atThatTime: Model }[] = [];
    for (let step = 1; step <= 1_000; step += 1) {
      write(records, model, random, step);
      if (random.below(50) === 0)
        pins.push({ pinned: records.pin(step), atThatTime: new Map(model) });
      if (random.below(60) === 0) {
        const [oldest] = pins.splice(0, 1);
        if (oldest === undefined) continue;
        assert.equal(oldest.pinned.size, oldest.atThatTime.size, `seed ${seed}`);
        assert.deepEqual(pairsOf(oldest.pinned), sorted(oldest.atThatTime), `seed ${seed}`);
        records.unpin(oldest.pinned);
      }
    }
    for (const { pinned, atThatTime } of pins) {
      assert.deepEqual(pairsOf(pinned), sorted(atThatTime), `seed ${seed}`);
    }
    assert.deepEqual(living(records), sorted(model), `seed ${seed}`);
    assert.equal(records.size, model.size);
  }
});

test("writes go on while a pinned state is being read", () => {
  const random = new SeededRandom(1);
  const records = new RecordMap();
  const model = new Map<string, KvRecord>();
  for (let step = 1; step <= 500; step += 1) write(records, model, random, step);
  const before = sorted(model);
  const pinned = records.pin(500);
  const seen: [string, KvRecord][] = [];
  let step = 501;
  for (let next: string | undefined = ""; next !== undefined; ) {
    const from: string = next;
    next = undefined;
    pinned.scan(from, undefined, (key, record) => {
      if (key > from && seen.length % 3 === 0) next = key;
      else seen.push([key, { ...record }]);
      return next === undefined;
    });
    for (const end = step + 15; step < end; step += 1) write(records, model, random, step);
  }
  assert.deepEqual(seen, before);
});

test("a pin keeps what changes of its own state, and nothing that came later", () => {
  const records = new RecordMap();
  records.put("old", undefined, "1", "text", 1);
  const pinned = records.pin(1);
  for (let revision = 2; revision < 100; revision += 1) {
    records.put("old", records.find("old"), String(revision), "text", revision);
    const passing = records.put("new", undefined, "1", "text", revision);
    records.delete("new", passing);
  }
  assert.equal(pinned.kept, 1);
  assert.deepEqual(
    pairsOf(pinned).map(([key, { value }]) => [key, value]),
    [["old", "1"]],
  );
});

test("what was not pinned can not be given back", () => {
  const records = new RecordMap();
  const pinned = records.pin(0);
  records.unpin(pinned);
  assert.throws(() => records.unpin(pinned), /pinned/);
});
