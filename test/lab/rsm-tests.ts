/**
 * Lab 4A and 4C of 2025: a replicated state machine, here a counter. The counter is the version of
 * one key, which counts its writes: an increment is a put, and its answer is the new count.
 */
import { check, ELECTION_MS, type Lab, LabFailure, range, within } from "./lab.ts";
import type { LabTest } from "./lab-test.ts";
import type { ProposalOutcome } from "./world.ts";

const part = "RSM";
const COUNTER = "counter";
const STATE_BYTES_MAX = 1_000;
const TRIES_MS = 10_000;
/** What pending requests may take to end when their server does. */
const SHUTDOWN_MS_MAX = 11_000;

/** To whoever leads, until it is applied; answers the count. */
async function increment(lab: Lab, ids = lab.ids): Promise<number> {
  const { world } = lab;
  const endMs = world.nowMs() + TRIES_MS;
  while (world.nowMs() < endMs) {
    for (const id of ids) {
      if (!lab.isUp(id) || !lab.isConnected(id)) continue;
      if ((await world.view(id))?.isLeader !== true) continue;
      const outcome = await world.propose(id, COUNTER, "");
      if (outcome.kind === "applied") {
        lab.operations += 1;
        return outcome.version;
      }
      check(outcome.kind === "refused", () => "an increment on a leader in peace is unknown");
    }
    await lab.sleep(50);
  }
  throw new LabFailure(`no leader took an increment in ${TRIES_MS} ms`);
}

/** All of these servers come to hold the count. */
async function checkCounter(lab: Lab, expected: number): Promise<void> {
  const { world } = lab;
  const endMs = world.nowMs() + TRIES_MS;
  for (const id of lab.ids) {
    for (;;) {
      const count = await lab.counterOf(id, COUNTER);
      if (count === expected) break;
      check(world.nowMs() < endMs, () => `server ${id} counts ${count}, right is ${expected}`);
      await lab.sleep(20);
    }
  }
}

async function basic(lab: Lab): Promise<void> {
  for (const n of range(10, 1)) {
    const count = await increment(lab);
    check(count === n, () => `increment ${n} answered ${count}`);
  }
  await checkCounter(lab, 10);
}

async function concurrent(lab: Lab): Promise<void> {
  await lab.leader();
  const counts = await Promise.all(range(50).map(() => increment(lab)));
  check(new Set(counts).size === 50, () => `50 increments answered ${counts}`);
  await checkCounter(lab, 50);
}

async function leaderFailure(lab: Lab): Promise<void> {
  await increment(lab);
  const first = await lab.leader();
  lab.disconnect(first);
  const second = await lab.leader();
  check(second !== first, () => "the leader that was cut off still leads");
  await increment(lab);
  lab.connect(first);
  await checkCounter(lab, 2);
}

const DECREMENTS = 100;

/** What a cut-off leader takes does not take effect, and is answered soon after the heal. */
async function leaderPartition(lab: Lab): Promise<void> {
  for (const _ of range(10)) await increment(lab);
  const leader = await lab.leader();
  const others = range(2, 1).map((steps) => lab.after(leader, steps));
  lab.partition(others, [leader]);
  const outcomes: ProposalOutcome[] = [];
  const pending = range(DECREMENTS).map((n) =>
    lab.world.propose(leader, `decrement ${n}`, "").then((outcome) => {
      outcomes.push(outcome);
    }),
  );
  await increment(lab, others);
  check(
    outcomes.every(({ kind }) => kind !== "applied"),
    () => "a cut-off leader applied what no majority has",
  );
  lab.connectAll();
  await within(lab, ELECTION_MS, "answering the cut-off leader's clients", Promise.all(pending));
  check(
    outcomes.every(({ kind }) => kind !== "applied"),
    () => "a write of a cut-off leader took effect",
  );
  await increment(lab);
  await checkCounter(lab, 12);
  for (const n of range(DECREMENTS)) {
    for (const id of lab.ids) {
      const record = await lab.world.recordOf(id, `decrement ${n}`);
      check(record === undefined, () => `decrement ${n} took effect on server ${id}`);
    }
  }
}

async function restartReplay(lab: Lab): Promise<void> {
  for (const _ of range(100)) await increment(lab);
  await checkCounter(lab, 100);
  await lab.crash(...lab.ids);
  await lab.sleep(ELECTION_MS);
  await lab.start(...lab.ids);
  const count = await increment(lab);
  check(count === 101, () => `after a replay the count is ${count}, right is 101`);
  await checkCounter(lab, 101);
}

async function endPending(lab: Lab): Promise<void> {
  const leader = await lab.leader();
  const pending = range(100).map(() => lab.world.propose(leader, COUNTER, ""));
  const shutdown = lab.shutdown(...lab.ids);
  await within(lab, SHUTDOWN_MS_MAX, "ending what was pending", Promise.all(pending));
  await shutdown;
}

async function restartSubmit(lab: Lab): Promise<void> {
  for (const _ of range(100)) await increment(lab);
  await checkCounter(lab, 100);
  await lab.shutdown(...lab.ids);
  await lab.sleep(ELECTION_MS);
  await lab.start(...lab.ids);
  const count = await increment(lab);
  check(count === 101, () => `after a restart the count is ${count}, right is 101`);
  await endPending(lab);
}

async function snapshot(lab: Lab): Promise<void> {
  for (const _ of range(100)) await increment(lab);
  await checkCounter(lab, 100);
  const bytes = await lab.logBytes();
  check(bytes <= 2 * STATE_BYTES_MAX, () => `a log of ${bytes} bytes was not trimmed`);
  await lab.crash(...lab.ids);
  await lab.sleep(ELECTION_MS);
  await lab.start(...lab.ids);
  const count = await increment(lab);
  check(count === 101, () => `restored from a snapshot the count is ${count}, right is 101`);
  await checkCounter(lab, 101);
}

export const RSM_TESTS: readonly LabTest[] = [
  { name: "Basic4A", part, title: "ten increments on all servers", servers: 3, run: basic },
  { name: "Concurrent4A", part, title: "fifty at once", servers: 3, run: concurrent },
  {
    name: "LeaderFailure4A",
    part,
    title: "a new leader goes on with the count",
    servers: 3,
    run: leaderFailure,
  },
  {
    name: "LeaderPartition4A",
    part,
    title: "writes on a cut-off leader do not take effect, and end",
    servers: 3,
    run: leaderPartition,
  },
  {
    name: "RestartReplay4A",
    part,
    title: "a replayed log gives the same count",
    servers: 3,
    run: restartReplay,
  },
  {
    name: "Shutdown4A",
    part,
    title: "a hundred pending writes end with their server",
    servers: 3,
    run: endPending,
  },
  {
    name: "RestartSubmit4A",
    part,
    title: "the same after a restart",
    servers: 3,
    run: restartSubmit,
  },
  {
    name: "Snapshot4C",
    part,
    title: "the log is trimmed and the count restored from a snapshot",
    servers: 3,
    snapshots: { everyBytes: STATE_BYTES_MAX },
    run: snapshot,
  },
];
