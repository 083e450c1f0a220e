import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { ByteWriter } from "./byte-writer.ts";
import { type Handshake, handshakeHeaders } from "./handshake.ts";
import { encodeEnvelope } from "./peer-codec.ts";
import { envelope, LoopbackNode } from "./testing/loopback.ts";

const TIMEOUT = { timeout: 10_000 };
const CALL: Handshake = {
  clusterId: "loopback",
  from: 1,
  fromIncarnation: 101,
  fromAddress: "first:7001",
  configurationIndex: 0,
  fresh: false,
  to: 2,
  toIncarnation: 102,
  nonce: "",
};
const node = new LoopbackNode(2);
let calls = 0;

before(() => node.listen());
after(() => node.close());

function headersOf(change: Partial<Handshake> = {}): string[] {
  calls += 1;
  const headers = handshakeHeaders({ ...CALL, nonce: `nonce-${1_000 + calls}`, ...change });
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
}

/** What comes back for bytes exactly as given, until the other end closes. */
function raw(bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: node.port, host: "127.0.0.1" }, () => socket.write(bytes));
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

async function exchange(
  line: string,
  headers: readonly string[],
  body: Buffer = Buffer.alloc(0),
): Promise<string> {
  const head = [`${line} HTTP/1.1`, "host: peer", ...headers, "", ""].join("\r\n");
  return await raw(Buffer.concat([Buffer.from(head, "latin1"), body]));
}

async function verdict(line: string, headers: readonly string[], body?: Buffer): Promise<string> {
  const answer = await exchange(line, [...headers, "connection: close"], body);
  return `${answer.slice(9, 12)} ${/x-raft-refusal: (\w+)/i.exec(answer)?.[1] ?? ""}`.trimEnd();
}

async function upgradeVerdict(line: string, headers: readonly string[]): Promise<string> {
  const answer = await exchange(line, [...headers, "connection: upgrade"]);
  return `${answer.slice(9, 12)} ${/x-raft-refusal: (\w+)/i.exec(answer)?.[1] ?? ""}`.trimEnd();
}

function heartbeats(count: number, from = 1, to = 2): Buffer {
  const writer = new ByteWriter();
  for (let readRound = 0; readRound < count; readRound += 1) {
    encodeEnvelope(writer, envelope(from, to, { kind: "heartbeat", commitIndex: 0, readRound }));
  }
  return Buffer.from(writer.take());
}

async function post(body: Buffer, ...headers: readonly string[]): Promise<string> {
  const all = [...headersOf(), `content-length: ${body.length}`, ...headers];
  return await verdict("POST /raft/messages", all, body);
}

test("client routes and everything else are 404 on the peer port", TIMEOUT, async () => {
  const lines = ["GET /v1/kv/a", "PUT /v1/kv/a", "GET /", "GET /livez", "TRACE /raft/stream"];
  for (const line of [...lines, "GET /raft/messages", "POST /raft/stream", "GET /raft/../raft"]) {
    assert.equal(await verdict(line, headersOf()), "404 NOT_FOUND", line);
  }
  const h2c = ["upgrade: h2c"];
  assert.equal(await upgradeVerdict("GET /v1/status", h2c), "404 NOT_FOUND");
});

test("a stream is opened by an Upgrade to the protocol and nothing else", TIMEOUT, async () => {
  const line = "GET /raft/stream?channel=control";
  assert.equal(await verdict(line, headersOf()), "426 UPGRADE_REQUIRED");
  assert.equal(
    await upgradeVerdict(line, [...headersOf(), "upgrade: h2c"]),
    "426 UPGRADE_REQUIRED",
  );
  const upgrade = "upgrade: raft-kv";
  for (const query of ["", "?channel=", "?channel=other", "?channel=control&x=1"]) {
    const bad = await upgradeVerdict(`GET /raft/stream${query}`, [...headersOf(), upgrade]);
    assert.equal(bad, "400 BAD_CHANNEL", query);
  }
});

test("a handshake that does not fit is refused on every route", TIMEOUT, async () => {
  const refusals: readonly (readonly [Partial<Handshake>, string])[] = [
    [{ clusterId: "other" }, "403 WRONG_CLUSTER"],
    [{ to: 3 }, "403 WRONG_TARGET"],
    [{ toIncarnation: 9 }, "403 WRONG_TARGET"],
    [{ from: 7 }, "403 UNKNOWN_MEMBER"],
    [{ fromIncarnation: 7 }, "403 WRONG_INCARNATION"],
    [{ nonce: "?" }, "400 BAD_HANDSHAKE"],
  ];
  node.membership = ({ id, incarnation }) => {
    if (id !== 1) return "unknown";
    return incarnation === 101 ? "member" : "wrong-incarnation";
  };
  for (const [change, expected] of refusals) {
    const stream = "GET /raft/stream?channel=entries";
    const upgrade = [...headersOf(change), "upgrade: raft-kv"];
    assert.equal(await upgradeVerdict(stream, upgrade), expected);
    for (const line of ["POST /raft/messages", "POST /raft/snapshot"]) {
      const headers = [...headersOf(change), "content-length: 0"];
      assert.equal(await verdict(line, headers), expected, line);
    }
  }
  node.membership = () => "member";
  assert.deepEqual(node.events, []);
});

