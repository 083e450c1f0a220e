/** Bad input, one test per kind: the named answer, no effect, and a server that goes on serving. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { LIMITS } from "../../clients/contract.ts";
import { HTTP_TIMEOUTS } from "./index.ts";
import {
  errorCode,
  exchange,
  type Fixture,
  openSocket,
  parseResponses,
  type RawResponse,
  request,
  startFixture,
} from "./testing/http-fixture.ts";

const TIMEOUTS = { ...HTTP_TIMEOUTS, headersMs: 300, requestMs: 500, checkMs: 50 };

let fixture: Fixture;
let port = 0;
let submittedBefore = 0;
before(async () => {
  fixture = await startFixture({ timeouts: TIMEOUTS, valueBytesMax: 10_000 });
  port = fixture.port;
});
beforeEach(() => {
  submittedBefore = fixture.gateway.submitted;
});
afterEach(async () => {
  assert.equal(fixture.gateway.submitted, submittedBefore, "a refused request has no effect");
  assert.deepEqual(fixture.errors, []);
  assert.equal((await request(port, "GET /livez")).status, 200);
});
after(() => fixture.close());

/** The only answer on a connection, which the server has closed of its own accord. */
async function onlyAnswer(bytes: string): Promise<RawResponse> {
  const responses = parseResponses(await exchange(port, bytes));
  const [response] = responses;
  assert(response !== undefined && responses.length === 1, `${responses.length} answers`);
  return response;
}

async function assertRefused(bytes: string, status: number, code: string): Promise<void> {
  const response = await onlyAnswer(bytes);
  const context = JSON.stringify(bytes.slice(0, 100));
  assert.equal(response.status, status, context);
  assert.equal(errorCode(response), code, context);
  assert.equal(response.headers.get("connection"), "close", context);
  assert.equal(response.headers.get("content-type"), "application/json", context);
  assert.equal(response.headers.get("cache-control"), "no-store", context);
}

const HOST = "Host: localhost\r\n";
const SECOND = `PUT /v1/kv/smuggled HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`;

test("what is not exactly HTTP/1.1 is a 400, and nothing behind it runs", async () => {
  const put = `PUT /v1/kv/a HTTP/1.1\r\n${HOST}`;
  const cases = [
    `${put}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${put}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
    `${put}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`,
    `${put}Content-Length: 1, 1\r\n\r\nx`,
    `${put}Content-Length: -1\r\n\r\n`,
    `${put}Content-Length: +1\r\n\r\nx`,
    `${put}Content-Length: 0x1\r\n\r\nx`,
    `${put}Content-Length: 99999999999999999999\r\n\r\nx`,
    `${put}Transfer-Encoding: gzip\r\n\r\nx`,
    `${put}Transfer-Encoding: chunked, gzip\r\n\r\nx`,
    `${put}X: a\r\n b\r\nContent-Length: 1\r\n\r\nx`,
    `${put}X : a\r\nContent-Length: 1\r\n\r\nx`,
    `PUT /v1/kv/a HTTP/1.1\n${HOST}\n`,
    `${put}X: a\nContent-Length: 1\r\n\r\nx`,
    `${put}X: a\u0000b\r\n\r\n`,
    `${put}X: a\rb\r\n\r\n`,
    `${put}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    `${put}Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n`,
    `${put}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n`,
    `${put}Transfer-Encoding: chunked\r\n\r\n1;${"e".repeat(1_000_000)}\r\nx\r\n0\r\n\r\n`,
    "PUT /v1/kv/a HTTP/9.9\r\n\r\n",
    "PUT /v1/kv/a b HTTP/1.1\r\n\r\n",
    "PUT\r\n\r\n",
    "put /v1/kv/a HTTP/1.1\r\n\r\n",
    "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET /v1/kv/\u00e9 HTTP/1.1\r\n\r\n",
    `CONNECT localhost:22 HTTP/1.1\r\n${HOST}\r\n`,
  ];
  await Promise.all(cases.map((bytes) => assertRefused(`${bytes}${SECOND}`, 400, "BAD_REQUEST")));
});

