import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, test } from "node:test";
import { until } from "../cluster-process.ts";
import { Link, TcpProxy } from "./tcp-proxy.ts";

interface Bench {
  readonly link: Link;
  readonly proxy: TcpProxy;
  /** What the server has received, connection after connection. */
  readonly received: string[];
  readonly accepted: Socket[];
  dial(): Promise<Caller>;
}

interface Caller {
  readonly socket: Socket;
  text: string;
  /** "end" or the error that ended it. */
  ended: string | undefined;
}

const PATIENCE = { limitMs: 5000, everyMs: 2 };
const open: (TcpProxy | Server | Socket)[] = [];

afterEach(() => {
  for (const each of open.splice(0)) {
    if ("destroy" in each) each.destroy();
    else each.close();
  }
});

/** A server that echoes, or just listens, and a proxy before it with one link for everybody. */
async function startBench({ echoes = true } = {}): Promise<Bench> {
  const received: string[] = [];
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    const index = received.push("") - 1;
    accepted.push(socket);
    open.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      received[index] = (received[index] ?? "") + bytes.toString();
      if (echoes) socket.write(bytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const link = new Link();
  const port = portOf(server);
  const proxy = new TcpProxy({ target: { host: "127.0.0.1", port }, linkOf: () => link });
  open.push(server, proxy);
  const proxyPort = await proxy.listen();
  const dial = async (): Promise<Caller> => {
    const socket = connect({ host: "127.0.0.1", port: proxyPort });
    open.push(socket);
    const caller: Caller = { socket, text: "", ended: undefined };
    socket.on("data", (bytes) => {
      caller.text += bytes.toString();
    });
    socket.on("error", (error) => {
      caller.ended = error.message;
    });
    socket.on("end", () => {
      caller.ended ??= "end";
    });
    await once(socket, "connect");
    return caller;
  };
  return { link, proxy, received, accepted, dial };
}

function portOf(server: Server): number {
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

async function hears(caller: Caller, text: string): Promise<void> {
  await until({ what: `the caller hears ${text}`, ...PATIENCE }, () =>
    caller.text === text ? true : undefined,
  );
}

async function isReset(caller: Caller): Promise<void> {
  const what = "the connection is reset";
  assert.match(await until({ what, ...PATIENCE }, () => caller.ended), /ECONNRESET/u);
}

describe("a link of the proxy", () => {
  test("that is open passes everything on, in both directions, with its end", async () => {
    const { link, dial, received } = await startBench();
    const caller = await dial();
    const text = "x".repeat(1_000_000);
    caller.socket.write(text);
    await hears(caller, text);
    caller.socket.end();
    await until({ what: "the end comes back", ...PATIENCE }, () => caller.ended);
    assert.deepEqual([received.length, received[0]?.length], [1, text.length]);
    assert.deepEqual([link.bytesThere, link.bytesBack], [text.length, text.length]);
    assert.equal(link.disturbances, 0);
  });

  test("that is cut resets what stands and what comes", async () => {
    const { link, dial } = await startBench();
    const before = await dial();
    before.socket.write("a");
    await hears(before, "a");
    link.set({ kind: "cut" });
    await isReset(before);
    const during = await dial();
    during.socket.write("b");
    await isReset(during);
    link.set({ kind: "open" });
    const after = await dial();
    after.socket.write("c");
    await hears(after, "c");
    assert.equal(link.disturbances, 2);
  });

  test("that is held lets nothing through, and everything late", async () => {
    const { link, dial, received } = await startBench();
    const before = await dial();
    before.socket.write("a");
    await hears(before, "a");
    link.set({ kind: "held" });
    before.socket.write("b");
    const during = await dial();
    during.socket.write("c");
    await until({ what: "the bytes reach the proxy", ...PATIENCE }, () =>
      link.disturbances >= 3 ? true : undefined,
    );
    assert.deepEqual(received, ["a"]);
    link.set({ kind: "open" });
    await hears(before, "ab");
    await hears(during, "c");
  });

  test("that is held hides that one end is gone until it is released", async () => {
    const { link, dial, accepted } = await startBench();
    const caller = await dial();
    caller.socket.write("a");
    await hears(caller, "a");
    link.set({ kind: "held" });
    caller.socket.resetAndDestroy();
    await once(caller.socket, "close");
    const [server] = accepted;
    assert.ok(server !== undefined);
    server.write("into the void");
    assert.equal(server.destroyed, false);
    link.set({ kind: "open" });
    await until({ what: "the server notices", ...PATIENCE }, () => server.destroyed || undefined);
  });

  test("that is slow delays each byte and keeps their order", async () => {
    const { link, dial } = await startBench();
    link.set({ kind: "slow", delayMs: 40 });
    const caller = await dial();
    const sentAtMs = performance.now();
    for (const text of ["a", "b", "c"]) caller.socket.write(text);
    await hears(caller, "abc");
    assert.ok(performance.now() - sentAtMs >= 80, "40 ms there and 40 ms back");
  });

  test("that trickles passes on a little at a time", async () => {
    const { link, dial } = await startBench();
    link.set({ kind: "trickle", bytesPerSecond: 5000 });
    const caller = await dial();
    const sentAtMs = performance.now();
    caller.socket.write("x".repeat(1000));
    await hears(caller, "x".repeat(1000));
    assert.ok(performance.now() - sentAtMs >= 150, "1000 bytes at 5000 bytes a second");
  });

  test("that is torn delivers a part and then a reset", async () => {
    // Silent: a reset that is read together with bytes before it looks like an end to its reader.
    const { link, dial, received, accepted } = await startBench({ echoes: false });
    const caller = await dial();
    caller.socket.write("whole");
    await until({ what: "the server hears it", ...PATIENCE }, () =>
      received[0] === "whole" ? true : undefined,
    );
    link.set({ kind: "torn" });
    caller.socket.write("0123456789");
    await isReset(caller);
    await until(
      { what: "the server notices", ...PATIENCE },
      () => accepted[0]?.destroyed || undefined,
    );
    assert.equal(received[0], "whole01234");
  });
});

test("a connection belongs to the link its first bytes name", async () => {
  const links = new Map([
    ["A", new Link()],
    ["B", new Link()],
  ]);
  const server = createServer((socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  const linkOf = (head: Buffer): Link | undefined =>
    head.includes("\n") ? links.get(head.toString("latin1", 0, 1)) : undefined;
  const proxy = new TcpProxy({ target: { host: "127.0.0.1", port }, linkOf });
  open.push(server, proxy);
  const proxyPort = await proxy.listen();
  for (const name of ["A", "B", "B"]) {
    const socket = connect({ host: "127.0.0.1", port: proxyPort });
    open.push(socket);
    socket.on("error", () => undefined);
    socket.write(name);
    socket.write("\n");
    let text = "";
    for await (const bytes of socket) {
      text += String(bytes);
      if (text === `${name}\n`) break;
    }
  }
  const counted = [...links.values()].map(({ connections, bytesThere }) => [
    connections,
    bytesThere,
  ]);
  assert.deepEqual(counted, [
    [1, 2],
    [2, 4],
  ]);
});