test("a captured request is refused when it is played again", TIMEOUT, async () => {
  const body = heartbeats(1);
  const headers = [...headersOf(), `content-length: ${body.length}`];
  node.forget();
  assert.equal(await verdict("POST /raft/messages", headers, body), "204");
  assert.equal(await verdict("POST /raft/messages", headers, body), "403 REPLAYED");
  assert.equal(node.messages.length, 1);
});

test("a body of messages is taken whole or not at all", TIMEOUT, async () => {
  node.forget();
  assert.equal(await post(heartbeats(3)), "204");
  assert.equal(node.messages.length, 3);
  node.forget();
  const good = heartbeats(3);
  const damaged = Buffer.from(good);
  damaged[good.length - 1] = (damaged[good.length - 1] ?? 0) ^ 1;
  assert.equal(await post(damaged), "400 PEER_PROTOCOL");
  assert.equal(await post(good.subarray(0, -1)), "400 CUT_SHORT");
  assert.equal(await post(heartbeats(2, 3, 2)), "400 PEER_PROTOCOL");
  assert.equal(await post(heartbeats(2, 1, 3)), "400 PEER_PROTOCOL");
  assert.equal(await post(Buffer.from("not a frame at all")), "400 PEER_PROTOCOL");
  assert.equal(await post(good, "content-encoding: gzip"), "415 UNSUPPORTED_ENCODING");
  assert.deepEqual(node.events, []);
});

test("a body that claims too much is refused before it is read", TIMEOUT, async () => {
  const headers = [...headersOf(), "content-length: 9007199254740991"];
  assert.equal(await verdict("POST /raft/messages", headers), "413 BODY_TOO_LARGE");
  const snapshot = [...headersOf(), "content-length: 9007199254740991"];
  assert.equal(await verdict("POST /raft/snapshot", snapshot), "413 BODY_TOO_LARGE");
  const chunked = [...headersOf(), "transfer-encoding: chunked"];
  assert.equal(await verdict("POST /raft/snapshot", chunked), "411 LENGTH_REQUIRED");
});

test("malformed and oversized requests end with an error of HTTP", TIMEOUT, async () => {
  assert.match(await raw(Buffer.from("nonsense\r\n\r\n")), /^HTTP\/1.1 400 /);
  const large = `x-large: ${"x".repeat(9_000)}`;
  assert.match(await exchange("GET /raft/stream", [large]), /^HTTP\/1.1 431 /);
});

test("a stream that sends nonsense is closed without effect", TIMEOUT, async () => {
  node.forget();
  const headers = [...headersOf(), "upgrade: raft-kv", "connection: upgrade"];
  const body = Buffer.concat([heartbeats(1), Buffer.alloc(64, 0xff)]);
  const answer = await exchange("GET /raft/stream?channel=control", headers, body);
  assert.match(answer, /^HTTP\/1.1 101 /);
  assert.equal(node.messages.length, 1, "what came with the request and was sound is taken");
  const notices = node.events.filter((event) => event.kind === "notice");
  const notice = { kind: "protocol-error", id: 1, reason: "a frame is too long" };
  assert.deepEqual(notices, [{ kind: "notice", notice }]);
});

test("a snapshot announced on a stream is refused: its bytes travel apart", TIMEOUT, async () => {
  const { METADATA } = await import("./testing/memory-snapshots.ts");
  const writer = new ByteWriter();
  encodeEnvelope(writer, envelope(1, 2, { kind: "install-snapshot", metadata: METADATA }));
  node.forget();
  const headers = [...headersOf(), "upgrade: raft-kv", "connection: upgrade"];
  await exchange("GET /raft/stream?channel=entries", headers, writer.take());
  assert.deepEqual(node.messages, []);
});

test("a newer connection of the same member takes the place of the older", TIMEOUT, async () => {
  const stream = "GET /raft/stream?channel=control";
  const headers = (): string[] => [...headersOf(), "upgrade: raft-kv", "connection: upgrade"];
  node.forget();
  const older = exchange(stream, headers(), heartbeats(1));
  await node.untilMessages(1);
  const newer = exchange(stream, headers(), heartbeats(1));
  assert.match(await older, /^HTTP\/1.1 101 /);
  await node.untilMessages(2);
  // A connection that says nothing for eleven seconds is let go.
  for (let tick = 0; tick < 11; tick += 1) node.clock.tick();
  assert.match(await newer, /^HTTP\/1.1 101 /);
});