test("a body that says it is over the limit is refused before it is read", async () => {
  const head = `PUT /v1/kv/a HTTP/1.1\r\n${HOST}Content-Length: 10001\r\n`;
  await assertRefused(`${head}\r\n`, 413, "BODY_TOO_LARGE");
  await assertRefused(`${head}\r\n${"x".repeat(10_001)}${SECOND}`, 413, "BODY_TOO_LARGE");
  const expecting = await exchange(port, `${head}Expect: 100-continue\r\n\r\n`);
  assert.match(expecting, /^HTTP\/1\.1 413 /);
});

test("a chunked body is counted while it arrives", async () => {
  const head = `PUT /v1/kv/a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;
  const chunk = `3e8\r\n${"x".repeat(1_000)}\r\n`;
  await assertRefused(`${head}${chunk.repeat(11)}0\r\n\r\n${SECOND}`, 413, "BODY_TOO_LARGE");
  await assertRefused(`${head}${chunk.repeat(11)}`, 413, "BODY_TOO_LARGE");
});

test("a body of exactly the limit is taken, chunked or not", async () => {
  const full = await request(port, "PUT /v1/kv/full", [], "x".repeat(10_000));
  assert.equal(full.status, 200);
  const chunked = await onlyAnswer(
    `PUT /v1/kv/full HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n` +
      `1388\r\n${"x".repeat(5_000)}\r\n1388\r\n${"y".repeat(5_000)}\r\n0\r\n\r\n`,
  );
  assert.equal(chunked.status, 200);
  assert.equal(
    (await request(port, "GET /v1/kv/full?raw")).body,
    "x".repeat(5_000) + "y".repeat(5_000),
  );
  submittedBefore += 2;
});

test("100 Continue comes only to those whose body is wanted", async () => {
  const head = `HTTP/1.1\r\n${HOST}Content-Length: 1\r\nExpect: 100-continue\r\nConnection: close\r\n`;
  const good = await exchange(port, `PUT /v1/kv/a ${head}\r\nx`);
  assert.match(good, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  submittedBefore += 1;
  for (const bad of ["PUT /v1/kv/%zz", "PUT /v1/kv/a?x=1", "POST /v1/nothing"]) {
    const text = await exchange(port, `${bad} ${head}\r\n`);
    assert.match(text, /^HTTP\/1\.1 40[04] /, bad);
  }
  const other = `PUT /v1/kv/a HTTP/1.1\r\n${HOST}Expect: cake\r\nContent-Length: 1\r\n\r\nx`;
  await assertRefused(other, 400, "BAD_REQUEST");
});

test("compressed bodies are not taken, and never inflated", async () => {
  for (const encoding of ["gzip", "br", "deflate", "zstd", "gzip, identity"]) {
    const response = await request(port, "PUT /v1/kv/a", [`Content-Encoding: ${encoding}`], "x");
    assert.equal(response.status, 415, encoding);
    assert.equal(errorCode(response), "UNSUPPORTED_ENCODING");
  }
});

test("too much of URL or headers", async () => {
  const long = "a".repeat(LIMITS.urlBytesMax + 1);
  await assertRefused(`GET /${long} HTTP/1.1\r\n${HOST}\r\n`, 414, "URL_TOO_LONG");
  await assertRefused(`GET /${long.repeat(3)} HTTP/1.1\r\n${HOST}\r\n`, 414, "URL_TOO_LONG");
  const header = `X: ${"a".repeat(LIMITS.headerBytesMax)}\r\n`;
  const code = "HEADERS_TOO_LARGE";
  await assertRefused(`GET /livez HTTP/1.1\r\n${HOST}${header}\r\n`, 431, code);
  await assertRefused(`GET /livez HTTP/1.1\r\n${HOST}${header.repeat(9)}\r\n`, 431, code);
  const many = "X: y\r\n".repeat(LIMITS.headersMax);
  await assertRefused(`GET /livez HTTP/1.1\r\n${HOST}${many}\r\n`, 431, code);
});

test("what arrives too slowly is a 408", async () => {
  const cases = [
    "",
    "GET /livez HT",
    `GET /livez HTTP/1.1\r\n${HOST}`,
    `PUT /v1/kv/a HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nx`,
    `PUT /v1/kv/a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n`,
  ];
  await Promise.all(cases.map((bytes) => assertRefused(bytes, 408, "REQUEST_TIMEOUT")));
});

test("an unknown Host is refused on loopback, as is none or two", async () => {
  for (const host of ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "8.8.8.8"]) {
    const text = `GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await assertRefused(text, 421, "UNKNOWN_HOST");
  }
  for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:8001", "127.0.0.9", "[::1]:80"]) {
    const text = `GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    assert.equal((await onlyAnswer(text)).status, 200, host);
  }
  for (const lines of [
    "",
    `${HOST}${HOST}`,
    "Host: \r\n",
    "Host: a b\r\n",
    "Host: u@localhost\r\n",
  ]) {
    const text = `GET /livez HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`;
    await assertRefused(text, 400, "BAD_REQUEST");
  }
  const absolute = `GET http://evil.example/livez HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
  await assertRefused(absolute, 421, "UNKNOWN_HOST");
  const old = await onlyAnswer("GET /livez HTTP/1.0\r\n\r\n");
  assert.equal(old.status, 200);
});

