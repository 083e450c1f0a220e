import assert from "node:assert/strict";
import { createServer, request, type Server } from "node:http";
import { connect } from "node:net";
import { afterEach, test } from "node:test";
import { commandEntry, envelope, LoopbackNode, memberAt } from "./testing/loopback.ts";

const TIMEOUT = { timeout: 20_000 };
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function single(id: number): Promise<LoopbackNode> {
  const node = new LoopbackNode(id);
  await node.listen();
  open.push(node);
  return node;
}

/** An HTTP proxy of the kind that knows no Upgrade, until told otherwise. */
class UpgradelessProxy {
  allowsUpgrade = false;
  posts = 0;
  /** Resolves when an upgrade of the entries channel was let through. */
  readonly upgraded: Promise<void>;
  #letThrough: () => void = () => undefined;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.upgraded = new Promise((resolve) => {
      this.#letThrough = resolve;
    });
  }

  static async to(port: number): Promise<UpgradelessProxy> {
    const server = createServer();
    const proxy = new UpgradelessProxy(server);
    server.on("request", (incoming, outgoing) => {
      proxy.posts += 1;
      const { method, headers } = incoming;
      const onward = request({ port, path: incoming.url, method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      onward.on("error", () => outgoing.destroy());
      incoming.pipe(onward);
    });
    server.on("upgrade", (incoming, socket, head) => {
      socket.on("error", () => undefined);
      if (!proxy.allowsUpgrade) {
        socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      const onward = connect({ port, host: "127.0.0.1" }, () => {
        const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
        for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
          lines.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}`);
        }
        onward.write(`${lines.join("\r\n")}\r\n\r\n`);
        onward.write(head);
        socket.pipe(onward).pipe(socket);
        if (incoming.url?.endsWith("entries") === true) proxy.#letThrough();
      });
      onward.on("error", () => socket.destroy());
      onward.on("close", () => socket.destroy());
      socket.on("close", () => onward.destroy());
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

test("where upgrades are refused POSTs carry the messages, in order", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  const proxy = await UpgradelessProxy.to(second.port);
  open.push(proxy);
  first.transport.setMembers([first.member, memberAt(2, proxy.port)]);
  await first.untilUp(2);
  const indexes: number[] = [];
  for (let index = 1; index <= 100; index += 1) {
    indexes.push(index);
    const entries = [commandEntry(index, 10)];
    const prev = { prevLogIndex: index - 1, prevLogTerm: 7, commitIndex: 0 };
    first.transport.send([envelope(1, 2, { kind: "append-entries", ...prev, entries })]);
    if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await second.untilMessages(100);
  const seen = second.messages.map((message) => {
    assert.ok(message.kind === "raft" && message.envelope.message.kind === "append-entries");
    return message.envelope.message.entries[0]?.index;
  });
  assert.deepEqual(seen, indexes);
  assert.ok(proxy.posts < 40, `${proxy.posts} POSTs: what gathers while one is away goes together`);
});

test("an upgrade that succeeds again takes over", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  const proxy = await UpgradelessProxy.to(second.port);
  open.push(proxy);
  first.transport.setMembers([first.member, memberAt(2, proxy.port)]);
  await first.untilUp(2);
  proxy.allowsUpgrade = true;
  await proxy.upgraded;
  const message = { kind: "append-entries-response", result: "accepted", matchIndex: 1 } as const;
  for (let posts = -1, count = 1; posts !== proxy.posts; count += 1) {
    posts = proxy.posts;
    first.transport.send([envelope(1, 2, message)]);
    await second.untilMessages(count);
  }
  assert.equal(first.events.filter((event) => event.kind === "down").length, 0);
});

test("a POST that failed is a lost link, and is not sent again", TIMEOUT, async () => {
  const first = await single(1);
  const second = await single(2);
  const proxy = await UpgradelessProxy.to(second.port);
  first.transport.setMembers([first.member, memberAt(2, proxy.port)]);
  await first.untilUp(2);
  await second.close();
  const ids = { from: 1, to: 2, leaderTerm: 7, originIncarnation: 101, sequence: 1 };
  const requests = [{ id: 1, command: Buffer.from("x") }];
  assert.equal(first.transport.forward({ kind: "forward", ...ids, requests }), true);
  await first.until((event) => event.kind === "down" && event.id === 2);
  assert.equal(first.transport.forward({ kind: "forward", ...ids, requests }), false);
  await proxy.close();
});
