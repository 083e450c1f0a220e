/**
 * Runs conversation scripts: blocks of commands, a line `---`, what came of them, an empty line.
 * Lines that start with `#` are for the reader. The output is a claim about correctness: with
 * UPDATE_GOLDEN=1 it is written anew, and the difference is to be read as code.
 *
 * `golden-cluster.ts` knows the commands; this file knows only the format.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { GoldenCluster } from "./golden-cluster.ts";

interface Block {
  readonly input: readonly string[];
  readonly output: readonly string[];
}

function parse(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let input: string[] = [];
  let output: string[] | undefined;
  for (const line of [...text.split("\n"), ""]) {
    if (output === undefined) {
      if (line === "---") output = [];
      else input.push(line);
    } else if (line === "") {
      blocks.push({ input, output });
      input = [];
      output = undefined;
    } else {
      output.push(line);
    }
  }
  const rest = input.filter((line) => line !== "");
  return rest.length === 0 ? blocks : [...blocks, { input, output: [] }];
}

function runBlock(cluster: GoldenCluster, input: readonly string[]): readonly string[] {
  for (const line of input) {
    if (line === "" || line.startsWith("#")) continue;
    try {
      cluster.run(line);
    } catch (error) {
      cluster.print(`error: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const printed = cluster.takeOutput();
  return printed.length === 0 ? ["ok"] : printed;
}

/** What the script says when run now, in the same format. */
export function runScript(text: string): string {
  const cluster = new GoldenCluster();
  const blocks = parse(text).map(({ input }) => {
    const trimmed = input.join("\n").trim();
    return `${trimmed}\n---\n${runBlock(cluster, input).join("\n")}\n`;
  });
  return blocks.join("\n");
}

/** Returns what stands in the file and what should. */
export function compareScript(path: string): {
  readonly expected: string;
  readonly actual: string;
} {
  const expected = readFileSync(path, "utf8");
  const actual = runScript(expected);
  if (process.env["UPDATE_GOLDEN"] === undefined) return { expected, actual };
  writeFileSync(path, actual);
  return { expected: actual, actual };
}
