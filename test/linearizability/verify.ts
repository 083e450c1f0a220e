/**
 * Checks a history file (the format is described in history.ts):
 *
 *     node --import tsx test/linearizability/verify.ts FILE [--steps N]
 *
 * Exit code 0: linearizable. 1: not, with the part that shows it. 2: undecided within the budget
 * of N steps for each part, or a file that cannot be read.
 */
import { readFileSync } from "node:fs";
import { checkHistory } from "./check-history.ts";
import { HistoryFormatError, parseHistory } from "./history.ts";
import { describeVerdict } from "./report.ts";

const EXIT_CODES = { linearizable: 0, violation: 1, undecided: 2 } as const;
const EXIT_BAD_FILE = 2;
const USAGE = "usage: verify.ts FILE [--steps N]";

class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "USAGE";
}

function main(): number {
  try {
    const { path, stepsMax } = readArguments();
    const history = parseHistory(readFileSync(path, "utf8"));
    const startedAtMs = performance.now();
    const verdict = checkHistory(history, { stepsMax });
    const seconds = (performance.now() - startedAtMs) / 1000;
    console.log(describeVerdict(verdict));
    console.log(`checked in ${seconds.toFixed(2)} s`);
    return EXIT_CODES[verdict.kind];
  } catch (error) {
    const isExpected =
      error instanceof HistoryFormatError ||
      error instanceof UsageError ||
      (error instanceof Error && "syscall" in error);
    if (!isExpected) throw error;
    console.error(error.message);
    return EXIT_BAD_FILE;
  }
}

function readArguments(): { readonly path: string; readonly stepsMax: number | undefined } {
  const [path, flag, steps, ...others] = process.argv.slice(2);
  if (path === undefined || others.length > 0) throw new UsageError(USAGE);
  if (flag === undefined) return { path, stepsMax: undefined };
  const stepsMax = Number(steps);
  const isGood = flag === "--steps" && Number.isSafeInteger(stepsMax) && stepsMax > 0;
  if (!isGood) throw new UsageError(USAGE);
  return { path, stepsMax };
}

process.exitCode = main();
