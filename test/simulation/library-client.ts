/**
 * A user of the production client library: sessions, search for the leader, retries and deadlines
 * are the library's own, over a simulated clock, network and dice. What the library tells it of an
 * operation goes into the history that is checked, the outcome of a failure included.
 */
import {
  type CallOptions,
  type ClientErrorCode,
  type Entry,
  KvClient,
  KvClientError,
  type Page,
} from "../../clients/index.ts";
import type { SeededRandom } from "../../raft/index.ts";
import type { Condition, Output, RecordedCall } from "../linearizability/index.ts";
import { chance, exponential, fork, pick } from "./chance.ts";
import { ClientLinks } from "./client-links.ts";
import type { Client } from "./clientele.ts";
import type { Cluster } from "./cluster.ts";
import type { HttpFront } from "./http-front.ts";
import { observedOf, optionsOf, outputOf, shownOf } from "./library-words.ts";
import type { PageRequest } from "./specification.ts";
import { drawPrefix } from "./translation.ts";
import { Violation } from "./violation.ts";
import { drawCondition, drawValue, NO_CONDITION } from "./wishes.ts";

const TIMEOUT_MS = 4_000;
/** One of its tries costs as much as several of a bare client, and it tries more often. */
const THINK_FACTOR = 3;
const ABORT_CHANCE = 0.03;
const ABORT_MS_MEAN = 200;
const PAGES_MAX = 3;

/** What may go wrong for somebody who does everything right. */
const ORDINARY: ReadonlySet<ClientErrorCode> = new Set([
  "TIMEOUT",
  "ABORTED",
  "CLIENT_CLOSED",
  "OUTCOME_UNKNOWN",
  "SESSION_EXPIRED",
  // The simulated servers remember less of a session than the library counts on.
  "SESSION_CONFLICT",
]);

type Wish =
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly key: string };

export class LibraryClient implements Client {
  readonly id: number;
  readonly #cluster: Cluster;
  readonly #random: SeededRandom;
  readonly #dice: SeededRandom;
  readonly #links: ClientLinks;
  #kv: KvClient;
  readonly #kvWithoutSession: KvClient;
  #underWay = 0;
  #values = 0;
  #isStopped = false;
  /** The newest revision it was told of. */
  #seenRevision = 0;

  constructor(id: number, cluster: Cluster, front: HttpFront) {
    this.id = id;
    this.#cluster = cluster;
    this.#random = fork(cluster.seed, `library client ${id}`);
    this.#dice = fork(cluster.seed, `library dice ${id}`);
    this.#links = new ClientLinks(cluster, front, fork(cluster.seed, `client links ${id}`));
    this.#links.lossChance = pick(this.#random, [0, 0.01, 0.1]);
    this.#kv = this.#connect(true);
    this.#kvWithoutSession = this.#connect(false);
    this.#next();
  }

  get underWay(): number {
    return this.#underWay;
  }

  stop(): void {
    this.#isStopped = true;
    this.#links.lossChance = 0;
  }

  burst(operations: number): void {
    for (let i = 0; i < operations; i += 1) this.#begin();
  }

  lastWord(done: (isApplied: boolean) => void): void {
    const wish: Wish = { kind: "put", key: `last ${this.id}`, value: this.#newValue() };
    this.#write(this.#kvWithoutSession, wish, NO_CONDITION, done);
  }

  #connect(session: boolean): KvClient {
    const { endpoints, clock, fetch } = this.#links;
    const random = (): number => this.#dice.next();
    return new KvClient({ endpoints, clock, fetch, random, session, timeoutMs: TIMEOUT_MS });
  }

  #next(): void {
    const { scheduler, shape } = this.#cluster;
    scheduler.after(exponential(this.#random, THINK_FACTOR * shape.thinkMs), () => {
      if (this.#isStopped) return;
      if (this.#underWay < shape.pipeline) this.#begin();
      this.#next();
    });
  }

  #begin(): void {
    const dice = this.#random.next();
    if (dice < 0.3) this.#get("linearizable");
    else if (dice < 0.4) this.#get("stale");
    else if (dice < 0.5) this.#list(chance(this.#random, 0.7) ? "linearizable" : "stale");
    else if (dice < 0.55) this.#writeSomething(this.#kvWithoutSession);
    else if (dice < 0.56) this.#reconnect();
    else this.#writeSomething(this.#kv);
  }

