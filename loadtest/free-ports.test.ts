import assert from "node:assert/strict";
import { test } from "node:test";
import { freePorts, PORT_MIN } from "./free-ports.ts";

/** The highest of the ports that the Fetch standard calls bad, and that the clients can not ask. */
const HIGHEST_BAD_PORT = 10_080;

test("fetch can ask every port that is given out", async () => {
  const isBadPort = (error: unknown) =>
    error instanceof TypeError &&
    error.cause instanceof Error &&
    error.cause.message === "bad port";
  await assert.rejects(fetch(`http://127.0.0.1:${HIGHEST_BAD_PORT}/`), isBadPort);
  assert.ok(PORT_MIN > HIGHEST_BAD_PORT, `ports begin at ${PORT_MIN}`);
  for (const port of await freePorts(9)) assert.ok(port >= PORT_MIN, `port ${port}`);
});
