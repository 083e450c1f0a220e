import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionLimits } from "./connection-limits.ts";

test("an address beyond this machine has only so many connections, and gets more as some end", () => {
  const limits = new ConnectionLimits({ inAll: 10, perAddress: 2 });
  assert.equal(limits.take("10.0.0.1"), undefined);
  assert.equal(limits.take("10.0.0.1"), undefined);
  assert.match(limits.take("10.0.0.1") ?? "", /at most 2 connections from one address/u);
  assert.equal(limits.take("10.0.0.2"), undefined);
  limits.release("10.0.0.1");
  assert.equal(limits.take("10.0.0.1"), undefined);
  assert.notEqual(limits.take("10.0.0.1"), undefined);
});

test("this machine is counted with all, not by its address", () => {
  for (const address of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]) {
    const limits = new ConnectionLimits({ inAll: 4, perAddress: 2 });
    for (let count = 0; count < 4; count += 1) assert.equal(limits.take(address), undefined);
    assert.match(limits.take(address) ?? "", /at most 4 connections at a time/u, address);
    assert.notEqual(limits.take("10.0.0.1"), undefined);
    limits.release(address);
    assert.equal(limits.take("10.0.0.1"), undefined);
  }
});
