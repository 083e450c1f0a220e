/**
 * Latencies in microseconds, kept as counts: 64 steps for each doubling, so a percentile is off by
 * at most 1.6 %. Rounds are merged as counts, since percentiles of rounds can not be averaged.
 * (autocannon's own histogram counts whole milliseconds.)
 */
const STEPS = 64;
const BUCKETS = 32 * STEPS;

/** Bucket and count, for the buckets that are not empty. */
export type SparseCounts = readonly (readonly [number, number])[];

export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  record(micros: number): void {
    const bucket = bucketOf(micros);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total += 1;
  }

  add(counts: SparseCounts): void {
    for (const [bucket, count] of counts) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#total += count;
    }
  }

  counts(): SparseCounts {
    const sparse: (readonly [number, number])[] = [];
    this.#counts.forEach((count, bucket) => {
      if (count > 0) sparse.push([bucket, count]);
    });
    return sparse;
  }

  /** 0 when nothing was recorded. */
  percentileMs(fraction: number): number {
    let left = Math.max(1, Math.ceil(this.#total * fraction));
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return upperMicros(bucket) / 1000;
    }
    return 0;
  }
}

function bucketOf(micros: number): number {
  const value = Math.max(0, Math.min(Math.floor(micros), 0x7fffffff));
  if (value < STEPS) return value;
  const shift = 31 - Math.clz32(value) - 6;
  return (shift + 1) * STEPS + ((value >>> shift) - STEPS);
}

/** The largest value that falls into a bucket. */
function upperMicros(bucket: number): number {
  if (bucket < STEPS) return bucket;
  const shift = Math.floor(bucket / STEPS) - 1;
  return (STEPS + (bucket % STEPS) + 1) * 2 ** shift - 1;
}
