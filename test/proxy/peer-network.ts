/**
 * The network between the nodes of a real cluster, as a test may disturb it: one link for each
 * ordered pair of nodes.
 *
 * A node dials every other and sends only on what it dialled, so the link from A to B carries what
 * A says to B, and holding it alone is a one-way partition. All nodes must be given the same list
 * of members (the cluster's id comes from it), so there is one proxy in front of each node; who is
 * calling stands in the handshake with which every connection begins, and it is that which puts a
 * connection on its link.
 */
import { Link, type LinkState, TcpProxy } from "./tcp-proxy.ts";

/** Of the handshake's headers, the one that says who calls. */
const CALLER = /^x-raft-from: (\d+)\r$/imu;
const END_OF_HEAD = "\r\n\r\n";

export interface Pair {
  readonly from: number;
  readonly to: number;
}

export class PeerNetwork {
  readonly #links = new Map<string, Link>();
  readonly #proxies: TcpProxy[] = [];
  readonly #onExit = (): void => this.close();

  constructor() {
    process.once("exit", this.#onExit);
  }

  /** Puts a proxy in front of a node; resolves with the address at which its peers find it. */
  async standBefore(id: number, listenAddress: string, proxyPort: number): Promise<string> {
    const [host = "", port = ""] = listenAddress.split(":");
    const proxy = new TcpProxy({
      target: { host, port: Number(port) },
      listenPort: proxyPort,
      linkOf: (head) => {
        const text = head.toString("latin1");
        if (!text.includes(END_OF_HEAD)) return undefined;
        return this.link({ from: Number(CALLER.exec(text)?.[1] ?? 0), to: id });
      },
    });
    this.#proxies.push(proxy);
    return `127.0.0.1:${await proxy.listen()}`;
  }

  link({ from, to }: Pair): Link {
    const name = `${from}>${to}`;
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const link = new Link();
    this.#links.set(name, link);
    return link;
  }

  set(pairs: readonly Pair[], state: LinkState): void {
    for (const pair of pairs) this.link(pair).set(state);
  }

  heal(): void {
    for (const link of this.#links.values()) {
      if (link.state.kind !== "open") link.set({ kind: "open" });
    }
  }

  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  close(): void {
    process.removeListener("exit", this.#onExit);
    for (const proxy of this.#proxies) proxy.close();
  }
}

/** Both directions between every node of one side and every node of the other; each pair once. */
export function between(side: readonly number[], other: readonly number[]): readonly Pair[] {
  const pairs = new Map<string, Pair>();
  for (const a of side) {
    for (const b of other) {
      if (a === b) continue;
      pairs.set(`${a}>${b}`, { from: a, to: b });
      pairs.set(`${b}>${a}`, { from: b, to: a });
    }
  }
  return [...pairs.values()];
}
