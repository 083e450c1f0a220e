import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Fixture, openSocket, request, startFixture } from "./testing/http-fixture.ts";

let fixture: Fixture;
before(async () => {
  fixture = await startFixture();
});
after(() => fixture.close());

/** Sends the first bytes of a request, sees them taken in, and resets or closes the connection. */
async function abortAfter(bytes: string, how: "reset" | "close"): Promise<void> {
  const socket = await openSocket(fixture.port);
  socket.resume();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  if (bytes.length > 0) await new Promise((resolve) => socket.write(bytes, "latin1", resolve));
  if (how === "reset") socket.resetAndDestroy();
  else socket.end();
  await closed;
}

for (const [name, head, body] of [
  ["with a length", "Content-Length: 10\r\n", "0123456789"],
  ["in chunks", "Transfer-Encoding: chunked\r\n", "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"],
] as const) {
  test(`a PUT ${name}, cut off after any byte, applies once if whole and else not`, async () => {
    const { gateway } = fixture;
    const bytes = `PUT /v1/kv/cut HTTP/1.1\r\nHost: localhost\r\n${head}\r\n${body}`;
    for (let length = 0; length < bytes.length; length++) {
      const revision = gateway.reader.revision;
      await abortAfter(bytes.slice(0, length), length % 2 === 0 ? "reset" : "close");
      assert.equal(gateway.reader.revision, revision, `after ${length} bytes`);
    }
    const submitted = gateway.submitted;
    await abortAfter(bytes, "close");
    // The request is whole; an answer to someone else shows that the server has got to it.
    assert.equal((await request(fixture.port, "GET /v1/kv/cut?raw")).body, "0123456789");
    assert.equal(gateway.submitted, submitted + 1);
    await request(fixture.port, "DELETE /v1/kv/cut");
    assert.deepEqual(fixture.errors, []);
  });
}

test("an answer that nobody waits for any more goes nowhere, quietly", async () => {
  const { gateway } = fixture;
  gateway.isHolding = true;
  const submitted = gateway.submitted;
  for (let round = 0; round < 20; round++) {
    const bytes = "PUT /v1/kv/left HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    const socket = await openSocket(fixture.port);
    socket.write(bytes);
    while (gateway.submitted <= submitted + round) {
      await new Promise((next) => setImmediate(next));
    }
    socket.resetAndDestroy();
  }
  gateway.isHolding = false;
  gateway.release();
  assert.equal((await request(fixture.port, "GET /v1/kv/left?raw")).body, "x");
  assert.deepEqual(fixture.errors, []);
});
