/**
 * The whole lab in virtual time, a few seeds of each test; run.ts has more of them, and runs the
 * same scripts on real processes.
 *
 * LAB_SEEDS=n runs that many, LAB_FROM=n starts there.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LAB_TESTS } from "./catalogue.ts";
import { replayCommand, runVirtual } from "./run-test.ts";

const SEEDS = Number(process.env["LAB_SEEDS"] ?? 5);
const FROM = Number(process.env["LAB_FROM"] ?? 1);
const RAFT_TESTS = 28;
const KV_TESTS = 23;

test("the lab is complete, and every test has a name of its own", () => {
  const count = (part: string) => LAB_TESTS.filter((one) => one.part === part).length;
  assert.equal(count("Raft"), RAFT_TESTS);
  assert.equal(count("KV"), KV_TESTS);
  assert.equal(new Set(LAB_TESTS.map(({ name }) => name)).size, LAB_TESTS.length);
});

for (const one of LAB_TESTS) {
  test(`${one.part} ${one.name}: ${one.title}`, async () => {
    for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
      const result = await runVirtual(one, seed);
      if (result.failure === undefined) continue;
      const { failure } = result;
      assert.fail(`seed ${seed}: ${failure.stack}\nreplay: ${replayCommand(result, "virtual")}`);
    }
  });
}

test("two runs of one seed are the same, event for event, and a trace changes nothing", async () => {
  for (const name of ["Figure8Unreliable", "SnapshotUnreliableRecoverConcurrentPartition3B"]) {
    const one = LAB_TESTS.find((each) => each.name === name);
    assert.ok(one !== undefined);
    const [first, second] = [await runVirtual(one, 3), await runVirtual(one, 3, true)];
    assert.equal(second.hash, first.hash, name);
    assert.equal(second.seconds, first.seconds, name);
    assert.ok(second.lines.length > 100, name);
  }
});
