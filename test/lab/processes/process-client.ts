/**
 * The lab's clerk over the TypeScript client. On an unreliable network its requests wait and get
 * lost, and so do its answers: in `fetch`, where the client meets the network.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Entry, type Fetch, KvClient, OutcomeUnknownError } from "../../../clients/index.ts";
import type { Condition, ObservedRecord } from "../../linearizability/index.ts";
import { LOSS, REQUEST_WAIT_MS_MAX } from "../weather.ts";
import type { LabClient, PutAnswer } from "../world.ts";
import type { ProcessWorld } from "./process-world.ts";

/** A clerk of the lab asks until it is answered; a test is over before this is. */
const PATIENCE_MS = 120_000;

/** The request did not leave: what fetch says when nobody listens. */
class LostRequestError extends Error {
  override readonly name = "LostRequestError";
  readonly code = "ECONNREFUSED";
}

class LostAnswerError extends Error {
  override readonly name = "LostAnswerError";
}

export class ProcessClient implements LabClient {
  readonly #world: ProcessWorld;
  readonly #inSession: KvClient;
  readonly #once: KvClient;

  constructor(world: ProcessWorld, endpoints: readonly string[]) {
    this.#world = world;
    const random = () => world.random.next();
    const options = { endpoints, random, fetch: this.#fetch, timeoutMs: PATIENCE_MS };
    this.#inSession = new KvClient(options);
    this.#once = new KvClient({ ...options, session: false });
  }

  async get(key: string): Promise<ObservedRecord | null> {
    return observed(await this.#inSession.get(key));
  }

  async put(key: string, value: string, condition?: Condition): Promise<PutAnswer> {
    this.#world.noteEntry(key, value, true);
    return await put(this.#inSession, key, value, condition);
  }

  async putOnce(key: string, value: string, condition?: Condition): Promise<PutAnswer | "unknown"> {
    this.#world.noteEntry(key, value, false);
    try {
      return await put(this.#once, key, value, condition);
    } catch (error) {
      if (error instanceof OutcomeUnknownError) return "unknown";
      throw error;
    }
  }

  close(): void {
    void this.#inSession.close();
    void this.#once.close();
  }

  readonly #fetch: Fetch = async (url, init) => {
    const { random, weather } = this.#world;
    if (weather.isUnreliable) {
      await pause(random.below(REQUEST_WAIT_MS_MAX + 1));
      if (random.next() < LOSS) throw new LostRequestError("the request is lost");
    }
    const response = await fetch(url, init);
    if (weather.isUnreliable && random.next() < LOSS) {
      await response.text();
      throw new LostAnswerError("the answer is lost");
    }
    return response;
  };
}

async function put(
  client: KvClient,
  key: string,
  value: string,
  condition: Condition | undefined,
): Promise<PutAnswer> {
  const answer = await client.put(key, value, optionsOf(condition));
  if (!answer.ok) return { kind: "condition-failed", current: observed(answer.current) };
  return { kind: "put", revision: answer.revision, version: answer.version };
}

function optionsOf(condition: Condition | undefined) {
  switch (condition?.kind) {
    case "absent":
      return { ifAbsent: true } as const;
    case "exists":
      return { ifExists: true } as const;
    case "revision":
      return { ifRevision: condition.revision };
    default:
      return {};
  }
}

function observed(entry: Entry | undefined): ObservedRecord | null {
  if (entry === undefined) return null;
  const { revision, createRevision, version } = entry;
  return { value: String(entry.value), revision, createRevision, version };
}
