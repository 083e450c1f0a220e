/** What many runs came to, in figures; the last lines are all zeros, or something is wrong. */
import { FAULT_KINDS } from "./faults.ts";
import type { SoakResult } from "./soak-job.ts";
import { Tally } from "./tally.ts";
import { VIOLATION_KINDS, type ViolationKind } from "./violation.ts";

const TICK_MS = 10;
const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

const VIOLATION_NAMES: Readonly<Record<ViolationKind, string>> = {
  "lost-write": "lost acknowledged writes",
  "not-linearizable": "linearizability violations",
  "duplicate-execution": "duplicate executions",
  "two-leaders": "two leaders in a term",
  "state-mismatch": "state hash mismatches",
  undecided: "undecided checks",
  "non-deterministic": "non-deterministic seeds",
  "early-promise": "promises before they were durable",
  "not-live": "clusters that did not heal",
  growth: "unbounded growth",
  crash: "failed assertions",
  invariant: "other broken invariants",
};

export class SoakReport {
  readonly #tally = new Tally();
  readonly #violations = new Map<ViolationKind, number>();
  readonly #startedMs = Date.now();
  #seeds = 0;
  #repeats = 0;
  #virtualMs = 0;
  #cpuMs = 0;
  #events = 0;
  #judged = 0;

  get violations(): number {
    return [...this.#violations.values()].reduce((sum, times) => sum + times, 0);
  }

  add(result: SoakResult): void {
    this.#seeds += 1;
    this.#virtualMs += result.virtualMs;
    this.#cpuMs += result.cpuMs;
    this.#events += result.events;
    this.#judged += result.judged;
    for (const [kind, times] of result.counts) this.#tally.count(kind, times);
    if (result.violation !== undefined) this.#count(result.violation.kind);
  }

  /** A seed that ran before runs again: to the same end, event for event. */
  addRepeat(result: SoakResult, first: SoakResult): void {
    this.#repeats += 1;
    const isSame = result.hash === first.hash && result.events === first.events;
    if (!isSame) this.#count("non-deterministic");
  }

  text(): string {
    const hours = this.#virtualMs / HOUR_MS;
    const years = this.#virtualMs / YEAR_MS;
    const ratio = this.#virtualMs / this.#cpuMs;
    const cpuSeconds = this.#cpuMs / 1000;
    const wallSeconds = (Date.now() - this.#startedMs) / 1000;
    const faults = FAULT_KINDS.map((kind) => [kind, this.#tally.of(kind)] as const);
    const total = faults.reduce((sum, [, times]) => sum + times, 0);
    const others = this.#tally.counts.filter(([kind]) => !faults.some(([name]) => name === kind));
    return [
      "",
      line("seeds", this.#seeds, `${this.#repeats} of them run twice`),
      line("virtual hours", hours.toFixed(1), `${years.toFixed(4)} years`),
      line("ticks of 10 ms", count(this.#virtualMs / TICK_MS)),
      line("events", count(this.#events)),
      line(
        "times real time, per core",
        ratio.toFixed(0),
        `${cpuSeconds.toFixed(0)} s of CPU in ${wallSeconds.toFixed(0)} s`,
      ),
      line("faults", count(total)),
      ...faults.map(([kind, times]) => line(`  ${kind}`, count(times))),
      line("crashes of a process", count(this.#tally.of("process ended"))),
      line("power losses", count(this.#tally.of("power lost"))),
      line("operations checked", count(this.#judged)),
      "",
      `seen besides: ${others.map(([kind, times]) => `${kind} ${times}`).join(", ")}`,
      "",
      ...VIOLATION_KINDS.map((kind) =>
        line(VIOLATION_NAMES[kind], this.#violations.get(kind) ?? 0),
      ),
    ].join("\n");
  }

  #count(kind: ViolationKind): void {
    this.#violations.set(kind, (this.#violations.get(kind) ?? 0) + 1);
  }
}

function line(what: string, figure: string | number, note = ""): string {
  return `${what.padEnd(36)} ${String(figure).padStart(14)}  ${note}`.trimEnd();
}

function count(figure: number): string {
  return Math.round(figure).toLocaleString("en-US");
}
