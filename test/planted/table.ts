/** What came of each planted bug, as the rows of a Markdown table. */
import { unreachable } from "../../raft/index.ts";
import type { PlantedBug } from "./planted-bug.ts";

export type Outcome =
  | {
      readonly kind: "found";
      readonly by: string;
      readonly message: string;
      readonly seed: number | undefined;
      readonly seconds: number;
    }
  | { readonly kind: "not-found"; readonly why: string; readonly seconds: number }
  /** An edit does not fit the sources. */
  | { readonly kind: "not-planted"; readonly why: string }
  | { readonly kind: "impossible"; readonly why: string };

export const TABLE_HEAD =
  "| # | bug | planted in | verdict | by | seed | s |\n|---|---|---|---|---|---|---|";
const MESSAGE_MAX = 110;

export function rowOf(bug: PlantedBug, outcome: Outcome): string {
  const files = "edits" in bug ? bug.edits.map(({ file }) => file) : [];
  const where = [...new Set(files)].join(", ");
  return cells([bug.number, bug.title, where, ...verdictCells(outcome)]);
}

function verdictCells(outcome: Outcome): readonly (string | number)[] {
  switch (outcome.kind) {
    case "found": {
      const { by, message, seed, seconds } = outcome;
      return ["found", `${by}: ${shortened(message)}`, seed ?? "", seconds.toFixed(1)];
    }
    case "not-found":
      return ["NOT FOUND", outcome.why, "", outcome.seconds.toFixed(1)];
    case "not-planted":
      return ["NOT PLANTED", outcome.why, "", ""];
    case "impossible":
      return ["cannot exist here", outcome.why, "", ""];
    default:
      return unreachable(outcome);
  }
}

function shortened(message: string): string {
  return message.length <= MESSAGE_MAX ? message : `${message.slice(0, MESSAGE_MAX - 3)}...`;
}

function cells(values: readonly (string | number)[]): string {
  const texts = values.map((value) => `${value}`.replaceAll("|", "/").replaceAll("\n", " "));
  return `| ${texts.join(" | ")} |`;
}
