/**
 * Sends the requests, with autocannon, in a process of its own. One such process serves a whole
 * run: its code is compiled after the first seconds and stays so, and neither the measuring nor
 * the reading of answers about the servers runs between two requests. A worker thread of
 * autocannon's own would start cold in every round.
 *
 * All requests of a round are built before it begins: choosing keys costs nothing while it runs.
 * Filling is not measured, and need not care.
 */
import autocannon from "autocannon";
import { type DriverResult, type Job, jobSchema } from "./driver-protocol.ts";
import { keyChooser, keyName, seededRandom } from "./key-space.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import type { Mix } from "./scenario.ts";

/** Requests built for one round, over all connections; they repeat when they run out. */
const SMALL_REQUESTS = 32_768;
const LARGE_REQUESTS = 8_192;
const LARGE_BYTES = 1024;
const READS_OF_MIXED = 0.9;
/** autocannon looks this often whether it should stop. */
const SAMPLE_MS = 100;
const HEADERS = { "content-type": "text/plain" } as const;

export function runDriver(): void {
  process.on("message", (message) => {
    void run(jobSchema.parse(message)).then((result) => process.send?.(result));
  });
  process.on("disconnect", () => process.exit(0));
  process.send?.("ready");
}

interface Plan {
  readonly connections: number;
  /** One list for each connection. */
  readonly lists: readonly autocannon.Request[][];
  readonly limit: { readonly duration: number } | { readonly amount: number };
}

function planOf(job: Job): Plan {
  return job.kind === "fill" ? planFill(job) : planLoad(job);
}

/** Each request is built when its turn comes: a million at once would take ten seconds. */
function planFill({ keyCount, connections, valueBytes }: Job & { readonly kind: "fill" }): Plan {
  const body = textOf(valueBytes);
  let next = 0;
  const setupRequest = (request: autocannon.Request): autocannon.Request => {
    const path = pathOf(next % keyCount);
    next += 1;
    return { ...request, path };
  };
  const lists = Array.from({ length: connections }, () => [{ ...put(0, body), setupRequest }]);
  return { connections, lists, limit: { amount: Math.max(keyCount, connections) } };
}

function planLoad({ scenario, keyCount, seconds, seed }: Job & { readonly kind: "load" }): Plan {
  const { connections, mix, valueBytes, keys } = scenario;
  const random = seededRandom(seed);
  const choose = keyChooser(keys, keyCount, random);
  const body = textOf(valueBytes);
  const total = valueBytes > LARGE_BYTES && mix === "put" ? LARGE_REQUESTS : SMALL_REQUESTS;
  const each = Math.ceil(total / connections);
  const lists = Array.from({ length: connections }, () =>
    Array.from({ length: each }, () => (isRead(mix, random) ? get(choose()) : put(choose(), body))),
  );
  return { connections, lists, limit: { duration: seconds } };
}

function isRead(mix: Mix, random: () => number): boolean {
  return mix === "get" || (mix === "mixed" && random() < READS_OF_MIXED);
}

function textOf(bytes: number): string {
  return "abcdefgh".repeat(Math.ceil(bytes / 8)).slice(0, bytes);
}

function pathOf(key: number): string {
  return `/v1/kv/${keyName(key)}`;
}

function get(key: number): autocannon.Request {
  return { method: "GET", path: pathOf(key) };
}

function put(key: number, body: string): autocannon.Request {
  return { method: "PUT", path: pathOf(key), headers: HEADERS, body };
}

function run(job: Job): Promise<DriverResult> {
  const { connections, lists, limit } = planOf(job);
  const latency = new LatencyHistogram();
  const problems = new Map<string, number>();
  const left = [...lists];
  let startedAtMs = performance.now();
  let cpuBefore = process.cpuUsage();
  let requests = 0;
  let lastAtMs = startedAtMs;
  return new Promise((resolve, reject) => {
    const instance = autocannon(
      {
        url: `http://${job.address}`,
        connections,
        sampleInt: SAMPLE_MS,
        ...limit,
        setupClient: (client) => client.setRequests(left.pop() ?? []),
      },
      (error, result) => {
        if (error) {
          reject(error);
          return;
        }
        const { user, system } = process.cpuUsage(cpuBefore);
        resolve({
          requests,
          seconds: (lastAtMs - startedAtMs) / 1000,
          latency: latency.counts().map(([bucket, count]) => [bucket, count]),
          errors: result.errors,
          non2xx: result.non2xx,
          problems: [...problems].map(([what, count]) => `${count} x ${what}`),
          driverCpuMicros: user + system,
        });
      },
    );
    // All connections have been opened and their requests built by now.
    startedAtMs = performance.now();
    cpuBefore = process.cpuUsage();
    instance.on("reqError", (error: unknown) => {
      const what = error instanceof Error ? error.message : String(error);
      problems.set(what, (problems.get(what) ?? 0) + 1);
    });
    const hasAnswered = new WeakSet<autocannon.Client>();
    instance.on("response", (client, _status, _bytes, responseMs) => {
      requests += 1;
      lastAtMs = performance.now();
      // A connection sends its first request before the next one is even set up: only the answers
      // to later ones say how long the server took.
      if (hasAnswered.has(client)) latency.record(responseMs * 1000);
      else hasAnswered.add(client);
    });
  });
}
