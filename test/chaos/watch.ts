/**
 * Looks at every node's status many times a second, over its whole life, and holds it to what must
 * be true at any moment (Figure 3 and invariants that follow from it):
 *
 * - at most one leader in a term, over all nodes and all time;
 * - in one life of a node nothing falls: term, commit index, applied index, revision;
 * - no life begins below a term that the node led before: that one was durable;
 * - the states of nodes hash to the same at the same index, and no node distrusts its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { ClusterNode } from "../cluster-process.ts";

const EVERY_MS = 40;
const STATUS_TIMEOUT_MS = 300;
/** A node that says this of itself holds another state than the majority. */
const DISTRUSTED: ReadonlySet<string> = new Set(["disputed", "fenced"]);
/** Hashes of so many indexes are remembered. */
const HASHES_KEPT = 10_000;

/** What is looked at, of what a status says. */
const watchedSchema = z.object({
  state: z.string().default("running"),
  role: z.string(),
  term: z.number(),
  commitIndex: z.number(),
  lastApplied: z.number(),
  revision: z.number(),
  hash: z.object({ index: z.number(), version: z.number(), value: z.string() }).optional(),
});
export type Watched = Readonly<z.infer<typeof watchedSchema>>;

interface Look {
  readonly status: Watched;
  readonly life: object;
}

export class Watch {
  readonly violations: string[] = [];
  samples = 0;
  hashesCompared = 0;
  termMax = 0;
  readonly #nodes: readonly ClusterNode[];
  readonly #lifeOf: (id: number) => object;
  readonly #leaders = new Map<number, number>();
  /** By node. */
  readonly #ledTerms = new Map<number, number>();
  readonly #newest = new Map<number, Look>();
  /** By version and index. */
  readonly #hashes = new Map<string, { readonly value: string; readonly id: number }>();
  #loops: Promise<void>[] = [];
  #isStopping = false;

  /** `lifeOf` tells two lives of a node apart. */
  constructor(nodes: readonly ClusterNode[], lifeOf: (id: number) => object) {
    this.#nodes = nodes;
    this.#lifeOf = lifeOf;
  }

  /** The newest leader anybody was seen to be. */
  get leaderId(): number | undefined {
    return this.#leaders.get(Math.max(...this.#leaders.keys()));
  }

  get elections(): number {
    return this.#leaders.size;
  }

  start(): void {
    this.#loops = this.#nodes.map((node) => this.#follow(node));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
  }

  async #follow(node: ClusterNode): Promise<void> {
    while (!this.#isStopping) {
      const life = this.#lifeOf(node.id);
      const status = await ask(node);
      const isHis = life === this.#lifeOf(node.id);
      if (status !== undefined && isHis) this.take(node.id, status, life);
      await sleep(EVERY_MS);
    }
  }

  /** Takes one node's status. */
  take(id: number, status: Watched, life: object): void {
    this.samples += 1;
    if (status.state === "repairing") return;
    if (DISTRUSTED.has(status.state)) this.violations.push(`node ${id} is ${status.state}`);
    this.termMax = Math.max(this.termMax, status.term);
    const before = this.#newest.get(id);
    this.#newest.set(id, { status, life });
    if (before !== undefined) this.#compare(id, before, { status, life });
    if (status.role === "leader") this.#noteLeader(id, status.term);
    if (status.hash !== undefined) this.#noteHash(id, status.hash);
  }

  #compare(id: number, before: Look, now: Look): void {
    const fell = (what: "term" | "commitIndex" | "lastApplied" | "revision"): void => {
      const [from, to] = [before.status[what], now.status[what]];
      if (to < from) this.violations.push(`node ${id}: ${what} fell from ${from} to ${to}`);
    };
    const ledTerm = this.#ledTerms.get(id) ?? 0;
    if (now.status.term < ledTerm) {
      this.violations.push(`node ${id} is in term ${now.status.term}, but has led ${ledTerm}`);
    }
    if (before.life !== now.life) return;
    fell("term");
    fell("commitIndex");
    fell("lastApplied");
    fell("revision");
  }

  #noteLeader(id: number, term: number): void {
    this.#ledTerms.set(id, Math.max(term, this.#ledTerms.get(id) ?? 0));
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, id);
    else if (known !== id) this.violations.push(`nodes ${known} and ${id} both lead term ${term}`);
  }

  #noteHash(id: number, { index, version, value }: NonNullable<Watched["hash"]>): void {
    const name = `${version}:${index}`;
    const known = this.#hashes.get(name);
    if (known === undefined) {
      this.#hashes.set(name, { value, id });
      if (this.#hashes.size > HASHES_KEPT) this.#forgetOldestHash();
      return;
    }
    if (known.id !== id) this.hashesCompared += 1;
    if (known.value === value) return;
    const both = `node ${known.id} ${known.value}, node ${id} ${value}`;
    this.violations.push(`the states at index ${index} differ: ${both}`);
  }

  #forgetOldestHash(): void {
    for (const name of this.#hashes.keys()) {
      this.#hashes.delete(name);
      return;
    }
  }
}

/** Undefined while it does not answer. */
async function ask(node: ClusterNode): Promise<Watched | undefined> {
  let answer: unknown;
  try {
    const signal = AbortSignal.timeout(STATUS_TIMEOUT_MS);
    answer = await (await fetch(`http://${node.client}/v1/status`, { signal })).json();
  } catch {
    return undefined;
  }
  return watchedSchema.parse(answer);
}
