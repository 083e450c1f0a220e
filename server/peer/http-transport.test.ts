import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, test } from "node:test";
import type { Envelope } from "../../raft/index.ts";
import type { Forward, ForwardResults } from "./peer-message.ts";
import {
  commandEntry,
  connectedNodes,
  envelope,
  LoopbackNode,
  memberAt,
} from "./testing/loopback.ts";
import type { Caller } from "./transport.ts";

const open: { close(): Promise<void> }[] = [];
const TIMEOUT = { timeout: 10_000 };

afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function connected(count: number): Promise<LoopbackNode[]> {
  const nodes = await connectedNodes(count);
  open.push(...nodes);
  return nodes;
}

async function pair(): Promise<[LoopbackNode, LoopbackNode]> {
  const [first, second] = await connected(2);
  assert.ok(first !== undefined && second !== undefined);
  return [first, second];
}

async function single(id: number, listenAddress?: string): Promise<LoopbackNode> {
  const node = new LoopbackNode(id, 100 + id, listenAddress);
  await node.listen();
  open.push(node);
  return node;
}

function forwardOf(sequence: number): Forward {
  const requests = [{ id: sequence, command: Buffer.from(`command ${sequence}`) }];
  const ids = { from: 1, to: 2, leaderTerm: 7, originIncarnation: 101, sequence };
  return { kind: "forward", ...ids, requests };
}

function append(index: number, byteLength = 10): Envelope {
  const entries = [commandEntry(index, byteLength)];
  const prev = { prevLogIndex: index - 1, prevLogTerm: 7, commitIndex: 0 };
  return envelope(1, 2, { kind: "append-entries", ...prev, entries });
}

test("a handshake tells each side who the other is", TIMEOUT, async () => {
  const [first, second] = await pair();
  assert.deepEqual(first.events, [{ kind: "up", info: { id: 2, incarnation: 102, fresh: false } }]);
  assert.deepEqual(second.events, [
    { kind: "up", info: { id: 1, incarnation: 101, fresh: false } },
  ]);
});

test("a node without a past says so", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  second.isFresh = true;
  first.transport.setMembers([first.member, second.member]);
  await first.untilUp(2);
  assert.deepEqual(first.events, [{ kind: "up", info: { id: 2, incarnation: 102, fresh: true } }]);
});

test("envelopes of three nodes reach whom they are for", TIMEOUT, async () => {
  const nodes = await connected(3);
  for (const node of nodes) {
    for (const to of [1, 2, 3]) {
      const message = { kind: "heartbeat", commitIndex: node.id, readRound: to } as const;
      node.transport.send([envelope(node.id, to, message)]);
    }
  }
  for (const node of nodes) {
    await node.untilMessages(2);
    const seen = node.messages.map((message) => {
      assert.ok(message.kind === "raft" && message.envelope.message.kind === "heartbeat");
      assert.equal(message.envelope.message.readRound, node.id);
      return message.envelope.from;
    });
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      [1, 2, 3].filter((id) => id !== node.id),
    );
  }
});

