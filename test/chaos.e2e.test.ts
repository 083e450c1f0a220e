import assert from "node:assert/strict";
import { test } from "node:test";
import { CATALOG } from "./chaos/catalog.ts";
import { runChaos } from "./chaos/run.ts";

test("ten seconds of chaos break no promise", async () => {
  const seed = 4;
  const report = await runChaos({ lastsMs: 10_000, seed, nodes: 3, clients: 6, kinds: CATALOG });
  const where = `seed ${seed}, see ${report.directory}`;
  assert.deepEqual(report.violations, [], where);
  assert.ok(report.acknowledged >= 50, `only ${report.acknowledged} writes, ${where}`);
  const fired = report.episodes.flatMap((episode) => episode.fired);
  assert.ok(
    fired.some((count) => count > 0),
    `no fault did anything, ${where}`,
  );
});