test("a refused Host is not remembered as a good one", async () => {
  const text = "GET /livez HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
  await assertRefused(text, 421, "UNKNOWN_HOST");
  assert.equal((await request(port, "GET /livez")).status, 200);
  await assertRefused(text, 421, "UNKNOWN_HOST");
});

test("other web sites may not write, and get no permission to", async () => {
  const preflight = await request(port, "OPTIONS /v1/kv/a", [
    "Origin: http://evil.example",
    "Access-Control-Request-Method: PUT",
  ]);
  assert.equal(preflight.status, 403);
  const foreign = ["http://evil.example", "http://localhost:1", "null", "file://"];
  for (const origin of foreign) {
    for (const line of ["PUT /v1/kv/a", "DELETE /v1/kv/a", "POST /v1/sessions"]) {
      const response = await request(port, line, [`Origin: ${origin}`], "x");
      assert.equal(response.status, 403, `${line} ${origin}`);
      assert.equal(errorCode(response), "FORBIDDEN");
    }
    const read = await request(port, "GET /livez", [`Origin: ${origin}`]);
    assert.equal(read.status, 200);
    for (const name of read.headers.keys()) assert(!name.startsWith("access-control"), name);
  }
  const same = await request(port, "PUT /v1/kv/a", ["Origin: http://localhost"], "x");
  assert.equal(same.status, 200);
  submittedBefore += 1;
});

test("a form-typed body is bytes like any other", async () => {
  const type = "Content-Type: application/x-www-form-urlencoded";
  assert.equal((await request(port, "PUT /v1/kv/form", [type], "a[b]=1&a[b]=2")).status, 200);
  assert.equal((await request(port, "GET /v1/kv/form?raw")).body, "a[b]=1&a[b]=2");
  submittedBefore += 1;
});

test("Upgrade is ignored: h2c and websockets are served as HTTP/1.1", async () => {
  for (const upgrade of ["h2c", "websocket", "TLS/1.3"]) {
    const headers = [`Upgrade: ${upgrade}`, "HTTP2-Settings: AAMAAABkAAQAAP__"];
    assert.equal((await request(port, "GET /livez", headers)).status, 200, upgrade);
  }
  const put = await request(port, "PUT /v1/kv/up", ["Upgrade: h2c"], "x");
  assert.equal(put.status, 200);
  submittedBefore += 1;
});

test("headers that are traps for JavaScript objects are only headers", async () => {
  const headers = ["__proto__: x", "constructor: y", "toString: z", "hasOwnProperty: w"];
  const put = await request(port, "PUT /v1/kv/__proto__", headers, '{"__proto__":{"a":1}}');
  assert.equal(put.status, 200);
  assert.equal(Reflect.get({}, "a"), undefined);
  submittedBefore += 1;
});

test("a request that waits for its answer never gets the refusal of a later one", async () => {
  const { gateway } = fixture;
  gateway.isHolding = true;
  const socket = await openSocket(port);
  const received: Buffer[] = [];
  socket.on("data", (chunk) => received.push(chunk));
  socket.write(`PUT /v1/kv/held HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`);
  socket.write("this is not HTTP\r\n\r\n");
  await once(socket, "close");
  assert.equal(Buffer.concat(received).toString(), "", "an outcome nobody knows is not a 400");
  gateway.release();
  gateway.isHolding = false;
  submittedBefore += 1;
});
