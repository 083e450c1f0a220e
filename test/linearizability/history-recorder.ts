/**
 * Writes down what clients do as they do it. The order of calls and returns is the order in which
 * this recorder was told of them: tell it of a call before sending, and of a return after the
 * answer has arrived, in one process.
 */
import { assert } from "../../raft/index.ts";
import type { HistoryOperation, Input, Output } from "./history.ts";

/** One operation under way. It ends once; one that has not ended is unknown. */
export interface RecordedCall {
  ok(output: Output): void;
  /** It certainly has no effect, now or later. */
  fail(): void;
  unknown(): void;
}

export class HistoryRecorder {
  readonly #nowMs: (() => number) | undefined;
  readonly #history: HistoryOperation[] = [];
  #order = 0;

  /** The clock only tells people the time. */
  constructor(nowMs?: () => number) {
    this.#nowMs = nowMs;
  }

  call(client: string, input: Input): RecordedCall {
    const callMs = this.#nowMs?.();
    const time = callMs === undefined ? {} : { callMs };
    const span = { client, input, callOrder: this.#nextOrder(), ...time };
    const at = this.#history.length;
    this.#history.push({ ...span, outcome: "unknown" });
    let hasEnded = false;
    const end = (operation: HistoryOperation): void => {
      assert(!hasEnded, "an operation ends once");
      hasEnded = true;
      const returnMs = this.#nowMs?.();
      this.#history[at] = returnMs === undefined ? operation : { ...operation, returnMs };
    };
    return {
      ok: (output) => end({ ...span, outcome: "ok", output, returnOrder: this.#nextOrder() }),
      fail: () => end({ ...span, outcome: "fail", returnOrder: this.#nextOrder() }),
      unknown: () => end({ ...span, outcome: "unknown", returnOrder: this.#nextOrder() }),
    };
  }

  /** Everything so far, in the order of the calls. */
  history(): readonly HistoryOperation[] {
    return [...this.#history];
  }

  #nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }
}