test("order holds within a channel, through frames of every size", TIMEOUT, async () => {
  const [first, second] = await pair();
  const indexes: number[] = [];
  for (let index = 1; index <= 300; index += 1) {
    first.transport.send([append(index, index % 50 === 0 ? 60_000 : index)]);
    indexes.push(index);
    if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await second.untilMessages(300);
  const seen = second.messages.map((message) => {
    assert.ok(message.kind === "raft" && message.envelope.message.kind === "append-entries");
    return message.envelope.message.entries[0]?.index;
  });
  assert.deepEqual(seen, indexes);
});

test("everything queued in one turn leaves in one write", TIMEOUT, async () => {
  const [first, second] = await pair();
  for (let index = 1; index <= 100; index += 1) first.transport.send([append(index)]);
  await second.untilMessages(100);
  assert.equal(first.transport.statistics.flushes, 1);
});

test("a forwarded write and its answer arrive once", TIMEOUT, async () => {
  const [first, second] = await pair();
  assert.equal(first.transport.forward(forwardOf(1)), true);
  await second.untilMessages(1);
  const results: ForwardResults = {
    kind: "forward-results",
    from: 2,
    to: 1,
    originIncarnation: 101,
    results: [{ id: 1, outcome: { kind: "unknown", reason: "timeout" } }],
  };
  second.transport.forwardResults(results);
  await first.untilMessages(1);
  assert.deepEqual(first.messages, [results]);
  assert.equal(second.messages.length, 1);
});

test("without a link nothing is forwarded and envelopes are dropped", TIMEOUT, async () => {
  const first = await single(1);
  first.transport.setMembers([first.member, memberAt(2, 1)]);
  assert.equal(first.transport.forward(forwardOf(1)), false);
  assert.equal(first.transport.forward({ ...forwardOf(1), to: 9 }), false);
  first.transport.send([append(1)]);
  assert.equal(first.transport.statistics.droppedMessages, 1);
});

test("a full outbox refuses forwards and drops envelopes, and drains", TIMEOUT, async () => {
  const [first, second] = await pair();
  let sent = 0;
  while (first.transport.statistics.droppedMessages === 0) {
    first.transport.send([append(sent + 1, 100_000)]);
    sent += 1;
  }
  assert.equal(first.transport.forward(forwardOf(1)), false);
  await second.untilMessages(sent - 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(first.transport.forward(forwardOf(2)), true);
  await second.untilMessages(sent);
});

test("a lost link is reported, comes back, and repeats no forward", TIMEOUT, async () => {
  const [first, second] = await pair();
  const { member } = second;
  await second.close();
  await first.until((event) => event.kind === "down" && event.id === 2);
  assert.equal(first.transport.forward(forwardOf(1)), false);
  first.forget();
  const again = await single(2, member.peerAddress);
  await first.untilUp(2);
  assert.equal(first.transport.forward(forwardOf(2)), true);
  await again.untilMessages(1);
  assert.deepEqual(
    again.messages.map((message) => (message.kind === "forward" ? message.sequence : 0)),
    [2],
  );
});

test("a forward that waited when the link broke is never sent", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  const hop = await Hop.to(second.port);
  open.push(hop);
  first.transport.setMembers([first.member, memberAt(2, hop.port)]);
  await first.untilUp(2);
  first.forget();
  assert.equal(first.transport.forward(forwardOf(1)), true);
  // Before this turn ends, and so before the outbox is flushed, the member moves away and back.
  first.transport.setMembers([first.member]);
  first.transport.setMembers([first.member, memberAt(2, hop.port)]);
  await first.untilUp(2);
  assert.equal(first.transport.forward(forwardOf(2)), true);
  await second.untilMessages(1);
  assert.deepEqual(
    second.messages.map((message) => (message.kind === "forward" ? message.sequence : 0)),
    [2],
  );
});

test("a connection that is cut comes back by itself", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  const hop = await Hop.to(second.port);
  open.push(hop);
  first.transport.setMembers([first.member, memberAt(2, hop.port)]);
  await first.untilUp(2);
  for (let round = 1; round <= 3; round += 1) {
    first.forget();
    hop.cut();
    await first.until((event) => event.kind === "down");
    await first.untilUp(2);
    first.transport.send([append(round)]);
    await second.untilMessages(round);
  }
});

test("a peer that falls silent is given up by the side that dialled", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  const hop = await Hop.to(second.port);
  open.push(hop);
  first.transport.setMembers([first.member, memberAt(2, hop.port)]);
  await first.untilUp(2);
  hop.freeze();
  for (let tick = 0; tick < 4; tick += 1) first.clock.tick();
  assert.equal(first.transport.forward(forwardOf(1)), true);
  first.clock.tick();
  await first.until((event) => event.kind === "down" && event.id === 2);
});

