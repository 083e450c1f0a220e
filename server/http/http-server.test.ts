import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { SystemClock } from "../clock.ts";
import { createApp, createHttpServer, HTTP_TIMEOUTS } from "./index.ts";
import {
  errorCode,
  exchange,
  type Fixture,
  type FixtureOptions,
  openSocket,
  parseResponses,
  request,
  startFixture,
} from "./testing/http-fixture.ts";

async function withFixture(
  options: FixtureOptions,
  run: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  const fixture = await startFixture(options);
  try {
    await run(fixture);
    assert.deepEqual(fixture.errors, []);
  } finally {
    await fixture.close();
  }
}

function put(key: string, value: string, headers = ""): string {
  return (
    `PUT /v1/kv/${key} HTTP/1.1\r\nHost: localhost\r\n${headers}` +
    `Content-Length: ${value.length}\r\n\r\n${value}`
  );
}

function get(path: string, headers = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
}

const CLOSE = "Connection: close\r\n";

/** All that `socket` receives until it is closed. */
async function received(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

function drained(fixture: Fixture, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => fixture.server.drain(deadlineMs, resolve));
}

/** Resolves when the gateway has this many writes, asked once per turn of the event loop. */
async function submitted(fixture: Fixture, count: number): Promise<void> {
  while (fixture.gateway.submitted < count) await new Promise((next) => setImmediate(next));
}

test("pipelined requests run one after the other, each seeing the one before", async () => {
  await withFixture({}, async ({ port }) => {
    const requests =
      put("p", "1") +
      get("/v1/kv/p?raw&consistency=stale") +
      put("p", "22") +
      get("/v1/kv/p?raw&consistency=stale") +
      get("/v1/kv/p?raw", CLOSE);
    const responses = parseResponses(await exchange(port, requests));
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    );
    assert.deepEqual(
      [1, 3, 4].map((index) => responses[index]?.body),
      ["1", "22", "22"],
    );
  });
});

test("a pipelined request waits while the one before is not answered", async () => {
  await withFixture({}, async (fixture) => {
    fixture.gateway.isHolding = true;
    const socket = await openSocket(fixture.port);
    const text = received(socket);
    socket.write(put("p", "1") + put("p", "2", CLOSE));
    await submitted(fixture, 1);
    await new Promise((next) => setImmediate(next));
    assert.equal(fixture.gateway.submitted, 1);
    fixture.gateway.release();
    await submitted(fixture, 2);
    fixture.gateway.release();
    assert.equal(parseResponses(await text).length, 2);
  });
});

test("a connection that pipelines without end is cut off", async () => {
  await withFixture({}, async (fixture) => {
    fixture.gateway.isHolding = true;
    const socket = await openSocket(fixture.port);
    const text = received(socket);
    socket.write(put("p", "1") + get("/livez").repeat(1_000));
    assert.equal(await text, "");
    assert.equal((await request(fixture.port, "GET /livez")).status, 200);
  });
});

test("nothing runs behind a refusal that closes the connection", async () => {
  await withFixture({ valueBytesMax: 10 }, async ({ port, gateway }) => {
    const responses = parseResponses(
      await exchange(port, put("a", "x".repeat(11)) + put("b", "x")),
    );
    assert.deepEqual(
      responses.map(({ status }) => status),
      [413],
    );
    assert.equal(gateway.submitted, 0);
  });
});

test("a refusal whose body is whole keeps the connection", async () => {
  await withFixture({}, async ({ port }) => {
    const bad = put("%zz", "x") + put("a?y", "x") + put("a", "x", "Content-Encoding: br\r\n");
    const responses = parseResponses(await exchange(port, bad + put("a", "x", CLOSE)));
    assert.deepEqual(
      responses.map(({ status }) => status),
      [400, 400, 415, 200],
    );
  });
});

test("a client that half-closes still gets its answer", async () => {
  await withFixture({}, async (fixture) => {
    fixture.gateway.isHolding = true;
    const socket = await openSocket(fixture.port);
    const text = received(socket);
    socket.end(put("a", "x"));
    await submitted(fixture, 1);
    fixture.gateway.release();
    const [response] = parseResponses(await text);
    assert.equal(response?.status, 200);
  });
});