  /** Another client takes over, as when a process of the user's begins anew. */
  #reconnect(): void {
    const { scheduler, tally } = this.#cluster;
    tally.count("client: closed");
    void this.#kv.close();
    this.#kv = this.#connect(true);
    scheduler.wake();
  }

  // ---- Writes ----------------------------------------------------------------------------------

  #writeSomething(kv: KvClient): void {
    const key = this.#drawKey();
    const isDelete = chance(this.#random, 0.12);
    const wish: Wish = isDelete
      ? { kind: "delete", key }
      : { kind: "put", key, value: this.#newValue() };
    this.#write(kv, wish, drawCondition(this.#random, this.#seenRevision), () => {});
  }

  #write(kv: KvClient, wish: Wish, condition: Condition, done: (isApplied: boolean) => void): void {
    const call = this.#cluster.history.call(`${this.id}`, { ...wish, condition });
    const options = {
      ...this.#callOptions(),
      ...optionsOf(condition),
      previous: chance(this.#random, 0.2),
    };
    this.#run(async () => {
      const isApplied = await this.#answered(wish.kind, call, async () => {
        const result =
          wish.kind === "put"
            ? await kv.put(wish.key, wish.value, options)
            : await kv.delete(wish.key, options);
        if (result.ok) this.#saw(result.revision);
        return outputOf(result);
      });
      done(isApplied);
    });
  }

  // ---- Reads -----------------------------------------------------------------------------------

  #get(consistency: "linearizable" | "stale"): void {
    const { ledger, history } = this.#cluster;
    const key = this.#drawKey();
    const isFresh = consistency === "linearizable";
    const call = isFresh ? history.call(`${this.id}`, { kind: "get", key }) : undefined;
    const { minRevision, floor } = this.#demand(isFresh);
    const options = { ...this.#callOptions(), consistency, minRevision };
    this.#run(async () => {
      await this.#answered(`${consistency} get`, call, async () => {
        const entry = await this.#kv.get(key, options);
        const record = entry === undefined ? undefined : shownOf(entry);
        ledger.shown(key, record, floor);
        if (record !== undefined) this.#saw(record.revision);
        return { kind: "record", record: observedOf(entry) };
      });
    });
  }

  /** Page after page, each a read of its own. */
  #list(consistency: "linearizable" | "stale"): void {
    const prefix = drawPrefix(this.#random);
    const limit = 1 + this.#random.below(6);
    const pages = 1 + this.#random.below(PAGES_MAX);
    const callOptions = this.#callOptions();
    this.#run(async () => {
      let start = "";
      let cursor: string | undefined;
      for (let page = 0; page < pages; page += 1) {
        const { minRevision, floor } = this.#demand(consistency === "linearizable");
        const options = { ...callOptions, consistency, minRevision, prefix, limit, cursor };
        const isAnswered = await this.#answered(`${consistency} list`, undefined, async () => {
          const answer = await this.#kv.list(options);
          ({ cursor } = answer);
          start = this.#judgePage({ prefix, start, limit }, answer, floor);
        });
        if (!isAnswered || cursor === undefined) return;
      }
    });
  }

  /** Returns where the next page begins, which the client only has as a cursor. */
  #judgePage(request: PageRequest, page: Page<Entry>, floor: number): string {
    const items = page.items.map((entry) => ({ key: `${entry.key}`, record: shownOf(entry) }));
    const isLast = page.cursor === undefined;
    const { ledger } = this.#cluster;
    const { next } = ledger.listed(request, { items, isLast }, page.revision, floor);
    this.#saw(page.revision);
    return next ?? "";
  }

  // ---- Helpers ---------------------------------------------------------------------------------

  /** A call of the library, of which nobody else waits for the end. */
  #run(operation: () => Promise<void>): void {
    const { scheduler, trace } = this.#cluster;
    this.#underWay += 1;
    scheduler.wake();
    operation()
      .finally(() => {
        this.#underWay -= 1;
        trace.mix(9, this.id, this.#underWay, 0);
      })
      .catch((error: unknown) => scheduler.fail(error));
  }

  /** Writes down how a call ended; true when it was answered. */
  async #answered(
    what: string,
    call: RecordedCall | undefined,
    ask: () => Promise<Output | undefined>,
  ): Promise<boolean> {
    const { tally, trace } = this.#cluster;
    try {
      const output = await ask();
      if (output !== undefined) call?.ok(output);
      tally.count(`library: ${what}`);
      return true;
    } catch (error) {
      if (!(error instanceof KvClientError)) throw error;
      if (!ORDINARY.has(error.code)) {
        throw new Violation(`the client library fails a ${what}`, "crash", { cause: error });
      }
      trace.note(`library client ${this.id}: ${what}: ${error.code}, ${error.outcome}`);
      tally.count(`library: ${error.code}`);
      if (error.outcome === "not_applied") call?.fail();
      else call?.unknown();
      return false;
    }
  }

  /** Now and then somebody loses patience. */
  #callOptions(): CallOptions {
    if (!chance(this.#random, ABORT_CHANCE)) return {};
    const { scheduler } = this.#cluster;
    const controller = new AbortController();
    scheduler.after(exponential(this.#random, ABORT_MS_MEAN), () => {
      scheduler.wake();
      controller.abort();
    });
    return { signal: controller.signal };
  }

  /** What a read asks for, and the revision below which its answer is wrong. */
  #demand(isLinearizable: boolean): { readonly minRevision: number; readonly floor: number } {
    const minRevision = chance(this.#random, 0.7) ? this.#seenRevision : 0;
    const { seenRevision } = this.#cluster.ledger;
    return {
      minRevision,
      floor: isLinearizable ? Math.max(minRevision, seenRevision) : minRevision,
    };
  }

  #drawKey(): string {
    return `key ${this.#random.below(this.#cluster.shape.keys)}`;
  }

  #newValue(): string {
    this.#values += 1;
    const { valueBytesMax } = this.#cluster.shape;
    return drawValue(this.#random, this.id, this.#values, valueBytesMax);
  }

  #saw(revision: number): void {
    this.#seenRevision = Math.max(this.#seenRevision, revision);
  }
}
