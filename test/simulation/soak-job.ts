/** What the soak and its workers say to each other: one seed there, what it came to back. */
import type { SimulationRun } from "./simulation.ts";
import type { ViolationKind } from "./violation.ts";

export interface SoakJob {
  readonly seed: number;
  readonly durationMs: number;
  readonly nodes: number | undefined;
}

export interface SoakResult {
  readonly seed: number;
  readonly hash: string;
  readonly virtualMs: number;
  readonly cpuMs: number;
  readonly events: number;
  readonly judged: number;
  readonly counts: readonly (readonly [kind: string, times: number])[];
  readonly violation: { readonly kind: ViolationKind; readonly message: string } | undefined;
}

export function resultOf(run: SimulationRun, cpuMs: number): SoakResult {
  const { seed, hash, virtualMs, events, judged, tally, violation } = run;
  const found =
    violation === undefined ? undefined : { kind: violation.kind, message: violation.message };
  return { seed, hash, virtualMs, cpuMs, events, judged, counts: tally.counts, violation: found };
}
