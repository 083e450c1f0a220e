/**
 * The lab's own tools (config.go and test.go of MIT 6.5840), over any world: find the leader, agree
 * on a command, cut servers off and bring them back. Limits and waits are the lab's; what does not
 * hold is a LabFailure.
 */
import { HistoryRecorder, requireLinearizable } from "../linearizability/index.ts";
import { RecordedClient } from "./recorded-client.ts";
import type { LabClient, ProposalOutcome, ServerView, World } from "./world.ts";

/** The lab's election timeout: what a test grants for an election. */
export const ELECTION_MS = 1_000;

const LEADER_POLLS = 10;
const POLL_MS = 20;
const VIEW_MS = 10_000;
const AGREE_MS = 10_000;
const TRY_MS = 2_000;

export class LabFailure extends Error {
  override readonly name = "LabFailure";
}

export function check(condition: boolean, explain: () => string): asserts condition {
  if (!condition) throw new LabFailure(explain());
}

/** A put that no other is equal to. */
export interface Command {
  readonly key: string;
  readonly value: string;
}

/** A command on its way through one leader. */
export interface Started {
  readonly command: Command;
  readonly term: number;
  readonly outcome: Promise<ProposalOutcome>;
}

export interface Holders {
  readonly count: number;
  readonly index: number | undefined;
}

export class Lab {
  readonly world: World;
  readonly history: HistoryRecorder;
  /** Commands and client requests that were answered. */
  operations = 0;
  readonly #keys: number;
  readonly #cutOff = new Set<number>();
  readonly #down = new Set<number>();
  #sides = new Map<number, number>();
  #submitted = 0;
  #clients = 0;
  #next = 0;

  constructor(world: World, keys = Number.MAX_SAFE_INTEGER) {
    this.world = world;
    this.#keys = keys;
    this.history = new HistoryRecorder(() => world.nowMs());
  }

  get ids(): readonly number[] {
    return this.world.ids;
  }

  get majority(): number {
    return Math.floor(this.ids.length / 2) + 1;
  }

  sleep(ms: number): Promise<void> {
    return this.world.sleep(ms);
  }

  below(limit: number): number {
    return this.world.random.below(limit);
  }

  /** The server `steps` places after `id`. */
  after(id: number, steps: number): number {
    const at = (id - 1 + steps) % this.ids.length;
    return this.ids[at] ?? id;
  }

  // ---- Servers and links -----------------------------------------------------------------------

  isConnected(id: number): boolean {
    return !this.#cutOff.has(id);
  }

  isUp(id: number): boolean {
    return !this.#down.has(id);
  }

  disconnect(...ids: readonly number[]): void {
    for (const id of ids) this.#cutOff.add(id);
    this.#link();
  }

  connect(...ids: readonly number[]): void {
    for (const id of ids) this.#cutOff.delete(id);
    this.#link();
  }

  partition(...sides: readonly (readonly number[])[]): void {
    this.#sides = new Map(sides.flatMap((side, at) => side.map((id) => [id, at] as const)));
    this.#link();
  }

  connectAll(): void {
    this.#sides = new Map();
    this.connect(...this.ids);
  }

  async crash(...ids: readonly number[]): Promise<void> {
    for (const id of ids) this.#down.add(id);
    await Promise.all(ids.map((id) => this.world.crash(id)));
  }

  async start(...ids: readonly number[]): Promise<void> {
    await Promise.all(ids.map((id) => this.world.start(id)));
    for (const id of ids) this.#down.delete(id);
  }

  async shutdown(...ids: readonly number[]): Promise<void> {
    for (const id of ids) this.#down.add(id);
    await Promise.all(ids.map((id) => this.world.shutdown(id)));
  }

  /** A server that is up must come to tell how it stands. */
  async view(id: number): Promise<ServerView> {
    const endMs = this.world.nowMs() + VIEW_MS;
    for (;;) {
      const view = await this.world.view(id);
      if (view !== undefined) return view;
      check(this.world.nowMs() < endMs, () => `server ${id} does not answer`);
      await this.sleep(POLL_MS);
    }
  }

  // ---- Leaders ---------------------------------------------------------------------------------

  /** One leader among the servers that are connected; never two in a term. */
  async leader(): Promise<number> {
    for (let poll = 0; poll < LEADER_POLLS; poll += 1) {
      await this.sleep(450 + this.below(101));
      const leaders = await this.#leaders();
      if (leaders.size === 0) continue;
      const [, newest] = [...leaders].sort(([a], [b]) => b - a)[0] ?? [];
      if (newest !== undefined) return newest;
    }
    throw new LabFailure("expected one leader, got none");
  }

  async noLeader(): Promise<void> {
    const leaders = await this.#leaders();
    check(leaders.size === 0, () => `expected no leader, but ${[...leaders.values()]} leads`);
  }

  /** The term that all connected servers are in. */
  async term(): Promise<number> {
    let term: number | undefined;
    for (const id of this.#reachable()) {
      const { term: own } = await this.view(id);
      term ??= own;
      check(term === own, () => `servers disagree on the term: ${term} and ${own}`);
    }
    return term ?? 0;
  }

