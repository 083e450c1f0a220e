/**
 * The yardstick: the least a Hono handler can do for the same requests. No store, no peers, no
 * disk; the same adapter, and answers as long as a node's. What a node reaches is told as a share
 * of this, since figures of two machines, or two days, can not be compared.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { keyName } from "./key-space.ts";

export function runYardstick(port: number): void {
  const stamp = { key: keyName(0), revision: 123_456, createRevision: 12_345, version: 12 };
  let value = "";
  const app = new Hono();
  app.put("/v1/kv/:key", async (c) => {
    value = await c.req.text();
    return c.json(stamp);
  });
  app.get("/v1/kv/:key", (c) => c.json({ ...stamp, value, type: "text" }));
  serve({ fetch: app.fetch, hostname: "127.0.0.1", port });
  process.on("disconnect", () => process.exit(0));
}
