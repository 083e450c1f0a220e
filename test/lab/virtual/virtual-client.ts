/**
 * The lab's clerk over the simulator: one request at a time, to any server, again and again until
 * there is an answer. Writes go under a session and a sequence, so that a repeat changes nothing
 * (thesis 6.3). On an unreliable network its own requests wait and get lost as those of servers do;
 * it is told at once that a request failed, though not which half of it, as labrpc tells.
 */
import type { WriteOutcome } from "../../../server/gateway.ts";
import type { KvResult, SessionStamp } from "../../../server/kv/index.ts";
import type { Condition, ObservedRecord } from "../../linearizability/index.ts";
import type { SimulatedNode } from "../../simulation/node.ts";
import type { Intent } from "../../simulation/operation.ts";
import { observed } from "../../simulation/translation.ts";
import { LOSS, REQUEST_WAIT_MS_MAX } from "../weather.ts";
import type { LabClient, PutAnswer } from "../world.ts";
import type { VirtualWorld } from "./virtual-world.ts";

const BACKOFF_MS_MIN = 20;
const BACKOFF_MS_MAX = 60;
/** In which a request is answered unless something of it was lost. */
const TRY_MS = 500;
const LATE: WriteOutcome = { kind: "unknown", reason: "timeout" };
const NOT_DONE = { kind: "not-done" } as const;
const NO_CONDITION: Condition = { kind: "none" };

type Try<Answer> =
  | { readonly kind: "answered"; readonly answer: Answer }
  | { readonly kind: "not-done" }
  | { readonly kind: "unknown" };

interface Session {
  readonly id: string;
  sequence: number;
}

export class VirtualClient implements LabClient {
  readonly #world: VirtualWorld;
  readonly #nodes: readonly SimulatedNode[];
  #at = 0;
  #session: Session | undefined;

  constructor(world: VirtualWorld, nodes: readonly SimulatedNode[]) {
    this.#world = world;
    this.#nodes = nodes;
    this.#at = world.random.below(nodes.length);
  }

  async get(key: string): Promise<ObservedRecord | null> {
    return await this.#untilAnswered((node) => this.#read(node, key));
  }

  async put(key: string, value: string, condition = NO_CONDITION): Promise<PutAnswer> {
    this.#session ??= await this.#openSession();
    this.#session.sequence += 1;
    const { id, sequence } = this.#session;
    const intent = putIntent(key, value, condition, { id, sequence, lowestUnanswered: sequence });
    return putAnswer(await this.#untilAnswered((node) => this.#write(node, intent)));
  }

  async putOnce(
    key: string,
    value: string,
    condition = NO_CONDITION,
  ): Promise<PutAnswer | "unknown"> {
    const intent = putIntent(key, value, condition, undefined);
    for (;;) {
      const tried = await this.#write(this.#next(), intent);
      if (tried.kind === "answered") return putAnswer(tried.answer);
      if (tried.kind === "unknown") return "unknown";
      await this.#backOff();
    }
  }

  async #openSession(): Promise<Session> {
    const intent: Intent = { kind: "open-session" };
    const result = await this.#untilAnswered((node) => this.#write(node, intent));
    if (result.kind !== "session-opened") throw new Error(`no session: ${result.kind}`);
    return { id: result.id, sequence: 0 };
  }

  async #untilAnswered<Answer>(
    run: (node: SimulatedNode) => Promise<Try<Answer>>,
  ): Promise<Answer> {
    for (;;) {
      const tried = await run(this.#next());
      if (tried.kind === "answered") return tried.answer;
      this.#at += 1;
      await this.#backOff();
    }
  }

  #next(): SimulatedNode {
    const node = this.#nodes[this.#at % this.#nodes.length];
    if (node === undefined) throw new Error("a client reaches somebody");
    return node;
  }

  #backOff(): Promise<void> {
    const range = BACKOFF_MS_MAX - BACKOFF_MS_MIN;
    return this.#world.sleep(BACKOFF_MS_MIN + this.#world.random.below(range));
  }

  async #write(node: SimulatedNode, intent: Intent): Promise<Try<KvResult>> {
    if (!(await this.#arrives())) return { kind: "not-done" };
    const outcome = await this.#patiently(this.#world.submit(node, intent, true), LATE);
    if (outcome.kind === "not-applied") return { kind: "not-done" };
    if (outcome.kind === "unknown" || this.#isLost()) return { kind: "unknown" };
    return { kind: "answered", answer: outcome.result };
  }

  async #read(node: SimulatedNode, key: string): Promise<Try<ObservedRecord | null>> {
    if (!(await this.#arrives())) return { kind: "not-done" };
    const { cluster } = this.#world;
    const floor = cluster.ledger.seen;
    const request = { consistency: "linearizable", minRevision: 0, forward: true } as const;
    const reading = this.#world.wait<Try<ObservedRecord | null>>((done) => {
      cluster.read(node, request, (outcome, process) => {
        if (outcome.kind !== "granted" || process === undefined) {
          done({ kind: "not-done" });
          return;
        }
        const { appliedIndex, revision, reader } = process.machine;
        const record = reader.get(key);
        cluster.ledger.read(key, record, appliedIndex, revision);
        cluster.ledger.readIsFresh(appliedIndex, floor);
        done({ kind: "answered", answer: observed(record) });
      });
    });
    const tried = await this.#patiently(reading, NOT_DONE);
    return this.#isLost() ? NOT_DONE : tried;
  }

  /** What comes later than a try may take is not waited for. */
  #patiently<Answer>(answer: Promise<Answer>, late: Answer): Promise<Answer> {
    return Promise.race([answer, this.#world.sleep(TRY_MS).then(() => late)]);
  }

  async #arrives(): Promise<boolean> {
    if (!this.#world.weather.isUnreliable) return true;
    await this.#world.sleep(this.#world.random.below(REQUEST_WAIT_MS_MAX + 1));
    return this.#world.random.next() >= LOSS;
  }

  #isLost(): boolean {
    return this.#world.weather.isUnreliable && this.#world.random.next() < LOSS;
  }
}

function putIntent(
  key: string,
  value: string,
  condition: Condition,
  stamp: SessionStamp | undefined,
): Intent {
  return { kind: "put", key, value, condition, wantPrevious: false, stamp };
}

function putAnswer(result: KvResult): PutAnswer {
  switch (result.kind) {
    case "put":
      return { kind: "put", revision: result.revision, version: result.version };
    case "condition-failed":
      return { kind: "condition-failed", current: observed(result.current) };
    default:
      throw new Error(`a put was answered ${result.kind}`);
  }
}
