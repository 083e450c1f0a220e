import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const LATE_NODE = fileURLToPath(new URL("testing/late-node.ts", import.meta.url));

test("a node notices that its supervisor went while it was still loading", async () => {
  const node = fork(LATE_NODE, { execArgv: ["--import", "tsx"] });
  const exited = once(node, "exit");
  await once(node, "message");
  node.disconnect();
  assert.deepEqual(await exited, [7, null]);
});
