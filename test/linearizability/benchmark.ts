/**
 * How long a check takes, and whether single stale reads are found in a history of that size:
 *
 *     node --import tsx test/linearizability/benchmark.ts [OPERATIONS] [STALE-READS]
 *
 * 100,000 operations of 10 clients on 100 keys and 100 stale reads unless told; each stale read is
 * planted alone and the whole history checked again. Exit code 1 when one is missed.
 */
import { SeededRandom } from "../../raft/index.ts";
import { checkHistory } from "./check-history.ts";
import type { HistoryOperation } from "./history.ts";
import { plantStaleRead } from "./planted-faults.ts";
import { RANDOM_HISTORY_DEFAULTS, randomHistory } from "./random-history.ts";
import { describeVerdict } from "./report.ts";

function timed(history: readonly HistoryOperation[]) {
  const startedAtMs = performance.now();
  const verdict = checkHistory(history);
  return { verdict, seconds: (performance.now() - startedAtMs) / 1000 };
}

function main(operations: number, staleReads: number): boolean {
  const options = { ...RANDOM_HISTORY_DEFAULTS, operations, clients: 10, keys: 100 };
  const history = randomHistory(new SeededRandom(1), options);
  const { verdict, seconds } = timed(history);
  console.log(`${describeVerdict(verdict)}; ${seconds.toFixed(2)} s`);
  let found = 0;
  let secondsMax = 0;
  for (let seed = 1; seed <= staleReads; seed += 1) {
    const stale = plantStaleRead(new SeededRandom(seed), history);
    if (stale === undefined) continue;
    const { read, output } = stale;
    const again = timed(history.map((each) => (each === read ? { ...read, output } : each)));
    if (again.verdict.kind === "violation") found += 1;
    else console.log(`seed ${seed}: ${again.verdict.kind}`);
    secondsMax = Math.max(secondsMax, again.seconds);
  }
  console.log(
    `${found} of ${staleReads} stale reads found, at most ${secondsMax.toFixed(2)} s each`,
  );
  return verdict.kind === "linearizable" && found === staleReads;
}

const [operations = "100000", staleReads = "100"] = process.argv.slice(2);
process.exitCode = main(Number(operations), Number(staleReads)) ? 0 : 1;
