/**
 * The simulator from the command line:
 *
 *   node --import tsx test/simulation/run.ts --seed 7 [--faults partition,torn-write] [--trace]
 *     [--plain-clients]
 *   node --import tsx test/simulation/run.ts --seeds 100 [--from 1] [--duration 12000]
 *
 * Prints each run and its hash, which a second run of the same seed gives again. A run that fails
 * is made smaller, and printed with the command that shows it.
 */
import { parseArgs } from "node:util";
import { FAULT_KINDS, type FaultKind } from "./faults.ts";
import {
  replayCommand,
  type SimulationOptions,
  type SimulationRun,
  shrink,
  simulate,
} from "./simulation.ts";
import { Tally } from "./tally.ts";

const LAST_LINES = 60;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      faults: { type: "string" },
      duration: { type: "string" },
      nodes: { type: "string" },
      "plain-clients": { type: "boolean", default: false },
      trace: { type: "boolean", default: false },
      quiet: { type: "boolean", default: false },
    },
  });
  const common = {
    faults: values.faults === undefined ? undefined : faultsOf(values.faults),
    durationMs: values.duration === undefined ? undefined : Number(values.duration),
    plainClients: values["plain-clients"],
    nodes: values.nodes === undefined ? undefined : Number(values.nodes),
  };
  const isOne = values.seed !== undefined || values.seeds === undefined;
  const first = Number(values.seed ?? values.from);
  const count = isOne ? 1 : Number(values.seeds);
  const total = new Total();
  for (let seed = first; seed < first + count; seed += 1) {
    const options: SimulationOptions = { ...common, seed, trace: values.trace };
    const run = await simulate(options);
    total.add(run);
    if (values.trace) process.stdout.write(`${run.lines.join("\n")}\n`);
    if (isOne || !values.quiet) process.stdout.write(`${describe(run)}\n`);
    if (run.violation !== undefined) await report(run);
  }
  if (!isOne) process.stdout.write(`${total.report()}\n`);
  process.exitCode = total.failures === 0 ? 0 : 1;
}

function faultsOf(text: string): readonly FaultKind[] {
  if (text === "none") return [];
  return text.split(",").map((name) => {
    const kind = FAULT_KINDS.find((known) => known === name);
    if (kind === undefined)
      throw new Error(`no fault ${name}; there are ${FAULT_KINDS.join(", ")}`);
    return kind;
  });
}

function describe(run: SimulationRun): string {
  const { seed, nodes, faults, hash, virtualMs, entries, terms, judged } = run;
  const verdict = run.violation === undefined ? "ok" : "FAILED";
  const figures = `${(virtualMs / 1000).toFixed(1)} s, ${entries} entries, ${terms} terms, ${judged} judged`;
  return `seed ${seed}: ${verdict} ${hash} ${nodes} nodes, ${figures}, faults ${faults.join(",")}`;
}

async function report(run: SimulationRun): Promise<void> {
  const smallest = await shrink(run);
  const { lines } = await simulate({ ...smallest, trace: true });
  process.stdout.write(
    `${lines.slice(-LAST_LINES).join("\n")}\n${run.violation?.message}\n` +
      `smallest: ${describe(smallest)}\n${smallest.violation?.stack}\n` +
      `replay: ${replayCommand(run)}\n        ${replayCommand(smallest)}\n`,
  );
  const cause = smallest.violation?.cause;
  if (cause instanceof Error) process.stdout.write(`${cause.stack}\n`);
}

class Total {
  readonly #tally = new Tally();
  readonly #startedMs = process.cpuUsage();
  #runs = 0;
  #virtualMs = 0;
  #judged = 0;
  failures = 0;

  add(run: SimulationRun): void {
    this.#tally.add(run.tally);
    this.#runs += 1;
    this.#virtualMs += run.virtualMs;
    this.#judged += run.judged;
    if (run.violation !== undefined) this.failures += 1;
  }

  report(): string {
    const { user, system } = process.cpuUsage(this.#startedMs);
    const cpuMs = (user + system) / 1000;
    const ratio = Math.round(this.#virtualMs / cpuMs);
    return (
      `${this.#runs} seeds, ${this.failures} failed, ${Math.round(this.#virtualMs / 1000)} virtual ` +
      `seconds in ${(cpuMs / 1000).toFixed(1)} s of CPU (${ratio} times real time), ` +
      `${this.#judged} answers judged\n${this.#tally.report()}`
    );
  }
}

await main();