test("answered keep-alives keep an idle link up", TIMEOUT, async () => {
  const [first, second] = await pair();
  for (let round = 0; round < 30; round += 1) {
    first.clock.tick();
    second.clock.tick();
    await roundTrip(first, second, round);
    await roundTrip(second, first, round);
  }
  assert.deepEqual(
    [...first.events, ...second.events].filter((event) => event.kind === "down"),
    [],
  );
});

/** One message each way on both channels: whatever was sent before has been answered. */
async function roundTrip(from: LoopbackNode, to: LoopbackNode, round: number): Promise<void> {
  const known = to.messages.length;
  const heartbeat = { kind: "heartbeat", commitIndex: 0, readRound: round } as const;
  const accepted = { kind: "append-entries-response", result: "accepted", matchIndex: 1 } as const;
  from.transport.send([envelope(from.id, to.id, heartbeat), envelope(from.id, to.id, accepted)]);
  await to.untilMessages(known + 2);
}

test(
  "a member that moved is reached at its new address, a removed one is let go",
  TIMEOUT,
  async () => {
    const [first, second] = await pair();
    const moved = await single(2);
    first.forget();
    first.transport.setMembers([first.member, moved.member]);
    assert.deepEqual(first.events, [{ kind: "down", id: 2 }]);
    await first.untilUp(2);
    first.transport.send([append(1)]);
    await moved.untilMessages(1);
    assert.deepEqual(second.messages, []);
    first.forget();
    first.transport.setMembers([first.member]);
    assert.deepEqual(first.events, [{ kind: "down", id: 2 }]);
  },
);

test(
  "a caller is judged by what it says of itself, again whenever members change",
  TIMEOUT,
  async () => {
    const first = await single(1);
    const second = await single(2);
    first.configurationIndex = 31;
    const callers: Caller[] = [];
    second.membership = (caller) => {
      callers.push(caller);
      return "member";
    };
    first.transport.setMembers([first.member, second.member]);
    await first.untilUp(2);
    const guest = { id: 1, incarnation: 101, peerAddress: "127.0.0.1:0", configurationIndex: 31 };
    assert.deepEqual(callers[0], guest);
    callers.length = 0;
    // What it knows by now does not count: the connection stands for what it said.
    first.configurationIndex = 40;
    second.transport.setMembers([second.member]);
    assert.deepEqual(callers[0], guest);
  },
);

test("a member that stopped being one loses the connections it opened", TIMEOUT, async () => {
  const [first, second] = await pair();
  second.membership = () => "unknown";
  second.transport.setMembers([first.member, second.member]);
  await first.until((event) => event.kind === "down" && event.id === 2);
  await first.until((event) => event.kind === "notice" && event.notice.kind === "refused");
});

test("a member with another incarnation than recorded is not talked to", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  first.transport.setMembers([first.member, { ...second.member, incarnation: 5 }]);
  await first.until((event) => event.kind === "notice");
  assert.deepEqual(first.events[0], {
    kind: "notice",
    notice: { kind: "refused", id: 2, channel: "control", reason: "403 WRONG_TARGET" },
  });
});

test("closing leaves nothing open", TIMEOUT, async () => {
  const nodes = await connectedNodes(3);
  for (const node of nodes) node.transport.send([envelope(node.id, 1, { kind: "timeout-now" })]);
  await Promise.all(nodes.map((node) => node.close()));
  const sockets = (): string[] =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP"));
  // The kernel's handles go in the turns after their owners.
  for (let turn = 0; turn < 20 && sockets().length > 0; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(sockets(), []);
});

/** A TCP hop that can be cut or frozen. */
class Hop {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isFrozen = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<Hop> {
    const server = createServer();
    const hop = new Hop(server);
    server.on("connection", (inbound) => hop.#join(inbound, port));
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return hop;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #join(inbound: Socket, port: number): void {
    const outbound = connect({ port, host: "127.0.0.1" });
    for (const [from, to] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => undefined);
      from.on("data", (chunk) => {
        if (!this.#isFrozen) to.write(chunk);
      });
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
