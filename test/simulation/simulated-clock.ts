/**
 * One process's view of virtual time, and the one way in which anything reaches that process. Its
 * rate may differ from that of others and change; when the process stalls, what is due waits and
 * then fires once; when it ends, nothing of it fires again.
 *
 * Invariant: production code of a process only runs inside `deliver`, so whoever made the clock
 * sees every failure of that process, and decides what becomes of it.
 */
import type { Clock, Timer } from "../../raft/index.ts";
import type { Scheduled, Scheduler } from "./scheduler.ts";

export interface ClockSettings {
  /** How many of its own milliseconds pass in one of virtual time. */
  readonly rate: number;
  /** What it shows at the start of virtual time. */
  readonly originMs: number;
  /** Runs a piece of the process's code and deals with what it throws. */
  readonly guard: (run: () => void) => void;
}

export class SimulatedClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #guard: (run: () => void) => void;
  #rate: number;
  /** The own time and the virtual time at the last change of rate. */
  #ownMs: number;
  #sinceMs: number;
  #stalledUntilMs = 0;
  #isEnded = false;
  readonly #alarms = new Set<Alarm>();

  constructor(scheduler: Scheduler, { rate, originMs, guard }: ClockSettings) {
    this.#scheduler = scheduler;
    this.#guard = guard;
    this.#rate = rate;
    this.#ownMs = originMs + scheduler.nowMs * rate;
    this.#sinceMs = scheduler.nowMs;
  }

  get isStalled(): boolean {
    return this.#scheduler.nowMs < this.#stalledUntilMs;
  }

  /** Timers that may still fire. */
  get timers(): number {
    return this.#alarms.size;
  }

  now(): number {
    return this.#ownMs + (this.#scheduler.nowMs - this.#sinceMs) * this.#rate;
  }

  every(intervalMs: number, run: () => void): Timer {
    return this.#start(new Alarm(this, run, intervalMs, true));
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#start(new Alarm(this, run, delayMs, false));
  }

  soon(run: () => void): void {
    this.#scheduler.after(0, () => this.deliver(run));
  }

  /** Goes on at another rate from now; timers that run keep the own time they were set for. */
  setRate(rate: number): void {
    this.#ownMs = this.now();
    this.#sinceMs = this.#scheduler.nowMs;
    this.#rate = rate;
    for (const alarm of this.#alarms) alarm.reschedule();
  }

  /** Nothing of this process runs before `untilMs` of virtual time. */
  stall(untilMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, untilMs);
  }

  end(): void {
    this.#isEnded = true;
  }

  /** Runs `run` as soon as the process is awake, unless it has ended by then. */
  deliver(run: () => void): void {
    if (this.#isEnded) return;
    if (this.isStalled) this.#scheduler.at(this.#stalledUntilMs, () => this.deliver(run));
    else this.#guard(run);
  }

  /** At a moment of the own time. */
  scheduleAt(ownMs: number, run: () => void): Scheduled {
    return this.#scheduler.after((ownMs - this.now()) / this.#rate, run);
  }

  forget(alarm: Alarm): void {
    this.#alarms.delete(alarm);
  }

  #start(alarm: Alarm): Alarm {
    this.#alarms.add(alarm);
    return alarm;
  }
}

class Alarm implements Timer {
  readonly #clock: SimulatedClock;
  readonly #run: () => void;
  readonly #intervalMs: number;
  readonly #repeats: boolean;
  #dueMs: number;
  #scheduled: Scheduled;
  #isCancelled = false;
  /** Its moment has come; it may still wait for the process to be awake. */
  #isDue = false;

  constructor(clock: SimulatedClock, run: () => void, intervalMs: number, repeats: boolean) {
    this.#clock = clock;
    this.#run = run;
    this.#intervalMs = intervalMs;
    this.#repeats = repeats;
    this.#dueMs = clock.now() + intervalMs;
    this.#scheduled = clock.scheduleAt(this.#dueMs, this.#due);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#scheduled.cancel();
    this.#clock.forget(this);
  }

  reschedule(): void {
    if (this.#isDue) return;
    this.#scheduled.cancel();
    this.#scheduled = this.#clock.scheduleAt(this.#dueMs, this.#due);
  }

  readonly #due = (): void => {
    this.#isDue = true;
    this.#clock.deliver(this.#fire);
  };

  readonly #fire = (): void => {
    this.#isDue = false;
    if (this.#isCancelled) return;
    if (!this.#repeats) {
      this.#clock.forget(this);
      this.#run();
      return;
    }
    this.#run();
    if (this.#isCancelled) return;
    this.#dueMs = this.#clock.now() + this.#intervalMs;
    this.#scheduled = this.#clock.scheduleAt(this.#dueMs, this.#due);
  };
}
