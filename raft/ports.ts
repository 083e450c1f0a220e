/**
 * What a host lends a replica: time and a state machine. Types only; `raft/` itself uses none of
 * them. Ports complete by callback, not by promise, so that a simulator owns the order of
 * everything.
 */
import type { CommandEntry, Entry, MonotonicMs } from "./types.ts";

export interface Clock {
  /** Monotonic milliseconds, unrelated to the wall clock. */
  now(): MonotonicMs;
  /** Calls `run` every `intervalMs`; a late timer fires once, not once per missed interval. */
  every(intervalMs: number, run: () => void): Timer;
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` at the end of this turn of the event loop, after all input that is ready. */
  soon(run: () => void): void;
}

export interface Timer {
  cancel(): void;
}

/**
 * The plug: any deterministic state machine can stand on the same replica. `Result` is what a
 * command answers with; it is handed to whoever proposed it, and must not change afterwards.
 *
 * `apply` can not throw and knows no clock, no randomness and no order but that of the log; a bad
 * command gives an error result, the same on every replica.
 */
export interface StateMachine<Result> {
  /** Applies entries in log order; `answer` is called once for every command entry, in order. */
  apply(entries: readonly Entry[], answer: (entry: CommandEntry, result: Result) => void): void;
  /** The earliest cluster time at which something expires, or undefined. */
  nextDeadline(): number | undefined;
  /** Pins the present state; synchronous and cheap. The chunks may be produced long after. */
  capture(): StateCapture;
  /** Starts replacing the whole state; nothing is visible before `end`. */
  beginRestore(): StateRestore;
}

export interface StateCapture {
  /** Small bytes about the whole (revision, hash): they go into the snapshot's header. */
  readonly summary: Uint8Array;
  /** The state as typed, versioned sections cut in pieces of at most 256 KiB. */
  chunks(): IterableIterator<Uint8Array>;
  /** Lets go of the pinned state. */
  release(): void;
}

export interface StateRestore {
  chunk(bytes: Uint8Array): void;
  /** Swaps the new state in; throws when the sections are incomplete. */
  end(): void;
}
