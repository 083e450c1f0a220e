/**
 * Runs the tests on two cores: the end-to-end tests, which start real processes and wait for them,
 * one after another beside the two longest suites, then all others side by side. The runner's
 * closing lines stand once, for all.
 *
 *   node test/run.mjs [--unit] [--e2e] [FILE or part of a path ...]
 *
 * Test files are listed here because Node 20 knows no globs for `--test`.
 *
 * The tests of a folder share a process: to load what they test takes longer than most of them. A
 * file with hooks at its top level has one of its own, since such hooks hold for a process.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { PassThrough } from "node:stream";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SKIPPED = new Set(["node_modules", "dist", "data", "coverage"]);
const FILE_TIMEOUT_MS = 240_000;
/** A minute each: together about as long as the end-to-end tests. */
const LONGEST = ["test/lab/lab.test.ts", "test/simulation/simulation.test.ts"];
const TOP_LEVEL_HOOK = /^(before|after)(Each)?\(/mu;
/** What the runner says at the end of each run, and we at the end of all. */
const TOTALS = ["tests", "suites", "pass", "fail", "cancelled", "skipped", "todo"];
const CLOSING = new Set([...TOTALS, "duration_ms"]);

function testFiles(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      return SKIPPED.has(entry.name) || entry.name.startsWith(".") ? [] : testFiles(path);
    }
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

/** Files for the runner: one for each folder's tests, and those with hooks as they are. */
function processFiles(paths, directory) {
  const folders = new Map();
  const alone = [];
  for (const path of paths) {
    const folder = relative(ROOT, dirname(path));
    if (TOP_LEVEL_HOOK.test(readFileSync(path, "utf8"))) alone.push(path);
    else folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  const shared = [...folders].map(([folder, tests]) => {
    const file = join(directory, `${folder.replaceAll(sep, "-")}.test.mjs`);
    const imports = tests.map((path) => `import ${JSON.stringify(pathToFileURL(path))};\n`);
    writeFileSync(file, imports.join(""));
    return file;
  });
  return [...shared, ...alone];
}

/** The stages, each with what runs at the same time: files, and how many of them at once. */
function chosenStages(args, directory) {
  const flags = args.filter((arg) => arg.startsWith("--"));
  const parts = args.filter((arg) => !arg.startsWith("--"));
  const unknown = flags.find((flag) => flag !== "--unit" && flag !== "--e2e");
  if (unknown !== undefined) throw new Error(`unknown flag ${unknown}; there are --unit and --e2e`);
  const files = testFiles(ROOT)
    .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
    .sort();
  const isEndToEnd = (path) => path.endsWith(".e2e.test.ts");
  const wants = (flag) => flags.length === 0 || flags.includes(flag);
  const isLong = (path) => LONGEST.includes(relative(ROOT, path));
  const endToEnd = wants("--e2e") ? files.filter(isEndToEnd) : [];
  const unit = wants("--unit") ? files.filter((path) => !isEndToEnd(path)) : [];
  const long = unit.filter(isLong);
  const others = unit.filter((path) => !isLong(path));
  return [
    [
      { concurrency: 1, files: endToEnd },
      { concurrency: endToEnd.length > 0 ? 1 : 2, files: long },
    ],
    [{ concurrency: 2, files: processFiles(others, directory) }],
  ];
}

/** Passes on what the runs report, one run after another, and adds up their closing lines. */
async function runStage(runs, reporter, totals) {
  const reports = runs
    .filter(({ files }) => files.length > 0)
    .map((each) => run({ ...each, timeout: FILE_TIMEOUT_MS }));
  for (const events of reports) {
    for await (const event of events) {
      const [, name, value] = /^(\w+) ([\d.]+)$/.exec(event.data?.message ?? "") ?? [];
      const isClosing = event.type === "test:diagnostic" && event.data.nesting === 0;
      if (!isClosing || !CLOSING.has(name)) reporter.write(event);
      else if (totals.has(name)) totals.set(name, totals.get(name) + Number(value));
    }
  }
}

async function main() {
  const startedAtMs = performance.now();
  // The files run in processes of their own, with the arguments of this one.
  process.execArgv.push("--import", import.meta.resolve("tsx"));
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-tests-"));
  process.on("exit", () => rmSync(directory, { recursive: true }));
  const stages = chosenStages(process.argv.slice(2), directory);
  const totals = new Map(TOTALS.map((name) => [name, 0]));
  const reporter = new PassThrough({ objectMode: true });
  const output = reporter.compose(new spec());
  output.pipe(process.stdout);
  const printed = new Promise((resolve) => output.once("end", resolve));
  for (const stage of stages) await runStage(stage, reporter, totals);
  totals.set("duration_ms", Math.round(performance.now() - startedAtMs));
  for (const [name, value] of totals) {
    const message = `${name} ${value}`;
    reporter.write({ type: "test:diagnostic", data: { nesting: 0, message } });
  }
  reporter.end();
  await printed;
  // No test at all is a failure, too: a filter that matches nothing proves nothing.
  const isGood = totals.get("tests") > 0 && totals.get("fail") + totals.get("cancelled") === 0;
  process.exitCode = isGood ? 0 : 1;
}

await main();
