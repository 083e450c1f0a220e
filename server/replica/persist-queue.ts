/**
 * Keeps Readys in their order on the way to the disk.
 *
 * Invariants: jobs finish in the order in which they were pushed; a job that writes nothing still
 * waits for every job before it; a barrier (a snapshot install) starts only when all before it
 * have finished, and nothing after it starts until it has. Several ordinary jobs may be under way
 * at once: storage completes them in order and gathers them into one flush.
 */
import { assert } from "../../raft/index.ts";

export interface PersistJob {
  /** Starts the work and calls `done` when it is durable; undefined when there is nothing to do. */
  readonly start: ((done: () => void) => void) | undefined;
  readonly barrier: boolean;
  /** Called in order, once everything up to this job is durable. */
  readonly finish: () => void;
}

interface Slot {
  readonly job: PersistJob;
  state: "waiting" | "started" | "done";
}

export class PersistQueue {
  #slots: Slot[] = [];

  get size(): number {
    return this.#slots.length;
  }

  push(job: PersistJob): void {
    this.#slots.push({ job, state: "waiting" });
    this.#advance();
  }

  #advance(): void {
    this.#startAll();
    while (this.#slots[0]?.state === "done") {
      const slot = this.#slots.shift();
      slot?.job.finish();
      this.#startAll();
    }
  }

  #startAll(): void {
    for (let i = 0; i < this.#slots.length; i++) {
      const slot = this.#slots[i];
      if (slot === undefined) return;
      if (slot.state === "waiting") {
        if (slot.job.barrier && i > 0) return;
        this.#start(slot);
      }
      if (slot.job.barrier) return;
    }
  }

  #start(slot: Slot): void {
    if (slot.job.start === undefined) {
      slot.state = "done";
      return;
    }
    slot.state = "started";
    let inStart = true;
    slot.job.start(() => {
      assert(slot.state === "started", "a persist job completes once");
      slot.state = "done";
      if (!inStart) this.#advance();
    });
    inStart = false;
  }
}
