/** What the project promises of its speed, as shares of the yardstick in the same run. */
import type { Result } from "./report.ts";
import { HEADLINE } from "./scenario.ts";

const PUT_SHARE_MIN = 0.55;
const READ_INDEX_SHARE_MIN = 0.65;
const LEASE_SHARE_MIN = 0.8;
const FSYNCS_PER_WRITE_MAX = 0.2;

export interface Verdict {
  readonly what: string;
  readonly isMet: boolean;
}

/** One verdict for each target; what was not measured is not met. */
export function judge(results: readonly Result[]): readonly Verdict[] {
  return [
    share("PUT", PUT_SHARE_MIN, find(results, "put", "read-index")),
    share("GET by ReadIndex", READ_INDEX_SHARE_MIN, find(results, "get", "read-index")),
    share("GET by lease", LEASE_SHARE_MIN, find(results, "get", "lease")),
    groupCommit(results),
  ];
}

function find(
  results: readonly Result[],
  mix: "put" | "get",
  reads: Result["reads"],
): Result | undefined {
  return results.find(
    (result) =>
      result.nodes === 3 &&
      result.reads === reads &&
      result.scenario.mix === mix &&
      result.scenario.connections === HEADLINE.connections &&
      result.scenario.valueBytes === HEADLINE.valueBytes &&
      result.scenario.keys === HEADLINE.keys,
  );
}

function share(what: string, min: number, result: Result | undefined): Verdict {
  const median = result?.ratio?.median;
  const given = median === undefined ? "was not measured" : `is ${median.toFixed(2)}`;
  const isMet = median !== undefined && median >= min;
  return { what: `${what} ${given} of bare Hono, wanted at least ${min.toFixed(2)}`, isMet };
}

function groupCommit(results: readonly Result[]): Verdict {
  const alone = results.find(
    ({ nodes, scenario }) =>
      nodes === 1 && scenario.mix === "put" && scenario.connections === HEADLINE.connections,
  );
  const fsyncs = alone?.cluster.fsyncsPerOperation;
  const given = fsyncs === undefined ? "was not measured" : `takes ${fsyncs.toFixed(3)} fsyncs`;
  const isMet = fsyncs !== undefined && fsyncs < FSYNCS_PER_WRITE_MAX;
  return { what: `a write to one node ${given}, wanted less than ${FSYNCS_PER_WRITE_MAX}`, isMet };
}
