/** The lab's table: one line for each test, over all of its seeds. */
import type { LabTest } from "./lab-test.ts";
import type { LabResult } from "./run-test.ts";

const COLUMNS = [60, 9, 9, 6, 8, 8] as const;

export function heading(): string {
  return row(["test", "passed", "seconds", "peers", "RPCs", "ops"]);
}

/** Seconds, requests and operations are those of a run, on average. */
export function tableRow(test: LabTest, results: readonly LabResult[]): string {
  const passed = results.filter(({ failure }) => failure === undefined).length;
  return row([
    test.name,
    results.length === 1 ? (passed === 1 ? "yes" : "NO") : `${passed}/${results.length}`,
    mean(results.map(({ seconds }) => seconds)).toFixed(1),
    `${test.servers}`,
    mean(results.map(({ requests }) => requests)).toFixed(0),
    mean(results.map(({ operations }) => operations)).toFixed(0),
  ]);
}

export function total(results: readonly LabResult[], realSeconds: number): string {
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  const sum = (pick: (result: LabResult) => number): number =>
    results.reduce((all, result) => all + pick(result), 0);
  const seconds = sum((result) => result.seconds).toFixed(0);
  const requests = sum((result) => result.requests);
  const operations = sum((result) => result.operations);
  const what = `${seconds} s of the tests' time, ${requests} RPCs, ${operations} operations`;
  return `${results.length} runs, ${failed} failed: ${what}, in ${realSeconds.toFixed(0)} s`;
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, at) => (at === 0 ? cell.padEnd(COLUMNS[0]) : cell.padStart(COLUMNS[at] ?? 8)))
    .join("");
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
