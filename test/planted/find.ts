/**
 * Asks a finder about one tree of sources, in a process of its own. A finder that hangs or dies
 * without a report has found nothing: somebody has to be told what is wrong.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Finder } from "./planted-bug.ts";
import type { SeedFinder, SeedRange, SeedVerdict } from "./seeds.ts";

/** How far a seeded finder looks. */
export const SEEDS_MAX = 1000;
const FINDER_MS_MAX = 900_000;

const running = new Set<ChildProcess>();

/** Nobody waits for the answers any more. */
export function stopFinders(): void {
  for (const child of running) child.kill("SIGKILL");
}

export type Verdict =
  | {
      readonly kind: "found";
      readonly by: string;
      /** Of a seeded run; undefined when a test of the normal suite fails. */
      readonly seed: number | undefined;
      readonly message: string;
    }
  /** It did all it does and has nothing to say. */
  | { readonly kind: "clean"; readonly by: string; readonly message: string }
  /** It hung or died, or what it said proves nothing. */
  | { readonly kind: "silent"; readonly by: string; readonly message: string };

/** What the finder says of the tree at `root`; seeded runs go through `count` seeds from `from`. */
export async function ask(
  finder: Finder,
  root: string,
  from = 1,
  count = SEEDS_MAX,
): Promise<Verdict> {
  if (finder.kind === "test") return askTests(finder.file, root);
  return askSeeds(finder, { finder, from, count }, root);
}

export function nameOf(finder: Finder): string {
  switch (finder.kind) {
    case "test":
      return finder.file;
    case "swarm":
      return "core swarm";
    case "simulation":
      return finder.faults === undefined
        ? "simulation"
        : `simulation (${finder.faults.join(", ")})`;
  }
}

async function askSeeds(finder: SeedFinder, range: SeedRange, root: string): Promise<Verdict> {
  const by = nameOf(finder);
  const run = await runNode(root, ["test/planted/seeds.ts", JSON.stringify(range)]);
  const verdict = verdictIn(run.output);
  if (verdict === undefined) return { kind: "silent", by, message: endOf(run) };
  if (verdict.kind === "clean") {
    return { kind: "clean", by, message: `${verdict.seeds} seeds are clean` };
  }
  return { kind: "found", by, seed: verdict.seed, message: verdict.message };
}

function verdictIn(output: string): SeedVerdict | undefined {
  const line = output.split("\n").find((text) => text.startsWith('{"kind":'));
  return line === undefined ? undefined : JSON.parse(line);
}

async function askTests(file: string, root: string): Promise<Verdict> {
  // Without --test, so that it is one process, and gone when it is killed.
  const run = await runNode(root, ["--test-reporter=tap", file]);
  // Innermost first.
  const failed = /^ *not ok \d+ - (.*)$/mu.exec(run.output)?.[1];
  if (failed !== undefined) return { kind: "found", by: file, seed: undefined, message: failed };
  if (run.exitCode === 0) return { kind: "clean", by: file, message: "all tests pass" };
  return { kind: "silent", by: file, message: endOf(run) };
}

interface Run {
  readonly exitCode: number | undefined;
  readonly output: string;
  readonly errors: string;
}

function endOf({ exitCode, errors }: Run): string {
  if (exitCode === undefined) return `no end after ${FINDER_MS_MAX / 1000} s`;
  const lines = errors.trim().split("\n");
  const reason = lines.find((line) => /error/iu.test(line)) ?? lines.at(-1) ?? "";
  return `ended with ${exitCode} and no report: ${reason.trim()}`;
}

function runNode(root: string, args: readonly string[]): Promise<Run> {
  const { NODE_TEST_CONTEXT: _ours, ...env } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const output = textOf(child.stdout);
  const errors = textOf(child.stderr);
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, FINDER_MS_MAX);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      running.delete(child);
      const exitCode = isLate ? undefined : (code ?? -1);
      resolve({ exitCode, output: output(), errors: errors() });
    });
  });
}

/** Gathers a stream; the function tells what has come so far. */
function textOf(stream: ChildProcess["stdout"]): () => string {
  const chunks: Buffer[] = [];
  stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}
