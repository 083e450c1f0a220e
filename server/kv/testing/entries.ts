/** Short ways for tests to write a log by hand. */
import type { CommandEntry, Entry } from "../../../raft/index.ts";
import { encodeOpenSession } from "../command.ts";
import type { KvStateMachine } from "../kv-state-machine.ts";
import type { KvResult } from "../result.ts";

export function commandEntry(index: number, time: number, data: Uint8Array): CommandEntry {
  return { type: "command", group: 0, term: 1, index, time, data };
}

export function timeEntry(index: number, time: number): Entry {
  return { type: "time", group: 0, term: 1, index, time };
}

/** Applies commands one by one, each at the next index, and gives their results. */
export class LogWriter {
  readonly #machine: KvStateMachine;
  #index: number;
  #time: number;

  constructor(machine: KvStateMachine, time = 1_000, index = 0) {
    this.#machine = machine;
    this.#time = time;
    this.#index = index;
  }

  get index(): number {
    return this.#index;
  }

  wait(durationMs: number): void {
    this.#time += durationMs;
  }

  /** A time entry: what a leader proposes when a deadline is due. */
  tick(): void {
    this.#index += 1;
    this.#machine.apply([timeEntry(this.#index, this.#time)], () => {});
  }

  apply(data: Uint8Array): KvResult {
    this.#index += 1;
    const results: KvResult[] = [];
    this.#machine.apply([commandEntry(this.#index, this.#time, data)], (_, result) => {
      results.push(result);
    });
    const [result] = results;
    if (result === undefined || results.length !== 1) throw new Error("one command, one answer");
    return result;
  }

  openSession(): string {
    const result = this.apply(encodeOpenSession({ random: new Uint8Array(8).fill(7) }));
    if (result.kind !== "session-opened") throw new Error(`not opened: ${result.kind}`);
    return result.id;
  }
}

/** The chunks of a capture, and the capture let go. */
export function captureChunks(machine: KvStateMachine): Uint8Array[] {
  const capture = machine.capture();
  const chunks = [...capture.chunks()];
  capture.release();
  return chunks;
}

export function restoreFrom(machine: KvStateMachine, chunks: Iterable<Uint8Array>): void {
  const restore = machine.beginRestore();
  for (const chunk of chunks) restore.chunk(chunk);
  restore.end();
}

/** A byte string from text, and back: tests speak UTF-8. */
export function byteString(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}
