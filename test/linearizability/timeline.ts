/**
 * The calls and returns of operations in time, as a doubly linked list from which the search lifts
 * an operation when it has found a place for it and puts it back when that place was wrong (Wing
 * and Gong's list, Knuth's dancing links). Operations must be put back in the reverse order.
 *
 * Events are numbered from 1 in time; 0 stands before the first and after the last. At the same
 * moment calls come before returns: operations that touch are concurrent.
 */
import { assert } from "../../raft/index.ts";

/** The end of the list. */
export const END = 0;

interface Span {
  readonly callOrder: number;
  readonly returnOrder: number;
}

export class Timeline {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #operation: Int32Array;
  readonly #callEvent: Int32Array;
  readonly #returnEvent: Int32Array;

  /** Operations are numbered as they stand here. */
  constructor(spans: readonly Span[]) {
    const length = 2 * spans.length + 1;
    this.#next = new Int32Array(length);
    this.#previous = new Int32Array(length);
    this.#operation = new Int32Array(length);
    this.#callEvent = new Int32Array(spans.length);
    this.#returnEvent = new Int32Array(spans.length);
    eventsInTime(spans).forEach(({ operation, isReturn }, index) => {
      (isReturn ? this.#returnEvent : this.#callEvent)[operation] = index + 1;
      this.#operation[index + 1] = operation;
    });
    for (let event = 0; event < length; event += 1) {
      this.#next[event] = (event + 1) % length;
      this.#previous[event] = (event + length - 1) % length;
    }
  }

  first(): number {
    return this.next(END);
  }

  next(event: number): number {
    return this.#next[event] ?? END;
  }

  operationAt(event: number): number {
    return this.#operation[event] ?? 0;
  }

  isReturn(event: number): boolean {
    return this.#returnEvent[this.operationAt(event)] === event;
  }

  lift(operation: number): void {
    this.#unlink(this.#callEvent[operation] ?? END);
    this.#unlink(this.#returnEvent[operation] ?? END);
  }

  putBack(operation: number): void {
    this.#link(this.#returnEvent[operation] ?? END);
    this.#link(this.#callEvent[operation] ?? END);
  }

  #unlink(event: number): void {
    const previous = this.#previous[event] ?? END;
    const next = this.next(event);
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }

  #link(event: number): void {
    this.#next[this.#previous[event] ?? END] = event;
    this.#previous[this.next(event)] = event;
  }
}

interface Event {
  readonly operation: number;
  readonly order: number;
  readonly isReturn: boolean;
}

function eventsInTime(spans: readonly Span[]): readonly Event[] {
  const events = spans.flatMap(({ callOrder, returnOrder }, operation): readonly Event[] => {
    assert(callOrder <= returnOrder, "an operation returns after its call");
    return [
      { operation, order: callOrder, isReturn: false },
      { operation, order: returnOrder, isReturn: true },
    ];
  });
  return events.sort((a, b) => a.order - b.order || Number(a.isReturn) - Number(b.isReturn));
}
