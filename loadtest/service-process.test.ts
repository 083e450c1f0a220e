import assert from "node:assert/strict";
import { test } from "node:test";
import { describeExit, ServiceProcess } from "./service-process.ts";

test("a process that could not be started does not count as running", async () => {
  const { execPath } = process;
  process.execPath = "/nowhere/node";
  const service = new ServiceProcess({ name: "ghost", script: "ghost.js", args: [] });
  process.execPath = execPath;
  await service.exited;
  assert.equal(service.isRunning, false);
  assert.ok(service.exit !== undefined);
  assert.equal(describeExit(service.exit), "could not be started");
  assert.match(service.lastWords(), /ENOENT/);
});
