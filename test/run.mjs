/**
 * Runs the tests: unit tests and suites side by side on two cores, then, one after another, the
 * end-to-end tests, which start real processes. The runner's closing lines stand once, for all.
 *
 *   node test/run.mjs [--unit] [--e2e] [FILE or part of a path ...]
 *
 * Test files are listed here because Node 20 knows no globs for `--test`.
 */
import { readdirSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { PassThrough } from "node:stream";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SKIPPED = new Set(["node_modules", "dist", "data", "coverage"]);
const FILE_TIMEOUT_MS = 240_000;
/** What the runner says at the end of each run, and we at the end of all. */
const TOTALS = ["tests", "suites", "pass", "fail", "cancelled", "skipped", "todo", "duration_ms"];

function testFiles(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      return SKIPPED.has(entry.name) || entry.name.startsWith(".") ? [] : testFiles(path);
    }
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

/** The suites in test/ take longest, so they begin first. */
function suitesFirst(a, b) {
  const rank = (path) => (relative(ROOT, path).startsWith(`test${sep}`) ? 0 : 1);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

function chosenStages(args) {
  const flags = args.filter((arg) => arg.startsWith("--"));
  const parts = args.filter((arg) => !arg.startsWith("--"));
  const unknown = flags.find((flag) => flag !== "--unit" && flag !== "--e2e");
  if (unknown !== undefined) throw new Error(`unknown flag ${unknown}; there are --unit and --e2e`);
  const files = testFiles(ROOT)
    .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
    .sort(suitesFirst);
  const isEndToEnd = (path) => path.endsWith(".e2e.test.ts");
  const wants = (flag) => flags.length === 0 || flags.includes(flag);
  return [
    { concurrency: 2, files: wants("--unit") ? files.filter((path) => !isEndToEnd(path)) : [] },
    { concurrency: 1, files: wants("--e2e") ? files.filter(isEndToEnd) : [] },
  ].filter(({ files: { length } }) => length > 0);
}

/** Passes on what a run reports, but keeps its closing lines to add them up. */
async function runStage({ files, concurrency }, reporter, totals) {
  const events = run({ files, concurrency, timeout: FILE_TIMEOUT_MS });
  for await (const event of events) {
    const [, name, value] = /^(\w+) ([\d.]+)$/.exec(event.data?.message ?? "") ?? [];
    if (event.type === "test:diagnostic" && event.data.nesting === 0 && totals.has(name)) {
      totals.set(name, totals.get(name) + Number(value));
    } else {
      reporter.write(event);
    }
  }
}

async function main() {
  // The files run in processes of their own, with the arguments of this one.
  process.execArgv.push("--import", import.meta.resolve("tsx"));
  const stages = chosenStages(process.argv.slice(2));
  const totals = new Map(TOTALS.map((name) => [name, 0]));
  const reporter = new PassThrough({ objectMode: true });
  const output = reporter.compose(new spec());
  output.pipe(process.stdout);
  const printed = new Promise((resolve) => output.once("end", resolve));
  for (const stage of stages) await runStage(stage, reporter, totals);
  for (const [name, value] of totals) {
    const message = `${name} ${Math.round(value * 1000) / 1000}`;
    reporter.write({ type: "test:diagnostic", data: { nesting: 0, message } });
  }
  reporter.end();
  await printed;
  // No test at all is a failure, too: a filter that matches nothing proves nothing.
  const isGood = totals.get("tests") > 0 && totals.get("fail") + totals.get("cancelled") === 0;
  process.exitCode = isGood ? 0 : 1;
}

await main();