test("all addresses together have only so many connections, and the next one is told", async () => {
  await withFixture({ socketsMax: 1 }, async ({ port, gateway }) => {
    const socket = await openSocket(port);
    socket.write(get("/livez"));
    await once(socket, "data");
    const refused = await request(port, "PUT /v1/kv/a", [], "x");
    assert.deepEqual([refused.status, errorCode(refused)], [503, "TOO_MANY_CONNECTIONS"]);
    assert.equal(refused.headers.get("connection"), "close");
    assert.equal(gateway.submitted, 0, "what is sent on such a connection is not run");
    const closed = once(socket, "close");
    socket.write(get("/livez", CLOSE));
    socket.resume();
    await closed;
    // The server hears of it a moment later.
    let status = 503;
    while (status === 503) ({ status } = await request(port, "GET /livez"));
    assert.equal(status, 200);
  });
});

test("a server that may be reached from anywhere answers to any Host but not to nonsense", async () => {
  await withFixture({ bindAddress: "0.0.0.0" }, async ({ port }) => {
    const named = await exchange(port, `GET /livez HTTP/1.1\r\nHost: kv.example\r\n${CLOSE}\r\n`);
    assert.match(named, /^HTTP\/1\.1 200 /);
    for (const host of ["a b", "[::", "a@b", "a:99999999", "%41", "a/b"]) {
      const text = await exchange(port, `GET /livez HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}\r\n`);
      assert.match(text, /^HTTP\/1\.1 400 /, host);
    }
  });
});

test("a name that is configured is answered to", async () => {
  await withFixture({ allowedHosts: ["KV.example"] }, async ({ port }) => {
    const text = await exchange(port, `GET /livez HTTP/1.1\r\nHost: kv.EXAMPLE:80\r\n${CLOSE}\r\n`);
    assert.match(text, /^HTTP\/1\.1 200 /);
  });
});

test("a drain answers what is in flight, closes what is idle, and takes nothing new", async () => {
  const fixture = await startFixture();
  const { gateway, port } = fixture;
  const silent = await openSocket(port);
  const idle = await openSocket(port);
  idle.write(get("/livez"));
  await once(idle, "data");
  gateway.isHolding = true;
  const busy = await openSocket(port);
  const answer = received(busy);
  busy.write(put("a", "x"));
  await submitted(fixture, 1);

  const closed = Promise.all([once(silent.resume(), "close"), once(idle.resume(), "close")]);
  const done = drained(fixture, 60_000);
  await closed;
  assert.equal(await exchange(port, get("/livez")), "");
  gateway.release();
  const [response] = parseResponses(await answer);
  assert.equal(response?.status, 200);
  assert.equal(response?.headers.get("connection"), "close");
  await done;
});

test("a drain cuts off at its deadline what is still not answered", async () => {
  const fixture = await startFixture();
  fixture.gateway.isHolding = true;
  const busy = await openSocket(fixture.port);
  const answer = received(busy);
  busy.write(put("a", "x"));
  await submitted(fixture, 1);
  await drained(fixture, 10);
  assert.equal(await answer, "");
  fixture.gateway.release();
});

test("a client that does not read its answer is let go", async () => {
  const fixture = await startFixture({ timeouts: { ...HTTP_TIMEOUTS, stalledMs: 100 } });
  // Six characters of JSON for each byte: far more than socket buffers take in.
  for (const key of ["a", "b", "c"]) {
    await request(fixture.port, `PUT /v1/kv/${key}`, [], "\u0001".repeat(1_000_000));
  }
  const deaf = await openSocket(fixture.port);
  deaf.pause();
  deaf.write(get("/v1/kv?consistency=stale"));
  await once(deaf, "readable");
  await drained(fixture, 600_000);
  deaf.destroy();
});

test("a port in use is reported", async () => {
  await withFixture({}, async ({ gateway, port }) => {
    const logger = { error: () => {} };
    const app = createApp({ gateway, logger, version: "0.0.0" });
    const second = createHttpServer({
      app,
      clock: new SystemClock(),
      logger,
      bindAddress: "127.0.0.1",
    });
    const error = await new Promise((resolve) => second.listen(port, resolve));
    assert(error instanceof Error);
    assert.equal(Reflect.get(error, "code"), "EADDRINUSE");
  });
});
