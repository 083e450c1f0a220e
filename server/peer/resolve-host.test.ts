import assert from "node:assert/strict";
import { test } from "node:test";
import { HostResolver } from "./resolve-host.ts";
import { HandTickedClock } from "./testing/loopback.ts";

test("localhost is both loopback addresses, without asking anybody", async () => {
  const resolver = new HostResolver(new HandTickedClock());
  const all = await new Promise((resolve) => {
    resolver.lookup("localhost", { all: true }, (_error, addresses) => resolve(addresses));
  });
  assert.deepEqual(all, [
    { address: "127.0.0.1", family: 4 },
    { address: "::1", family: 6 },
  ]);
  const one = await new Promise((resolve) => {
    resolver.lookup("localhost", {}, (_error, address, family) => resolve([address, family]));
  });
  assert.deepEqual(one, ["127.0.0.1", 4]);
  resolver.close();
});
