/**
 * Seeded random requests, whole and damaged, over raw sockets. Whatever arrives, the server stays
 * up, blames no one with a 500, and changes its state only for writes that it also answers as such.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { type Fixture, openSocket, parseResponses, startFixture } from "./testing/http-fixture.ts";

const SEED = 20_250_101;
const ROUNDS = 800;

let fixture: Fixture;
before(async () => {
  fixture = await startFixture({ valueBytesMax: 200 });
});
after(() => fixture.close());

const METHODS = ["GET", "PUT", "PUT", "PUT", "DELETE", "POST", "HEAD", "OPTIONS", "TRACE", "FOO"];
const PATHS = [
  "/v1/kv/a",
  "/v1/kv/a/../b",
  "/v1/kv/%00%FF",
  "/v1/kv/%",
  "/v1/kv/a\\b",
  "/v1/kv",
  "/v1/kv/",
  "/v1/sessions",
  "/v1/sessions/x",
  "/v1/status",
  "/",
  "*",
  "http://localhost/v1/kv/a",
  "/v1/../../etc/passwd",
];
const QUERIES = [
  "",
  "",
  "",
  "?",
  "?prev=true",
  "?raw",
  "?key=b",
  "?key=",
  "?prefix=&limit=2",
  "?limit=x",
  "?cursor=AQAAAWE",
  "?consistency=stale&minRevision=1",
  "?__proto__=1",
  "?a=%ff%",
];
const HEADERS = [
  'If-Match: "1"',
  "If-Match: *",
  "If-None-Match: *",
  "Session: s-1-1;1;1",
  "Session: ;;",
  "Content-Type: application/json",
  "Content-Type: text/html",
  "Content-Encoding: gzip",
  "Accept: application/octet-stream",
  "Expect: 100-continue",
  "Upgrade: h2c",
  "Origin: http://evil.example",
  "Host: evil.example",
  "Transfer-Encoding: chunked",
  "Content-Length: 3",
  "Connection: close",
  "__proto__: x",
  "X: a\r\n b",
];
const BODIES = ["", "x", '{"a":1}', "3\r\nabc\r\n0\r\n\r\n", "y".repeat(150), "z".repeat(300)];

function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  assert(item !== undefined);
  return item;
}

function randomRequest(random: SeededRandom): string {
  const lines = [
    `${pick(random, METHODS)} ${pick(random, PATHS)}${pick(random, QUERIES)} HTTP/1.1`,
  ];
  if (random.below(20) > 0) lines.push("Host: localhost");
  for (let count = random.below(3); count > 0; count--) lines.push(pick(random, HEADERS));
  const body = pick(random, BODIES);
  if (random.below(10) > 0) lines.push(`Content-Length: ${body.length}`);
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** Flips, drops, doubles or cuts a few bytes. */
function damage(random: SeededRandom, text: string): string {
  let damaged = text;
  for (let count = random.below(4); count > 0; count--) {
    const at = random.below(damaged.length + 1);
    const head = damaged.slice(0, at);
    switch (random.below(4)) {
      case 0:
        damaged = head + String.fromCharCode(random.below(256)) + damaged.slice(at + 1);
        break;
      case 1:
        damaged = head + damaged.slice(at + 1 + random.below(4));
        break;
      case 2:
        damaged = head + damaged.slice(Math.max(0, at - random.below(9)));
        break;
      default:
        if (random.below(4) === 0) damaged = head;
    }
  }
  return damaged;
}

/** Sends in random pieces, half-closes, and takes all that comes back. */
async function send(random: SeededRandom, bytes: string): Promise<string> {
  const socket = await openSocket(fixture.port);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const cut = random.below(bytes.length + 1);
  socket.setNoDelay(true);
  socket.write(bytes.slice(0, cut), "latin1");
  await new Promise((next) => setImmediate(next));
  socket.end(bytes.slice(cut), "latin1");
  await closed;
  return Buffer.concat(chunks).toString("latin1");
}

/** Answers that a write can get only after it was submitted. */
const AFTER_SUBMIT = new Set([200, 201, 409, 410, 412]);

/** Bodies of HEAD answers are missing, so only status lines are looked at here. */
function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}

test(`${ROUNDS} random exchanges leave the server unharmed`, async () => {
  const random = new SeededRandom(SEED);
  const { gateway, errors } = fixture;
  const seen = new Map<number, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const context = `seed ${SEED}, round ${round}`;
    let bytes = "";
    const requests = 1 + random.below(3);
    for (let count = 0; count < requests; count++) bytes += randomRequest(random);
    const isDamaged = random.below(2) === 0;
    if (isDamaged) bytes = damage(random, bytes);

    const submitted = gateway.submitted;
    const { revision } = gateway.reader;
    const answers = statuses(await send(random, bytes));
    for (const status of answers) {
      assert(status < 500 && status >= 100, `${context}: ${status} for ${JSON.stringify(bytes)}`);
      seen.set(status, (seen.get(status) ?? 0) + 1);
    }
    assert.deepEqual(errors, [], context);
    const accepted = answers.filter((status) => AFTER_SUBMIT.has(status)).length;
    // The last write of a connection that breaks may be applied without an answer.
    assert(gateway.submitted - submitted <= accepted + 1, context);
    const final = answers.filter((status) => status !== 100).length;
    if (!isDamaged && final === requests && accepted === 0) {
      assert.equal(gateway.reader.revision, revision, context);
    }
  }
  // The exchanges were worth something: they reached the store, and were refused in many ways.
  for (const status of [200, 400, 403, 404, 405, 412, 413, 415, 421]) {
    assert(seen.has(status), `no ${status} among ${[...seen.keys()]}`);
  }
});

test("random bytes are not HTTP, and nothing happens", async () => {
  const random = new SeededRandom(SEED);
  const { submitted } = fixture.gateway;
  for (let round = 0; round < 150; round++) {
    const length = 1 + random.below(400);
    const bytes = Array.from({ length }, () => String.fromCharCode(random.below(256))).join("");
    const context = `seed ${SEED}, round ${round}`;
    for (const { status } of parseResponses(await send(random, bytes))) {
      assert.equal(status, 400, context);
    }
  }
  assert.equal(fixture.gateway.submitted, submitted);
  assert.deepEqual(fixture.errors, []);
});
