/**
 * The client's current session: opened with the first write, shared by all, replaced when the
 * servers have forgotten it. How one is opened is handed in.
 *
 * Invariant: at most one opening is under way. It belongs to no single write, so a write that is
 * aborted does not take the session away from the others.
 */
import { TimeoutError } from "./errors.ts";
import type { Operation } from "./operation.ts";
import { Session } from "./session.ts";

export interface Ticket {
  readonly session: Session;
  readonly sequence: number;
}

export interface SessionCalls {
  /** The operation to open a session in. */
  begin(): Operation;
  /** Resolves with the id of a new session. */
  open(operation: Operation): Promise<string>;
}

interface Opening {
  readonly operation: Operation;
  readonly session: Promise<Session>;
}

export class SessionKeeper {
  readonly #calls: SessionCalls;
  #session: Session | undefined = undefined;
  #opening: Opening | undefined = undefined;

  constructor(calls: SessionCalls) {
    this.#calls = calls;
  }

  /** The session to close in the end, if there is one. */
  get current(): Session | undefined {
    return this.#session?.isExpired === false ? this.#session : undefined;
  }

  /** A place in the current session. Rejects when there is none before the operation ends. */
  async enter(operation: Operation): Promise<Ticket> {
    for (;;) {
      operation.check();
      const session = this.current ?? (await this.#opened(operation));
      const sequence = await session?.begin(operation);
      if (session !== undefined && sequence !== undefined) return { session, sequence };
    }
  }

  /** Undefined when that attempt timed out; the operation may have time left for another. */
  async #opened(operation: Operation): Promise<Session | undefined> {
    this.#opening ??= this.#open();
    const opening = this.#opening;
    try {
      return await operation.wait(opening.session, opening.operation);
    } catch (error) {
      if (error instanceof TimeoutError && operation.remainingMs() > 0) return undefined;
      throw error;
    }
  }

  #open(): Opening {
    const operation = this.#calls.begin();
    const session = this.#calls
      .open(operation)
      .then((id) => {
        this.#session = new Session(id);
        return this.#session;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return { operation, session };
  }
}
