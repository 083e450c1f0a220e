import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SeededRandom } from "../../raft/index.ts";
import { formatHistory } from "./history.ts";
import { plantStaleRead } from "./planted-faults.ts";
import { RANDOM_HISTORY_DEFAULTS, randomHistory } from "./random-history.ts";

const VERIFY = fileURLToPath(new URL("./verify.ts", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "raft-kv-history-"));
after(() => rmSync(directory, { recursive: true }));

const history = randomHistory(new SeededRandom(5), RANDOM_HISTORY_DEFAULTS);

function verify(name: string, text: string, ...flags: readonly string[]) {
  const path = join(directory, name);
  writeFileSync(path, text);
  const args = ["--import", "tsx", VERIFY, path, ...flags];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("a good file ends with 0 and its measure", () => {
  const { status, stdout } = verify("good.jsonl", formatHistory(history));
  assert.equal(status, 0);
  const measure =
    /^linearizable: 400 operations on 4 keys, 4 parts, \d+ steps\nchecked in [\d.]+ s$/mu;
  assert.match(stdout, measure);
});

test("a stale read ends with 1 and shows the operations around it", () => {
  const stale = plantStaleRead(new SeededRandom(1), history);
  assert.ok(stale !== undefined);
  const { read, output } = stale;
  const bad = history.map((each) => (each === read ? { ...read, output } : each));
  const { status, stdout } = verify("stale.jsonl", formatHistory(bad));
  assert.equal(status, 1);
  assert.match(stdout, /^NOT LINEARIZABLE: 400 operations/u);
  assert.match(stdout, new RegExp(`explains this answer:\n {2}\\[${read.callOrder} \\.\\.`, "u"));
  assert.ok(stdout.split("\n").length < 80, stdout);
});

test("an undecided check, a bad file and bad arguments end with 2", () => {
  const undecided = verify("good.jsonl", formatHistory(history), "--steps", "10");
  assert.equal(undecided.status, 2);
  assert.match(undecided.stdout, /^UNDECIDED/u);
  const torn = verify("torn.jsonl", formatHistory(history).slice(0, -20));
  assert.equal(torn.status, 2);
  assert.match(torn.stderr, /^line 401: the file is cut short\n$/u);
  assert.equal(verify("good.jsonl", "", "--stepz", "10").status, 2);
});
