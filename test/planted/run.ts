/**
 * The testers tested: plants every known bug in a copy of the sources and has it found.
 *
 *   npm run planted [-- --bug 7 --bug 8] [--jobs 2]
 *
 * A bug counts as found when a seeded run reports a violation within 1,000 seeds, or when a named
 * test of the normal suite fails, and the same run is clean without the bug. Prints a table;
 * ends with 1 when a bug that can exist here is not found.
 *
 * planted-bug.ts says what a planted bug is, catalogue.ts lists them; source-tree.ts makes the
 * copies, find.ts asks a finder about one of them, hunt.ts puts both together.
 */
import { parseArgs } from "node:util";
import { PLANTED_BUGS } from "./catalogue.ts";
import { stopFinders } from "./find.ts";
import { Hunt } from "./hunt.ts";
import type { PlantedBug } from "./planted-bug.ts";
import { EditError, SourceTrees } from "./source-tree.ts";
import { type Outcome, rowOf, TABLE_HEAD } from "./table.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      bug: { type: "string", multiple: true },
      jobs: { type: "string", default: "2" },
    },
  });
  const wanted = values.bug?.map(Number);
  const bugs = PLANTED_BUGS.filter(({ number }) => wanted?.includes(number) ?? true);
  if (bugs.length === 0) throw new Error("there is no such bug");
  const trees = new SourceTrees();
  const stop = (): void => {
    stopFinders();
    trees.remove();
    process.exit(130);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const outcomes = await huntAll(bugs, new Hunt(trees), Math.max(1, Number(values.jobs)));
    process.exitCode = report(outcomes);
  } finally {
    trees.remove();
  }
}

/** Several at a time; their rows appear in the order of the list. */
async function huntAll(
  bugs: readonly PlantedBug[],
  hunt: Hunt,
  jobs: number,
): Promise<readonly Outcome[]> {
  const outcomes = new Map<PlantedBug, Outcome>();
  const waiting = [...bugs];
  const unprinted = [...bugs];
  const work = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      outcomes.set(bug, await huntOne(bug, hunt));
      printRows(unprinted, outcomes);
    }
  };
  print(TABLE_HEAD);
  await Promise.all(Array.from({ length: jobs }, work));
  return [...outcomes.values()];
}

async function huntOne(bug: PlantedBug, hunt: Hunt): Promise<Outcome> {
  if ("reason" in bug) return { kind: "impossible", why: bug.reason };
  try {
    const { verdict, seconds } = await hunt.one(bug);
    if (verdict.kind === "found") return { ...verdict, seconds };
    return { kind: "not-found", why: `${verdict.by}: ${verdict.message}`, seconds };
  } catch (error) {
    if (error instanceof EditError) return { kind: "not-planted", why: error.message };
    throw error;
  }
}

function printRows(unprinted: PlantedBug[], outcomes: ReadonlyMap<PlantedBug, Outcome>): void {
  for (let bug = unprinted[0]; bug !== undefined; bug = unprinted[0]) {
    const outcome = outcomes.get(bug);
    if (outcome === undefined) return;
    print(rowOf(bug, outcome));
    unprinted.shift();
  }
}

/** Prints the totals and returns the exit code. */
function report(outcomes: readonly Outcome[]): number {
  const count = (kind: Outcome["kind"]): number =>
    outcomes.filter((outcome) => outcome.kind === kind).length;
  const missed = count("not-found") + count("not-planted");
  print(
    `\n${outcomes.length} bugs: ${count("found")} found, ${missed} not found, ` +
      `${count("impossible")} cannot exist here`,
  );
  return missed === 0 ? 0 : 1;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main();
