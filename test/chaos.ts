/**
 * Chaos on real processes: clients work while nodes are killed, frozen and cut off, and disks fill
 * up and go bad; then everything is healed, and every answer and every acknowledged write verified.
 *
 *   npm run chaos -- [--minutes 1] [--seed N] [--nodes 3] [--faults kill,cut,...] [--clients 6]
 *     [--out DIR]
 *
 * The seed is printed; a new one is drawn when none is given. Ends with code 1 when a promise was
 * broken, and says where history, logs and data are kept. With --out they are kept in any case, and
 * `npm run verify-history DIR/history.jsonl` checks the history again.
 */
import { randomInt } from "node:crypto";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { CATALOG, type Kind, kindsNamed } from "./chaos/catalog.ts";
import { describeEpisode, describeReport, EPISODE_HEAD } from "./chaos/report.ts";
import { type ChaosOptions, runChaos } from "./chaos/run.ts";

const USAGE = `usage: npm run chaos -- [--minutes N] [--seed N] [--nodes 3|5] [--faults NAMES]
  [--clients N] [--out DIR]
faults: ${CATALOG.map(({ name }) => name).join(", ")}; all of them unless named`;

const SEED_LIMIT = 1_000_000;

/** Undefined when the arguments make no sense. */
function readArguments(): ChaosOptions | undefined {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "1" },
      seed: { type: "string", default: String(randomInt(1, SEED_LIMIT)) },
      nodes: { type: "string", default: "3" },
      clients: { type: "string", default: "6" },
      faults: { type: "string" },
      out: { type: "string" },
    },
  });
  const lastsMs = Number(values.minutes) * 60_000;
  const [seed, nodes, clients] = [values.seed, values.nodes, values.clients].map(Number);
  const kinds = chosenKinds(values.faults);
  if (seed === undefined || nodes === undefined || clients === undefined || !(lastsMs > 0)) return;
  const areWhole = [seed, nodes, clients].every((value) => Number.isSafeInteger(value));
  if (!areWhole || seed < 0 || nodes < 3 || clients < 1 || kinds === undefined) return undefined;
  return { lastsMs, seed, nodes, clients, kinds, directory: values.out };
}

function chosenKinds(names: string | undefined): readonly Kind[] | undefined {
  return names === undefined ? CATALOG : kindsNamed(names.split(","));
}

async function main(): Promise<number> {
  const options = readArguments();
  if (options === undefined) {
    console.error(USAGE);
    return 2;
  }
  const { seed, nodes, clients, lastsMs, kinds } = options;
  const names = kinds.map(({ name }) => name).join(", ");
  console.log(`chaos: seed ${seed}, ${nodes} nodes, ${clients} clients, ${lastsMs / 1000} s`);
  console.log(`faults: ${names}\n`);
  console.log(EPISODE_HEAD);
  const report = await runChaos({
    ...options,
    say: (line) => console.log(line),
    onEpisode: (episode) => console.log(describeEpisode(episode)),
  });
  for (const line of describeReport(report)) console.log(line);
  const load = (loadavg()[0] ?? 0).toFixed(1);
  console.log(`the machine: ${cpus().length} cores, load average ${load}`);
  const isGood = report.violations.length === 0;
  console.log(isGood ? "kept: every promise" : `broken with seed ${seed}, see ${report.directory}`);
  return isGood ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main();
