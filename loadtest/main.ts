/**
 * The load test. `npm run loadtest` measures; `memory` weighs keys; `driver` and `yardstick` are
 * the helper processes that a run starts. Ends with code 1 when a request failed or a target that
 * was asked for is missed, with 2 for wrong options.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine } from "./machine.ts";
import { parsePlan, USAGE, UsageError } from "./plan.ts";
import { type Result, resultOf, tableHead, tableRows } from "./report.ts";
import { runPlan } from "./run.ts";
import { scenarioName } from "./scenario.ts";
import { judge } from "./targets.ts";

/** The project's directory, seen from the compiled file. */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case "driver": {
      const { runDriver } = await import("./driver.ts");
      runDriver();
      return 0;
    }
    case "yardstick": {
      const { runYardstick } = await import("./yardstick.ts");
      runYardstick(Number(rest[0]));
      return 0;
    }
    case "memory": {
      const { runMemory } = await import("./memory.ts");
      return await runMemory(rest);
    }
    case "--help":
    case "-h":
      console.log(USAGE);
      return 0;
    default:
      return await runLoadTest(args);
  }
}

async function runLoadTest(args: readonly string[]): Promise<number> {
  const plan = parsePlan(args);
  const startedAt = new Date();
  const machine = describeMachine();
  console.log(`raft-kv load test: ${Object.values(machine).join(", ")} us per fdatasync`);
  const results: Result[] = [];
  const measured = await runPlan(plan, {
    onPhase: ({ title, keyCount }) => {
      console.log(`\n${title}; ${keyCount} keys\n${tableHead()}`);
    },
    onMeasured: (each) => {
      const result = resultOf(each);
      results.push(result);
      console.log(tableRows(result));
    },
  });
  const verdicts = plan.isChecked ? judge(results) : [];
  const file = plan.jsonFile ?? join(ROOT, "loadtest", "results", `${stamp(startedAt)}.json`);
  const rounds = measured.map((each) => each.rounds.map(withoutLatency));
  mkdirSync(dirname(file), { recursive: true });
  const content = { startedAt, machine, plan, results, rounds, verdicts };
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
  console.log(`\nfigures in ${file}`);
  for (const { what, isMet } of verdicts) console.log(`${isMet ? "met:   " : "MISSED:"} ${what}`);
  const failed = results.filter(({ cluster, yardstick }) =>
    [cluster, yardstick].some((figures) => (figures?.errors ?? 0) + (figures?.non2xx ?? 0) > 0),
  );
  for (const { phase, scenario } of failed) {
    console.error(`FAILED REQUESTS: ${phase}: ${scenarioName(scenario)}`);
  }
  return failed.length === 0 && verdicts.every(({ isMet }) => isMet) ? 0 : 1;
}

/** Per round the histograms would be most of the file; they are in the results as percentiles. */
function withoutLatency(round: object): unknown {
  return JSON.parse(
    JSON.stringify(round, (key, value: unknown) => (key === "latency" ? undefined : value)),
  );
}

function stamp(time: Date): string {
  return time.toISOString().slice(0, 19).replaceAll(":", "-");
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`loadtest: ${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
