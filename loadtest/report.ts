/** From rounds to figures, and from figures to a table. Measures nothing. */
import { LatencyHistogram } from "./latency-histogram.ts";
import type { Measured } from "./run.ts";
import { type Scenario, scenarioName } from "./scenario.ts";
import type { Sample } from "./target.ts";

export interface Figures {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  readonly errors: number;
  readonly non2xx: number;
  /** Summed over all processes of the cluster, or of the yardstick. */
  readonly cpuMicrosPerOperation: number | undefined;
  readonly fsyncsPerOperation: number | undefined;
}

export interface Ratio {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Result {
  readonly phase: string;
  readonly nodes: number;
  readonly reads: "read-index" | "lease";
  readonly scenario: Scenario;
  readonly rounds: number;
  readonly cluster: Figures;
  readonly yardstick: Figures | undefined;
  /** Requests per second of the cluster over those of the yardstick, round by round. */
  readonly ratio: Ratio | undefined;
}

export function resultOf({ phase, scenario, rounds }: Measured): Result {
  const bare = rounds.flatMap(({ yardstick }) => (yardstick === undefined ? [] : [yardstick]));
  const ratios = rounds.flatMap(({ cluster, yardstick }) =>
    yardstick === undefined ? [] : [perSecond(cluster) / perSecond(yardstick)],
  );
  return {
    phase: phase.title,
    nodes: phase.nodes,
    reads: phase.reads,
    scenario,
    rounds: rounds.length,
    cluster: figuresOf(rounds.map(({ cluster }) => cluster)),
    yardstick: bare.length === 0 ? undefined : figuresOf(bare),
    ratio: ratioOf(ratios),
  };
}

function perSecond({ requests, seconds }: Pick<Sample, "requests" | "seconds">): number {
  return requests / seconds;
}

function figuresOf(samples: readonly Sample[]): Figures {
  const latency = new LatencyHistogram();
  for (const sample of samples) latency.add(sample.latency);
  const total = (pick: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + pick(sample), 0);
  const requests = total((sample) => sample.requests);
  const perOperation = (pick: (sample: Sample) => number | undefined): number | undefined => {
    if (samples.some((sample) => pick(sample) === undefined)) return undefined;
    return total((sample) => pick(sample) ?? 0) / requests;
  };
  return {
    requests,
    requestsPerSecond: requests / total((sample) => sample.seconds),
    p50Ms: latency.percentileMs(0.5),
    p99Ms: latency.percentileMs(0.99),
    p999Ms: latency.percentileMs(0.999),
    maxMs: latency.percentileMs(1),
    errors: total((sample) => sample.errors),
    non2xx: total((sample) => sample.non2xx),
    cpuMicrosPerOperation: perOperation((sample) => sample.cpuMicros),
    fsyncsPerOperation: perOperation((sample) => sample.fsyncs),
  };
}

/** The median of the rounds' own ratios; of an even number, the lower middle. */
function ratioOf(ratios: readonly number[]): Ratio | undefined {
  const sorted = ratios.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  if (min === undefined || max === undefined || median === undefined) return undefined;
  return { median, min, max };
}

const COLUMNS = [
  ["", 24],
  ["req/s", 9],
  ["p50 ms", 8],
  ["p99", 8],
  ["p99.9", 8],
  ["max", 8],
  ["errors", 7],
  ["non-2xx", 8],
  ["CPU us/op", 10],
  ["fsync/op", 9],
] as const;

export function tableHead(): string {
  return `${row(COLUMNS.map(([name]) => name))}   of bare Hono (min to max)`;
}

/** A line for the cluster and, where it was measured, one for the yardstick. */
export function tableRows({ scenario, cluster, yardstick, ratio }: Result): string {
  const own = row([scenarioName(scenario), ...cells(cluster)]);
  if (yardstick === undefined || ratio === undefined) return own;
  const { median, min, max } = ratio;
  const share = `   ${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
  return `${own}${share}\n${row(["  bare Hono", ...cells(yardstick)])}`;
}

function cells(figures: Figures): readonly string[] {
  return [
    figures.requestsPerSecond.toFixed(0),
    figures.p50Ms.toFixed(2),
    figures.p99Ms.toFixed(2),
    figures.p999Ms.toFixed(2),
    figures.maxMs.toFixed(1),
    String(figures.errors),
    String(figures.non2xx),
    figures.cpuMicrosPerOperation?.toFixed(1) ?? "-",
    figures.fsyncsPerOperation?.toFixed(3) ?? "-",
  ];
}

function row(texts: readonly string[]): string {
  return COLUMNS.map(([, width], index) => {
    const text = texts[index] ?? "";
    return index === 0 ? text.padEnd(width) : text.padStart(width);
  }).join("");
}
