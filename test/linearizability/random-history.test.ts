/** The checker against histories whose verdict is known by how they were made. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { checkHistory, checkPartition } from "./check-history.ts";
import type { HistoryOperation, Input, Output } from "./history.ts";
import { type Partition, partitionsOf } from "./partition.ts";
import { FAULTS, plantFault, plantStaleRead, type StaleRead } from "./planted-faults.ts";
import {
  AtomicStore,
  RANDOM_HISTORY_DEFAULTS,
  type RandomHistoryOptions,
  randomHistory,
} from "./random-history.ts";
import { describeVerdict } from "./report.ts";

const STEPS_MAX = 500_000;

const MIXES: Readonly<Record<string, Partial<RandomHistoryOptions>>> = {
  "records with versions": {},
  "plain registers": { hasVersions: false },
  "one busy key": { keys: 1, clients: 12 },
  "many lost answers": { unknownPercent: 25 },
  "many lost answers of plain registers": { unknownPercent: 15, hasVersions: false },
  lists: { listPercent: 10 },
  transactions: { txnPercent: 15, listPercent: 5 },
  "transactions on plain registers": {
    txnPercent: 15,
    listPercent: 5,
    hasVersions: false,
    unknownPercent: 0,
    operations: 200,
  },
};

describe("histories of an atomic store are never refused", () => {
  for (const [name, mix] of Object.entries(MIXES)) {
    test(name, () => {
      for (let seed = 1; seed <= 40; seed += 1) {
        const options = { ...RANDOM_HISTORY_DEFAULTS, ...mix };
        const history = randomHistory(new SeededRandom(seed), options);
        assert.equal(history.length, options.operations);
        const verdict = checkHistory(history, { stepsMax: STEPS_MAX });
        assert.equal(verdict.kind, "linearizable", `seed ${seed}\n${describeVerdict(verdict)}`);
      }
    });
  }
});

describe("a store that fails once is found out", () => {
  for (const fault of FAULTS) {
    for (const mix of ["records with versions", "plain registers", "transactions"]) {
      test(`${fault}, ${mix}`, () => {
        for (let seed = 1; seed <= 40; seed += 1) {
          const random = new SeededRandom(seed);
          const options = { ...RANDOM_HISTORY_DEFAULTS, unknownPercent: 2, ...MIXES[mix] };
          let isPlanted = false;
          const history = randomHistory(random, options, (store, recorder) => {
            if (isPlanted || recorder.history().length < options.operations / 2) return;
            isPlanted = plantFault(fault, store, recorder, options.hasVersions);
          });
          assert.ok(isPlanted, `seed ${seed}: no place for the fault`);
          const { kind } = checkHistory(history, { stepsMax: STEPS_MAX });
          assert.equal(kind, "violation", `seed ${seed}`);
        }
      });
    }
  }
});

test("twenty thousand operations are checked, and each of 100 stale reads in them is found", () => {
  const options = { ...RANDOM_HISTORY_DEFAULTS, operations: 20_000, clients: 10, keys: 100 };
  const history = randomHistory(new SeededRandom(1), options);
  const verdict = checkHistory(history);
  assert.equal(verdict.kind, "linearizable", describeVerdict(verdict));
  // Steps, unlike seconds, are the same on every machine: a step costs about 10 microseconds.
  assert.ok(verdict.steps < 100_000, `${verdict.steps} steps`);
  const partitions = partitionsOf(history);
  for (let seed = 1; seed <= 100; seed += 1) {
    const planted = plantStaleRead(new SeededRandom(seed), history);
    assert.ok(planted !== undefined, `seed ${seed}: no read to make stale`);
    // The other keys have just been checked.
    const { partition, culprit } = withStaleRead(partitions, planted);
    const found = checkPartition(partition);
    assert.equal(found.kind, "violation", `seed ${seed}`);
    assert.equal(found.kind === "violation" && found.culprit, culprit, `seed ${seed}`);
  }
});

function withStaleRead(partitions: readonly Partition[], { read, output }: StaleRead) {
  for (const partition of partitions) {
    const culprit = partition.operations.findIndex(({ source }) => source === read);
    const operation = partition.operations[culprit];
    if (operation === undefined) continue;
    const operations = partition.operations.with(culprit, { ...operation, output });
    return { partition: { ...partition, operations }, culprit };
  }
  return assert.fail("the read is in no part");
}

/** All orders, one by one; only for a handful of operations. */
function isLinearizable(
  operations: readonly HistoryOperation[],
  done: readonly Input[],
  hasVersions: boolean,
): boolean {
  if (operations.every(({ outcome }) => outcome === "unknown")) return true;
  return operations.some((candidate) => {
    const others = operations.filter((each) => each !== candidate);
    if (others.some((each) => precedes(each, candidate))) return false;
    const store = new AtomicStore();
    for (const input of done) store.execute(input);
    const output = store.execute(candidate.input);
    const isExplained =
      candidate.outcome !== "ok" || isSameAnswer(output, candidate.output, hasVersions);
    return isExplained && isLinearizable(others, [...done, candidate.input], hasVersions);
  });
}

