/**
 * MIT's lab on this store:
 *
 *   npm run lab [-- --seeds 50] [--from 1] [--only A,B]     in virtual time
 *   npm run lab -- --only Name --seed 7 --trace             one run again, step by step
 *   npm run lab -- --processes [--only A,B] [--seed 7]      real servers, real time
 *
 * Prints the lab's table. Ends with code 1 when a test failed, after why and the command that
 * shows it again.
 */
import { parseArgs } from "node:util";
import { LAB_TESTS } from "./catalogue.ts";
import type { LabTest } from "./lab-test.ts";
import { type LabResult, replayCommand, runOnProcesses, runVirtual } from "./run-test.ts";
import { heading, tableRow, total } from "./table.ts";

interface Plan {
  readonly tests: readonly LabTest[];
  readonly seeds: readonly number[];
  readonly world: "virtual" | "processes";
  readonly trace: boolean;
}

function planOf(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      seed: { type: "string" },
      seeds: { type: "string", default: "1" },
      from: { type: "string", default: "1" },
      processes: { type: "boolean", default: false },
      trace: { type: "boolean", default: false },
    },
  });
  const tests = values.only === undefined ? LAB_TESTS : values.only.split(",").map(testOf);
  const first = Number(values.seed ?? values.from);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  if (![first, count].every((value) => Number.isSafeInteger(value) && value > 0)) {
    throw new Error("--seed, --seeds and --from take whole numbers from 1");
  }
  return {
    tests,
    seeds: Array.from({ length: count }, (_, at) => first + at),
    world: values.processes ? "processes" : "virtual",
    trace: values.trace,
  };
}

function testOf(name: string): LabTest {
  const found = LAB_TESTS.find((test) => test.name === name);
  if (found === undefined) throw new Error(`there is no test ${name}`);
  return found;
}

async function runOne(test: LabTest, seed: number, { world, trace }: Plan): Promise<LabResult> {
  if (world === "processes") return await runOnProcesses(test, seed);
  const result = await runVirtual(test, seed, trace);
  for (const line of result.lines) process.stdout.write(`${line}\n`);
  return result;
}

async function main(): Promise<number> {
  const plan = planOf(process.argv.slice(2));
  const begunMs = performance.now();
  const results: LabResult[] = [];
  process.stdout.write(`${heading()}\n`);
  for (const test of plan.tests) {
    const runs: LabResult[] = [];
    for (const seed of plan.seeds) runs.push(await runOne(test, seed, plan));
    process.stdout.write(`${tableRow(test, runs)}\n`);
    for (const run of runs) {
      if (run.failure === undefined) continue;
      const why = run.failure.stack ?? run.failure.message;
      process.stdout.write(`${why}\nreplay: ${replayCommand(run, plan.world)}\n`);
    }
    results.push(...runs);
  }
  process.stdout.write(`${total(results, (performance.now() - begunMs) / 1_000)}\n`);
  return results.every(({ failure }) => failure === undefined) ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
process.exit(await main());
