import assert from "node:assert/strict";
import { request } from "node:http";
import { afterEach, test } from "node:test";
import type { Envelope } from "../../raft/index.ts";
import { ByteWriter } from "./byte-writer.ts";
import { handshakeHeaders } from "./handshake.ts";
import { encodeEnvelope } from "./peer-codec.ts";
import { connectedNodes, envelope, type LoopbackNode } from "./testing/loopback.ts";
import { METADATA, MemorySnapshotSource, snapshotFile } from "./testing/memory-snapshots.ts";

const TIMEOUT = { timeout: 10_000 };
const ANNOUNCEMENT: Envelope = envelope(1, 2, { kind: "install-snapshot", metadata: METADATA });
const open: LoopbackNode[] = [];
let nonce = 1_000;

afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function pair(): Promise<[LoopbackNode, LoopbackNode]> {
  const [first, second] = await connectedNodes(2);
  assert.ok(first !== undefined && second !== undefined);
  open.push(first, second);
  return [first, second];
}

async function sent(
  from: LoopbackNode,
  source: MemorySnapshotSource,
): Promise<boolean | undefined> {
  from.forget();
  from.transport.sendSnapshot(ANNOUNCEMENT, source);
  await from.until((event) => event.kind === "snapshot-sent");
  const event = from.events.find(({ kind }) => kind === "snapshot-sent");
  return event?.kind === "snapshot-sent" ? event.ok : undefined;
}

test("a snapshot arrives byte for byte, with its envelope", TIMEOUT, async () => {
  const [first, second] = await pair();
  const file = snapshotFile(3_000_001);
  const source = new MemorySnapshotSource(file);
  assert.equal(await sent(first, source), true);
  assert.deepEqual(second.snapshots.files, [file]);
  assert.equal(source.closed, 1);
  const received = second.events.flatMap((event) =>
    event.kind === "snapshot-received" ? [event.received.byteLength] : [],
  );
  assert.deepEqual(received, [file.length]);
});

test("a damaged snapshot is refused and not handed on", TIMEOUT, async () => {
  const [first, second] = await pair();
  const file = snapshotFile(200_000);
  file[100_000] = 8;
  assert.equal(await sent(first, new MemorySnapshotSource(file)), false);
  assert.deepEqual(second.snapshots.files, []);
  assert.equal(second.events.filter((event) => event.kind === "snapshot-received").length, 0);
});

test("a snapshot that is not the one announced is discarded", TIMEOUT, async () => {
  const [first, second] = await pair();
  second.snapshots.found = { ...METADATA, index: METADATA.index - 1 };
  assert.equal(await sent(first, new MemorySnapshotSource(snapshotFile(1_000))), false);
  assert.equal(second.snapshots.discarded, 1);
  assert.equal(second.events.filter((event) => event.kind === "snapshot-received").length, 0);
});

test("a source that fails on the way leaves nothing behind", TIMEOUT, async () => {
  const [first, second] = await pair();
  const source = new MemorySnapshotSource(snapshotFile(2_000_000), 500_000);
  assert.equal(await sent(first, source), false);
  assert.equal(source.closed, 1);
  while (second.snapshots.aborted === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(second.snapshots.files, []);
});

test("a snapshot for somebody without a link is reported as not sent", TIMEOUT, async () => {
  const [first] = await pair();
  const source = new MemorySnapshotSource(snapshotFile(1_000));
  first.forget();
  first.transport.sendSnapshot({ ...ANNOUNCEMENT, to: 9 }, source);
  await first.until((event) => event.kind === "snapshot-sent" && event.to === 9 && !event.ok);
  assert.equal(source.closed, 1);
});

test("a second snapshot to the same member waits its turn: it is refused", TIMEOUT, async () => {
  const [first, second] = await pair();
  const source = new MemorySnapshotSource(snapshotFile(500_000));
  first.transport.sendSnapshot(ANNOUNCEMENT, source);
  assert.equal(await sent(first, new MemorySnapshotSource(snapshotFile(1_000))), false);
  await first.until((event) => event.kind === "snapshot-sent" && event.ok);
  assert.equal(second.snapshots.files.length, 1);
});

test("closing while a snapshot is on its way ends it on both sides", TIMEOUT, async () => {
  const [first, second] = await pair();
  const source = new MemorySnapshotSource(snapshotFile(20_000_000));
  first.transport.sendSnapshot(ANNOUNCEMENT, source);
  while (second.snapshots.opened === 0) await new Promise((resolve) => setImmediate(resolve));
  await first.close();
  while (second.snapshots.aborted === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(source.closed, 1);
});

test("a body that does not begin with the envelope of its sender is refused", TIMEOUT, async () => {
  const [, second] = await pair();
  const heartbeat = envelope(1, 2, { kind: "heartbeat", commitIndex: 0, readRound: 0 });
  assert.equal(await posted(second, framed(heartbeat)), 400);
  assert.equal(await posted(second, framed({ ...ANNOUNCEMENT, from: 3 })), 400);
  assert.equal(await posted(second, framed(ANNOUNCEMENT).subarray(0, 20)), 400);
  assert.equal(await posted(second, Buffer.alloc(100, 0xff)), 400);
  assert.equal(second.snapshots.opened, 0);
});

function framed(message: Envelope): Buffer {
  const writer = new ByteWriter();
  encodeEnvelope(writer, message);
  return Buffer.from(writer.take());
}

function posted(to: LoopbackNode, body: Buffer): Promise<number | undefined> {
  nonce += 1;
  const self = {
    clusterId: "loopback",
    from: 1,
    fromIncarnation: 101,
    fromAddress: "first:7001",
    configurationIndex: 0,
    fresh: false,
  };
  const headers = handshakeHeaders({ ...self, to: 2, toIncarnation: 0, nonce: `nonce-${nonce}` });
  return new Promise((resolve, reject) => {
    const call = { port: to.port, method: "POST", path: "/raft/snapshot", headers };
    const sending = request(call, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sending.on("error", reject);
    sending.setHeader("content-length", body.length);
    sending.end(body);
  });
}
