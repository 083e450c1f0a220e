/** A clock that stands still until a test moves it. */
import type { Clock, Timer } from "../../raft/index.ts";

interface Alarm {
  readonly at: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #now = 0;
  #alarms: Alarm[] = [];
  readonly #soon: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  every(intervalMs: number, run: () => void): Timer {
    let timer = this.after(intervalMs, function again() {
      run();
      timer = after(intervalMs, again);
    });
    const after = (delayMs: number, next: () => void): Timer => this.after(delayMs, next);
    return { cancel: () => timer.cancel() };
  }

  after(delayMs: number, run: () => void): Timer {
    const alarm = { at: this.#now + delayMs, run };
    this.#alarms.push(alarm);
    return {
      cancel: () => {
        this.#alarms = this.#alarms.filter((other) => other !== alarm);
      },
    };
  }

  soon(run: () => void): void {
    this.#soon.push(run);
  }

  /** Runs what was put off to the end of the turn; true when there was any. */
  runSoon(): boolean {
    const runs = this.#soon.splice(0);
    for (const run of runs) run();
    return runs.length > 0;
  }

  advance(byMs: number): void {
    this.#now += byMs;
    const due = this.#alarms.filter((alarm) => alarm.at <= this.#now).sort((a, b) => a.at - b.at);
    this.#alarms = this.#alarms.filter((alarm) => alarm.at > this.#now);
    for (const alarm of due) alarm.run();
  }
}