function precedes(operation: HistoryOperation, other: HistoryOperation): boolean {
  return operation.outcome === "ok" && operation.returnOrder < other.callOrder;
}

function isSameAnswer(actual: Output, told: Output, hasVersions: boolean): boolean {
  const text = (output: Output): string =>
    JSON.stringify(output, (name, value) => {
      const isLeftOut =
        /^(?:revision|createRevision|version|previous|current)$/u.test(name) && !hasVersions;
      return isLeftOut ? undefined : value;
    });
  return text(actual) === text(told);
}

/** One answer is exchanged for another's of the same kind. */
function meddle(random: SeededRandom, history: readonly HistoryOperation[]) {
  for (let tries = 0; tries < 20; tries += 1) {
    const at = random.below(history.length);
    const victim = history[at];
    const donor = history[random.below(history.length)];
    if (victim === donor || victim?.outcome !== "ok" || donor?.outcome !== "ok") continue;
    if (victim.input.kind !== donor.input.kind || victim.input.kind === "txn") continue;
    if (JSON.stringify(victim.output) === JSON.stringify(donor.output)) continue;
    return history.with(at, { ...victim, output: donor.output });
  }
  return history;
}

test("small histories of plain values get the verdict of trying all orders", () => {
  const seen = { linearizable: 0, violation: 0 };
  const options = { clients: 3, unknownPercent: 25, failPercent: 0, txnPercent: 15 };
  for (let seed = 1; seed <= 1000; seed += 1) {
    const random = new SeededRandom(seed);
    const mix = {
      ...options,
      keys: 1 + (seed % 2),
      operations: 8,
      listPercent: 10,
      hasVersions: false,
    };
    const history = meddle(random, randomHistory(random, mix));
    const expected = isLinearizable(history, [], false) ? "linearizable" : "violation";
    assert.equal(checkHistory(history).kind, expected, `seed ${seed}`);
    seen[expected] += 1;
  }
  assert.ok(seen.violation > 100, `${seen.violation} violations`);
});

test("small histories with versions are refused only when no order explains them", () => {
  const seen = { linearizable: 0, violation: 0, accepted: 0 };
  const options = { clients: 3, unknownPercent: 20, failPercent: 0, txnPercent: 15 };
  for (let seed = 1; seed <= 1000; seed += 1) {
    const random = new SeededRandom(seed);
    const mix = {
      ...options,
      keys: 1 + (seed % 2),
      operations: 8,
      listPercent: 10,
      hasVersions: true,
    };
    const history = meddle(random, randomHistory(random, mix));
    const expected = isLinearizable(history, [], true) ? "linearizable" : "violation";
    const { kind } = checkHistory(history);
    if (expected === "linearizable") assert.equal(kind, expected, `seed ${seed}`);
    if (expected === "violation" && kind === "linearizable") seen.accepted += 1;
    seen[expected] += 1;
  }
  assert.ok(seen.violation > 100, `${seen.violation} violations`);
  // Where the history does not show that no other client made a revision, one may have.
  assert.ok(seen.accepted < seen.violation / 5, `${seen.accepted} of ${seen.violation} accepted`);
});
