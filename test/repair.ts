/**
 * `npm run repair -- [--rounds N] [--seed S] [--nodes 3|5]`: random damage to the disks of real
 * nodes, round after round; what is lost, different or late ends it with code 1 and the seed.
 */
import { parseArgs } from "node:util";
import { sweep } from "./repair/sweep.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    nodes: { type: "string", default: "3" },
  },
});
const seed = Number(values.seed);
const rounds = Number(values.rounds);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

say(`seed ${seed}, ${rounds} rounds, ${values.nodes} nodes`);
try {
  const report = await sweep({ rounds, seed, nodes: Number(values.nodes), say });
  const { repairs, slowestMs } = report;
  say(`${repairs} disks repaired, the slowest in ${slowestMs.toFixed(0)} ms; nothing lost`);
} catch (error) {
  say(`FAILED with --seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = 1;
}