  async #leaders(): Promise<Map<number, number>> {
    const leaders = new Map<number, number>();
    const reachable = this.#reachable();
    const views = await Promise.all(reachable.map((id) => this.world.view(id)));
    for (const [at, id] of reachable.entries()) {
      const view = views[at];
      if (view?.isLeader !== true) continue;
      const other = leaders.get(view.term);
      check(other === undefined, () => `term ${view.term} has two leaders, ${other} and ${id}`);
      leaders.set(view.term, id);
    }
    return leaders;
  }

  #reachable(): readonly number[] {
    return this.ids.filter((id) => this.isConnected(id) && this.isUp(id));
  }

  // ---- Commands --------------------------------------------------------------------------------

  /** Hands a command to a server; undefined when that does not lead. Does not wait for it. */
  async submit(id: number, name: string, padding = ""): Promise<Started | undefined> {
    const view = this.isUp(id) ? await this.world.view(id) : undefined;
    if (view?.isLeader !== true) return undefined;
    this.#submitted += 1;
    const key = `${this.#submitted % this.#keys}`;
    const command = { key, value: `${name} #${this.#submitted}${padding}` };
    const outcome = this.world.propose(id, key, command.value);
    void outcome.then(({ kind }) => {
      if (kind === "applied") this.operations += 1;
    });
    return { command, term: view.term, outcome };
  }

  /** To a server that must lead. */
  async submitTo(leader: number, name: string): Promise<Started> {
    const started = await this.submit(leader, name);
    check(started !== undefined, () => `server ${leader} rejected ${name}: it does not lead`);
    return started;
  }

  /** How many servers have applied it, all at the same index. */
  async holders({ key, value }: Command): Promise<Holders> {
    let count = 0;
    let index: number | undefined;
    for (const id of this.ids) {
      const record = this.isUp(id) ? await this.world.recordOf(id, key) : undefined;
      if (record?.value !== value) continue;
      const at = record.revision;
      index ??= at;
      check(
        index === at,
        () => `${nameOf(value)} stands at ${index} and, on server ${id}, at ${at}`,
      );
      count += 1;
    }
    return { count, index };
  }

  async isUncommitted({ command }: Started): Promise<void> {
    const { count } = await this.holders(command);
    check(
      count === 0,
      () => `${nameOf(command.value)} is committed on ${count} servers without a majority`,
    );
  }

  /** `expected` servers come to hold the command; answers where. The lab's `one`. */
  async agree(
    name: string,
    expected: number,
    { retry = true, padding = "" } = {},
  ): Promise<number> {
    const { world } = this;
    const endMs = world.nowMs() + AGREE_MS;
    while (world.nowMs() < endMs) {
      const started = await this.#submitAnywhere(name, padding);
      if (started === undefined) {
        await this.sleep(50);
        continue;
      }
      const tryEndMs = world.nowMs() + TRY_MS;
      while (world.nowMs() < tryEndMs) {
        const { count, index } = await this.holders(started.command);
        if (count >= expected && index !== undefined) return index;
        await this.sleep(POLL_MS);
      }
      check(retry, () => `no agreement on ${name} in ${TRY_MS} ms`);
    }
    throw new LabFailure(`no agreement on ${name} in ${AGREE_MS} ms`);
  }

  async #submitAnywhere(name: string, padding: string): Promise<Started | undefined> {
    for (let step = 0; step < this.ids.length; step += 1) {
      this.#next = (this.#next + 1) % this.ids.length;
      const id = this.ids[this.#next] ?? 1;
      if (!this.isConnected(id)) continue;
      const started = await this.submit(id, name, padding);
      if (started !== undefined) return started;
    }
    return undefined;
  }

  /** Waits, longer and longer, until `expected` servers hold it. The lab's `wait`. */
  async awaitHolders({ command }: Started, expected: number): Promise<number | undefined> {
    let pauseMs = 10;
    for (let round = 0; round < 30; round += 1) {
      const { count, index } = await this.holders(command);
      if (count >= expected) return index;
      await this.sleep(pauseMs);
      if (pauseMs < 1_000) pauseMs *= 2;
    }
    const { count } = await this.holders(command);
    throw new LabFailure(`only ${count} hold ${nameOf(command.value)}, wanted ${expected}`);
  }

  /** A key's version, as this server has it: how often it was written. */
  async counterOf(id: number, key: string): Promise<number | undefined> {
    return (await this.world.recordOf(id, key))?.version;
  }

  // ---- Sizes, clients, histories ---------------------------------------------------------------

  /**
   * The entries a server keeps behind its snapshot, each counted like the largest. Who is cut off
   * can not know what is committed, and so not let go of it.
   */
  async logBytes(): Promise<number> {
    const views = await Promise.all(this.#reachable().map((id) => this.view(id)));
    return Math.max(...views.map(({ logEntries }) => logEntries)) * this.world.entryBytesMax;
  }

  async snapshotBytes(): Promise<number> {
    const bytes = await Promise.all(this.#reachable().map((id) => this.world.snapshotBytes(id)));
    return Math.max(...bytes);
  }

  client(reach?: readonly number[]): LabClient {
    this.#clients += 1;
    const client = this.world.client(reach);
    return new RecordedClient(`c${this.#clients}`, client, this.history, () => {
      this.operations += 1;
    });
  }

  /** An undecided check fails; the lab would let it pass. */
  requireLinearizable(): void {
    requireLinearizable(this.history.history());
  }

  #link(): void {
    this.world.setLinks((one, other) => {
      if (!this.isConnected(one) || !this.isConnected(other)) return false;
      return this.#sides.get(one) === this.#sides.get(other);
    });
  }
}

/** Without its padding. */
function nameOf(value: string): string {
  return value.slice(0, 40);
}

/** Fails when it takes longer; what it answers otherwise. */
export async function within<Value>(
  lab: Lab,
  ms: number,
  what: string,
  run: Promise<Value>,
): Promise<Value> {
  const result = await Promise.race([
    run.then((value) => ({ value })),
    lab.sleep(ms).then(() => undefined),
  ]);
  check(result !== undefined, () => `${what} took longer than ${ms} ms`);
  return result.value;
}

export function range(count: number, from = 0): readonly number[] {
  return Array.from({ length: count }, (_, at) => from + at);
}
