/** What a key costs, measured in a process of its own, where the collector can be called. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const OVERHEAD_BYTES_MAX = 300;

test("a small key costs at most 300 bytes of heap over its key and value", () => {
  const script = fileURLToPath(new URL("testing/measure-memory.ts", import.meta.url));
  const flags = ["--expose-gc", "--import", "tsx"];
  const output = execFileSync(process.execPath, [...flags, script, "200000"], { encoding: "utf8" });
  const report: unknown = JSON.parse(output);
  assert(typeof report === "object" && report !== null);
  assert("overheadBytes" in report && "overheadRestoredBytes" in report);
  const { overheadBytes, overheadRestoredBytes } = report;
  assert(typeof overheadBytes === "number" && typeof overheadRestoredBytes === "number");
  assert.ok(overheadBytes > 50 && overheadBytes <= OVERHEAD_BYTES_MAX, output);
  assert.ok(overheadRestoredBytes > 50 && overheadRestoredBytes <= OVERHEAD_BYTES_MAX, output);
});
