/**
 * The simulator for as long as one likes, on as many processes as one likes:
 *
 *   npm run soak -- --minutes 10 [--jobs 2] [--from 1] [--seeds 1000]
 *     [--duration 100000] [--nodes 5]
 *
 * Seed after seed, each 100 seconds of virtual time by default. Every 25th seed runs twice, in
 * different processes, and must end in the same hash. A seed that fails is made smaller and printed
 * with the command that replays it; then the soak ends with code 1, like after a process that died.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { replayCommand, shrink, simulate } from "./simulation.ts";
import type { SoakJob, SoakResult } from "./soak-job.ts";
import { SoakReport } from "./soak-report.ts";

const WORKER = fileURLToPath(new URL("soak-worker.ts", import.meta.url));
/** Most of what a simulation allocates is dead at once: fewer, longer scavenges. */
const WORKER_FLAGS = ["--max-semi-space-size=32"];
const REPEATED_EVERY = 25;
const SHRUNK_MAX = 3;
const MINUTE_MS = 60_000;

interface SoakOptions {
  /** What a process runs: the simulator as one plain file. */
  readonly worker: string;
  readonly endsAtMs: number;
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly durationMs: number;
  readonly nodes: number | undefined;
}

class Soak {
  readonly report = new SoakReport();
  readonly failed: SoakResult[] = [];
  readonly #options: SoakOptions;
  /** Seeds to run once more, with what the first run came to. */
  readonly #repeats: SoakResult[] = [];
  #next: number;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#next = options.from;
  }

  async run(): Promise<void> {
    const workers = Array.from({ length: this.#options.jobs }, () => this.#work());
    await Promise.all(workers);
  }

  /** Feeds one process until nothing is left to do. */
  #work(): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = fork(this.#options.worker, [], { execArgv: WORKER_FLAGS });
      let first: SoakResult | undefined;
      let isDone = false;
      const goOn = (): void => {
        first = this.#repeats.shift();
        isDone = !this.#send(worker, first?.seed);
        if (isDone) worker.disconnect();
      };
      worker.on("message", (result: SoakResult) => {
        this.#take(result, first);
        goOn();
      });
      worker.on("exit", (code, signal) => {
        if (isDone) resolve();
        else reject(new Error(`a worker ended with ${signal ?? code} in the middle of a seed`));
      });
      goOn();
    });
  }

  /** False when time or seeds are used up. */
  #send(worker: ChildProcess, repeated: number | undefined): boolean {
    const { from, seeds, endsAtMs, durationMs, nodes } = this.#options;
    const isOver = this.#next >= from + seeds || Date.now() >= endsAtMs;
    if (repeated === undefined && isOver) return false;
    const seed = repeated ?? this.#next++;
    const job: SoakJob = { seed, durationMs, nodes };
    worker.send(job);
    return true;
  }

  #take(result: SoakResult, first: SoakResult | undefined): void {
    if (first !== undefined) {
      this.report.addRepeat(result, first);
      if (first.hash !== result.hash) {
        console.log(`seed ${result.seed} is not the same twice: ${first.hash}, ${result.hash}`);
      }
      return;
    }
    this.report.add(result);
    if (result.violation !== undefined) {
      this.failed.push(result);
      console.log(
        `seed ${result.seed} FAILED (${result.violation.kind}): ${result.violation.message}`,
      );
    }
    if (result.seed % REPEATED_EVERY === 0) this.#repeats.push(result);
  }
}

/** The loader for TypeScript names every function as it is made: a twentieth of a run's time. */
async function bundleWorker(outfile: string): Promise<void> {
  await build({
    entryPoints: [WORKER],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "warning",
    // Packages in the older module format ask for Node's own modules by `require`.
    banner: {
      js:
        'import { createRequire } from "node:module";' +
        "const require = createRequire(import.meta.url);",
    },
  });
}

async function explain({ seed }: SoakResult, { durationMs, nodes }: SoakOptions): Promise<string> {
  const failed = await simulate({ seed, durationMs, nodes });
  if (failed.violation === undefined) return `seed ${seed} does not fail here`;
  const smallest = await shrink(failed);
  return (
    `seed ${seed}, smallest: ${smallest.violation?.message}\n` +
    `replay: ${replayCommand(smallest)}\n        ${replayCommand(failed)}`
  );
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string" },
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      jobs: { type: "string", default: "2" },
      duration: { type: "string", default: "100000" },
      nodes: { type: "string" },
    },
  });
  const seeds = numberOf(values.seeds);
  const minutes = numberOf(values.minutes) ?? (seeds === undefined ? 10 : Infinity);
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-soak-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const worker = join(directory, "worker.mjs");
  await bundleWorker(worker);
  const options: SoakOptions = {
    worker,
    endsAtMs: Date.now() + minutes * MINUTE_MS,
    from: Number(values.from),
    seeds: seeds ?? Infinity,
    jobs: Number(values.jobs),
    durationMs: Number(values.duration),
    nodes: numberOf(values.nodes),
  };
  const soak = new Soak(options);
  await soak.run();
  console.log(soak.report.text());
  for (const failed of soak.failed.slice(0, SHRUNK_MAX)) {
    console.log(await explain(failed, options));
  }
  return soak.report.violations === 0 ? 0 : 1;
}

process.exitCode = await main();
