/**
 * The calls of one open file that are on their way. A descriptor closed under a call is given to
 * the next file that is opened, and the call then reads or writes that one: better no process than
 * such a write, so a file system asserts here that its caller waits.
 */
import { assert } from "../raft/index.ts";

export class FileUse {
  readonly #path: string;
  #onTheirWay = 0;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** The callback of a call that begins now: it ends the call, then tells. */
  begin<Arguments extends readonly unknown[]>(
    tell: (...outcome: Arguments) => void,
  ): (...outcome: Arguments) => void {
    this.check();
    this.#onTheirWay += 1;
    return (...outcome) => {
      this.#onTheirWay -= 1;
      tell(...outcome);
    };
  }

  /** For a synchronous call. */
  check(): void {
    assert(!this.#isClosed, `${this.#path} is used after it was closed`);
  }

  close(): void {
    this.check();
    assert(this.#onTheirWay === 0, `${this.#path} is closed under a call that is on its way`);
    this.#isClosed = true;
  }
}
