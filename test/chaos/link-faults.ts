/**
 * What happens to the network between nodes. A partition that resets connections and one that
 * leaves them hanging are different faults: the first is noticed at once, the second only by what
 * does not come.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SeededRandom } from "../../raft/index.ts";
import { between, type Pair } from "../proxy/peer-network.ts";
import type { LinkState } from "../proxy/tcp-proxy.ts";
import { type DrawFault, drawMs, type Fault, type FaultContext, pick, shuffled } from "./fault.ts";

const LASTS_MS = { min: 200, max: 5000 };
const FLAP_MS = { min: 20, max: 800 };

export const cut: DrawFault = (context) => {
  const { pairs, text } = drawPartition(context);
  return disturb(context, `cut ${text}`, pairs, { kind: "cut" });
};

export const halfOpen: DrawFault = (context) => {
  const { pairs, text } = drawPartition(context);
  return disturb(context, `half-open ${text}`, pairs, { kind: "held" });
};

/** One node is not heard, or does not hear, and the other way everything goes on (section 5.6). */
export const oneWay: DrawFault = (context) => {
  const { random } = context;
  const id = drawNode(context);
  const others = idsOf(context).filter((other) => other !== id);
  const isMute = random.below(2) === 0;
  const pairs = others.map((other) => (isMute ? { from: id, to: other } : { from: other, to: id }));
  const text = `node ${id} ${isMute ? "is not heard" : "hears nothing"}`;
  return disturb(context, `one-way: ${text}`, pairs, { kind: "held" });
};

export const slow: DrawFault = (context) => {
  const { random } = context;
  const delayMs = drawMs(random, 5, 400);
  const { pairs, text } = drawScope(context);
  return disturb(context, `${delayMs} ms slower: ${text}`, pairs, { kind: "slow", delayMs });
};

export const trickle: DrawFault = (context) => {
  const bytesPerSecond = drawMs(context.random, 500, 50_000);
  const { pairs, text } = drawScope(context);
  const state = { kind: "trickle", bytesPerSecond } as const;
  return disturb(context, `${bytesPerSecond} bytes a second: ${text}`, pairs, state);
};

export const truncate: DrawFault = (context) => {
  const { pairs, text } = drawScope(context);
  return disturb(context, `torn in the middle: ${text}`, pairs, { kind: "torn" });
};

/** Away and back, faster or slower than an election. */
export const flap: DrawFault = (context) => {
  const { world, random } = context;
  const { pairs, text } = drawPartition(context);
  const state: LinkState = random.below(2) === 0 ? { kind: "cut" } : { kind: "held" };
  const calm = new AbortController();
  let flapping: Promise<void> = Promise.resolve();
  const run = async (dice: SeededRandom): Promise<void> => {
    while (!calm.signal.aborted) {
      world.network.set(pairs, state);
      await sleep(drawMs(dice, FLAP_MS.min, FLAP_MS.max));
      world.network.set(pairs, { kind: "open" });
      await sleep(drawMs(dice, FLAP_MS.min, FLAP_MS.max));
    }
  };
  const meter = new Meter(context, pairs);
  return {
    text: `flapping, ${state.kind}: ${text}`,
    lastsMs: drawMs(random, 1000, LASTS_MS.max),
    begin: async () => {
      meter.start();
      flapping = run(random);
    },
    end: async () => {
      calm.abort();
      await flapping;
    },
    fired: () => meter.read(),
  };
};

function disturb(
  context: FaultContext,
  text: string,
  pairs: readonly Pair[],
  state: LinkState,
): Fault {
  const { network } = context.world;
  const meter = new Meter(context, pairs);
  return {
    text,
    lastsMs: drawMs(context.random, LASTS_MS.min, LASTS_MS.max),
    begin: async () => {
      meter.start();
      network.set(pairs, state);
    },
    end: async () => network.set(pairs, { kind: "open" }),
    fired: () => meter.read(),
  };
}

/** How often the links of some pairs did something to connections or bytes. */
class Meter {
  readonly #context: FaultContext;
  readonly #pairs: readonly Pair[];
  #before = 0;

  constructor(context: FaultContext, pairs: readonly Pair[]) {
    this.#context = context;
    this.#pairs = pairs;
  }

  start(): void {
    this.#before = this.#sum();
  }

  read(): number {
    return this.#sum() - this.#before;
  }

  #sum(): number {
    const { network } = this.#context.world;
    return this.#pairs.reduce((sum, pair) => sum + network.link(pair).disturbances, 0);
  }
}

interface Scope {
  readonly pairs: readonly Pair[];
  readonly text: string;
}

/** Half of the time the leader: what happens to it matters most. */
function drawNode({ random, watch, world }: FaultContext): number {
  const anyone = pick(random, world.cluster.nodes).id;
  return random.below(2) === 0 ? (watch.leaderId ?? anyone) : anyone;
}

function idsOf({ world }: FaultContext): readonly number[] {
  return world.cluster.nodes.map(({ id }) => id);
}

function drawPartition(context: FaultContext): Scope {
  const { random } = context;
  const ids = idsOf(context);
  const kind = pick(random, ["isolate", "isolate", "halves", "bridge", "all", "pair"] as const);
  const mixed = shuffled(random, ids);
  switch (kind) {
    case "isolate": {
      const id = drawNode(context);
      return { pairs: between([id], ids), text: `node ${id} | the others` };
    }
    case "halves": {
      const size = 1 + random.below(ids.length - 1);
      const [side, other] = [mixed.slice(0, size), mixed.slice(size)];
      return { pairs: between(side, other), text: `${side.join(", ")} | ${other.join(", ")}` };
    }
    case "bridge": {
      // Two sides that only see each other through one node in the middle.
      const [bridge = 1, ...others] = mixed;
      const middle = others.length >> 1;
      const pairs = between(others.slice(0, middle), others.slice(middle));
      return { pairs, text: `all but over node ${bridge}` };
    }
    case "pair": {
      const [a = 1, b = 2] = mixed;
      return { pairs: between([a], [b]), text: `${a} | ${b}` };
    }
    default:
      return { pairs: between(ids, ids), text: "everybody from everybody" };
  }
}

/** All links, all of one node, or those of one direction between two. */
function drawScope(context: FaultContext): Scope {
  const { random } = context;
  const ids = idsOf(context);
  switch (random.below(3)) {
    case 0:
      return { pairs: between(ids, ids), text: "all links" };
    case 1: {
      const id = drawNode(context);
      return { pairs: between([id], ids), text: `all links of node ${id}` };
    }
    default: {
      const [from = 1, to = 2] = shuffled(random, ids);
      return { pairs: [{ from, to }], text: `from ${from} to ${to}` };
    }
  }
}
