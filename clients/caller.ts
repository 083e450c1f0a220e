/**
 * What all calls share: the nodes as far as they are known, the session, and the rules by which a
 * read or a write is carried through. Knows nothing of keys and values.
 *
 * Exactly once (thesis 6.3): a write keeps its session and sequence over all its tries. A session
 * that the servers have forgotten is replaced, and the write moves to the new one, only if no
 * earlier try may have been applied: the new session would not recognize the repeat.
 */
import { systemClock } from "./clock.ts";
import { API_PREFIX, SESSION_HEADER, sessionResponseSchema } from "./contract.ts";
import { decode } from "./decode.ts";
import { type EndpointChooser, parseEndpoint, parseEndpoints, RoundRobin } from "./endpoint.ts";
import { ClientClosedError } from "./errors.ts";
import type { Answer, Body, Refusal } from "./http-try.ts";
import { LeaderFinder } from "./leader-finder.ts";
import { Operation } from "./operation.ts";
import type { CallOptions, KvClientOptions, ReadOptions } from "./options.ts";
import { type Request, Requester, refusalError } from "./requester.ts";
import { defaultRetryPolicy } from "./retry.ts";
import { SessionKeeper } from "./session-keeper.ts";

const TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
const SESSIONS_PATH = `${API_PREFIX}/sessions`;

export interface Read {
  readonly path: string;
  readonly expects?: "json" | "bytes";
}

export interface Write {
  readonly method: "PUT" | "DELETE";
  readonly path: string;
  readonly body?: Body;
  readonly headers: Record<string, string>;
}

export class Caller {
  /** As configured, in their normal form. */
  readonly endpoints: readonly string[];
  readonly #options: KvClientOptions;
  readonly #requester: Requester;
  readonly #leader: EndpointChooser;
  readonly #anyNode: EndpointChooser;
  readonly #sessions: SessionKeeper;
  /** Ends an opening of a session that nobody waits for any more. */
  readonly #closing = new AbortController();
  #writesUnderWay = 0;
  #onDrained: (() => void) | undefined = undefined;
  #isClosed = false;

  constructor(options: KvClientOptions) {
    const random = options.random ?? Math.random;
    this.#options = options;
    this.endpoints = parseEndpoints(options.endpoints);
    this.#requester = new Requester({
      fetch: options.fetch ?? ((url, init) => fetch(url, init)),
      clock: options.clock ?? systemClock,
      random,
      retry: { ...defaultRetryPolicy, ...options.retry },
    });
    this.#leader = new LeaderFinder(this.endpoints);
    this.#anyNode = new RoundRobin(this.endpoints, Math.floor(random() * this.endpoints.length));
    this.#sessions = new SessionKeeper({
      begin: () => this.#begin({ signal: this.#closing.signal }),
      open: (operation) => this.#openSession(operation),
    });
  }

  /** Undefined when the key is absent. */
  async read(read: Read, options: ReadOptions): Promise<Answer | undefined> {
    const chooser = options.consistency === "stale" ? this.#anyNode : this.#leader;
    return this.#readFrom(chooser, read, options);
  }

  /** The same, of one node or of any. */
  async readNode(
    read: Read,
    options: CallOptions & { readonly endpoint?: string | undefined },
  ): Promise<Answer | undefined> {
    const { endpoint } = options;
    if (endpoint === undefined) return this.#readFrom(this.#anyNode, read, options);
    return this.#readFrom(new RoundRobin([parseEndpoint(endpoint)]), read, options);
  }

  /** The answer, or the refusal of a condition that does not hold; rejects with anything else. */
  async write(write: Write, options: CallOptions): Promise<Answer | Refusal> {
    this.#checkOpen();
    const operation = this.#begin(options);
    this.#writesUnderWay += 1;
    try {
      const result =
        this.#options.session === false
          ? await this.#writeOnce(write, operation)
          : await this.#writeInSession(write, operation);
      if (result.kind === "answer" || result.code === "CONDITION_FAILED") return result;
      throw refusalError(result, operation);
    } finally {
      this.#writesUnderWay -= 1;
      if (this.#writesUnderWay === 0) this.#onDrained?.();
    }
  }

  /** Lets the writes under way come to their end, then closes the session. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#writesUnderWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
    }
    this.#closing.abort();
    const session = this.#sessions.current;
    if (session === undefined) return;
    session.expire();
    const path = `${SESSIONS_PATH}/${encodeURIComponent(session.id)}`;
    const request = { method: "DELETE", path, isWrite: false, isRepeatable: true } as const;
    const operation = this.#begin({ timeoutMs: CLOSE_TIMEOUT_MS });
    // Best effort: the servers forget an idle session by themselves.
    await this.#requester.send(request, this.#leader, operation).catch(() => undefined);
  }

  async #readFrom(
    chooser: EndpointChooser,
    read: Read,
    options: CallOptions,
  ): Promise<Answer | undefined> {
    this.#checkOpen();
    const operation = this.#begin(options);
    const request: Request = { ...read, method: "GET", isWrite: false, isRepeatable: true };
    const result = await this.#requester.send(request, chooser, operation);
    if (result.kind === "answer") return result;
    if (result.code === "NOT_FOUND") return undefined;
    throw refusalError(result, operation);
  }

  #writeOnce(write: Write, operation: Operation): Promise<Answer | Refusal> {
    const { headers, ...rest } = write;
    const request = { ...rest, headers: () => headers, isWrite: true, isRepeatable: false };
    return this.#requester.send(request, this.#leader, operation);
  }

  async #writeInSession(write: Write, operation: Operation): Promise<Answer | Refusal> {
    for (;;) {
      const { session, sequence } = await this.#sessions.enter(operation);
      const request: Request = {
        ...write,
        headers: () => ({ ...write.headers, [SESSION_HEADER]: session.header(sequence) }),
        isWrite: true,
        isRepeatable: true,
      };
      let result: Answer | Refusal;
      try {
        result = await this.#requester.send(request, this.#leader, operation);
      } finally {
        session.finish(sequence);
      }
      if (result.kind === "answer" || result.code !== "SESSION_EXPIRED") return result;
      session.expire();
      if (operation.isInDoubt) return result;
      await this.#requester.pause(operation);
    }
  }

  async #openSession(operation: Operation): Promise<string> {
    // Not a write to the store: one that is opened twice is only an idle session more.
    const request: Request = {
      method: "POST",
      path: SESSIONS_PATH,
      isWrite: false,
      isRepeatable: true,
    };
    const result = await this.#requester.send(request, this.#leader, operation);
    if (result.kind === "refusal") throw refusalError(result, operation);
    return decode(sessionResponseSchema, result.body).id;
  }

  #begin({ timeoutMs, signal }: CallOptions): Operation {
    const { clock, timeoutMs: defaultMs } = this.#options;
    return new Operation(clock ?? systemClock, timeoutMs ?? defaultMs ?? TIMEOUT_MS, signal);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClientClosedError();
  }
}
