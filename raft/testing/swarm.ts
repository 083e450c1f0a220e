/**
 * One seed, one run: a cluster of random shape and limits, a random subset of faults, clients that
 * write, read, change the membership and move the leadership; then a phase without faults in which
 * a leader must emerge, all nodes must agree and every read must end.
 *
 * Each seed leaves most faults out: a run with everything at once hides what a few do together.
 */
import type { RaftConfig } from "../config.ts";
import { SeededRandom } from "../random.ts";
import type { EntryId } from "../types.ts";
import { Clients } from "./clients.ts";
import { Cluster, type ClusterOptions } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import { pick } from "./dice.ts";
import { mustHold, ViolationError } from "./history.ts";
import { Nemesis } from "./nemesis.ts";
import { CALM } from "./network.ts";
import { drawPlan, type Plan } from "./plan.ts";

const FAULT_PHASE_MS = 3000;
const HEARTBEAT_MS = 50;
const ELECTION_TIMEOUT_MS = 250;
/** Five of the longest election timeouts. */
const ELECTION_MS_MAX = 10 * ELECTION_TIMEOUT_MS;
/** In calm, somebody appends or applies something at least this often until all have all. */
const PROGRESS_MS_MAX = 6 * ELECTION_TIMEOUT_MS;
const CALM_MS_MAX = 60_000;
const RECENTLY_REPORTED_LINES = 60;

/** Every kind of fault and of rare event; all must fire over a whole test run. */
export const KINDS = [
  "drop",
  "duplicate",
  "delay",
  "reorder",
  "blocked",
  "reported unreachable",
  "partition split",
  "partition isolate",
  "partition one-way",
  "partition link",
  "crash",
  "crash all",
  "crash at a write",
  "crash with unsynced batches",
  "crash with a torn tail",
  "restart",
  "stall",
  "slow disk",
  "lost tail",
  "lost tails of a majority",
  "whole again",
  "election won by all voters",
  "gathered mail",
  "snapshot taken",
  "snapshot overtaken",
  "snapshot installed",
  "snapshot lost",
  "add-learner appended",
  "promote appended",
  "remove appended",
  "conf-change refused",
  "transfer started",
  "propose overloaded",
  "propose transferring",
  "propose not-leader",
  "read confirmed",
  "read pending",
  "read no-leader",
  "read served",
  "read aborted",
  "read with two leaders",
] as const;

export interface SwarmRun {
  readonly coverage: Coverage;
  readonly trace: readonly string[];
}

/** Runs one seed; a violation carries the last lines of its trace and how to replay it. */
export function runSeed(seed: number, trace: boolean): SwarmRun {
  const random = new SeededRandom(seed);
  const options = drawOptions(seed, random, trace);
  const plan = drawPlan(random);
  const cluster = new Cluster(options);
  try {
    const clients = new Clients(cluster, plan);
    const nemesis = new Nemesis(cluster, plan);
    cluster.run(FAULT_PHASE_MS);
    nemesis.stop();
    clients.stop();
    healAndConverge(cluster);
  } catch (error) {
    // Once more with a trace, which a passing run can not afford.
    if (!trace) runSeed(seed, true);
    throw explain(seed, cluster, options, plan, error);
  }
  return { coverage: cluster.coverage, trace: cluster.trace };
}

function explain(
  seed: number,
  cluster: Cluster,
  options: ClusterOptions,
  plan: Plan,
  cause: unknown,
): ViolationError {
  const lines = [
    `seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`,
    `replay: RAFT_SEED=${seed} node --import tsx --test raft/simulation.test.ts`,
    JSON.stringify({ ...options, ...plan }),
    ...cluster.trace.slice(-RECENTLY_REPORTED_LINES),
  ];
  const violation = new ViolationError(lines.join("\n"), { cause });
  violation.trace = cluster.trace;
  return violation;
}

const BASE_CONFIG: Omit<RaftConfig, "id" | "initialConfiguration"> = {
  group: 0,
  initialTime: 1_000_000,
  tickMs: 25,
  heartbeatMs: HEARTBEAT_MS,
  electionTimeoutMs: ELECTION_TIMEOUT_MS,
  leaseDriftBound: undefined,
  appendBytesMax: 256 * 1024,
  inflightMessagesMax: 64,
  inflightBytesMax: 4 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  canVote: true,
  isRecovering: false,
};

function drawOptions(seed: number, random: SeededRandom, trace: boolean): ClusterOptions {
  const leaseDriftBound = pick<number | undefined>(random, [undefined, undefined, 0.02, 0.1]);
  return {
    seed,
    voters: pick(random, [1, 2, 3, 3, 3, 3, 4, 5, 5, 7]),
    spares: pick(random, [0, 1, 2]),
    config: {
      ...BASE_CONFIG,
      tickMs: pick(random, [10, 25, 50]),
      leaseDriftBound,
      appendBytesMax: pick(random, [1, 300, 256 * 1024]),
      inflightMessagesMax: pick(random, [1, 2, 64]),
      inflightBytesMax: pick(random, [1, 500, 4 * 1024 * 1024]),
      uncommittedBytesMax: pick(random, [600, 64 * 1024 * 1024]),
    },
    // Two clocks drift apart by at most twice the skew: that must stay within the bound.
    hastyNode: pick(random, [0, 1, 2]),
    clockSkew: leaseDriftBound === undefined ? pick(random, [0, 0.1]) : leaseDriftBound / 2.1,
    diskMsMax: pick(random, [1, 5, 30]),
    gatherMax: pick(random, [1, 2, 8]),
    snapshotEvery: pick(random, [0, 3, 10, 30]),
    retain: pick(random, [0, 2, 20]),
    trace,
  };
}

/** No more faults: the group must come back to work by itself. */
function healAndConverge(cluster: Cluster): void {
  cluster.network.faults = CALM;
  cluster.network.heal();
  for (const host of cluster.hosts) {
    cluster.slowDisk(host, undefined);
    cluster.endStall(host);
    cluster.restart(host);
  }
  const deadlineMs = cluster.nowMs + ELECTION_MS_MAX;
  while (!hasFollowedLeader(cluster)) {
    mustHold(cluster.nowMs < deadlineMs, () => `no leader after ${ELECTION_MS_MAX} ms of calm`);
    cluster.run(HEARTBEAT_MS);
  }
  let lastWord: EntryId | undefined;
  let held = "";
  let progressByMs = cluster.nowMs + PROGRESS_MS_MAX;
  for (;;) {
    cluster.run(HEARTBEAT_MS);
    lastWord = proposeLastWord(cluster, lastWord);
    const missing = whatIsMissing(cluster, lastWord);
    if (missing === undefined) return;
    mustHold(cluster.nowMs < progressByMs, () => `not converged: ${missing}`);
    // One entry for each flush of a slow disk takes long, and is no reason to give up.
    const nowHeld = cluster.hosts.map((host) => host.appliedIndex + host.disk.log.lastIndex);
    if (nowHeld.join() !== held) progressByMs = cluster.nowMs + PROGRESS_MS_MAX;
    held = nowHeld.join();
    mustHold(cluster.nowMs < CALM_MS_MAX, () => `not converged for long: ${missing}`);
  }
}

/** A leader that a majority of its voters follows. */
function hasFollowedLeader(cluster: Cluster): boolean {
  const { leader } = cluster;
  if (leader === undefined) return false;
  const voters = leader.node.configuration.members.filter(({ role }) => role === "voter");
  const following = voters.filter(({ id }) => {
    const node = cluster.history.running.get(id)?.node;
    return node?.leaderId === leader.id && node.term === leader.node.term;
  });
  return following.length > voters.length / 2;
}

/** One command after the storm; a leader deposed before it commits leaves it to the next. */
function proposeLastWord(cluster: Cluster, lastWord: EntryId | undefined): EntryId | undefined {
  const { leader } = cluster;
  if (leader === undefined || leader.node.term === lastWord?.term) return lastWord;
  const data = new TextEncoder().encode("last word");
  const proposed = cluster.ask(leader, (node, now) => node.propose(data, now));
  return proposed?.kind === "appended" ? proposed.id : undefined;
}

function whatIsMissing(cluster: Cluster, lastWord: EntryId | undefined): string | undefined {
  const { leader } = cluster;
  if (leader === undefined) return "no leader";
  if (lastWord === undefined) return "the last word could not be proposed";
  for (const { id } of leader.node.configuration.members) {
    const host = cluster.hosts.find((other) => other.id === id);
    if (host === undefined || host.appliedIndex < leader.log.lastIndex) {
      return `node ${id} applied ${host?.appliedIndex} of ${leader.log.lastIndex}`;
    }
  }
  const waiting = cluster.hosts.find((host) => host.pendingReads.size > 0);
  return waiting && `node ${waiting.id} has ${waiting.pendingReads.size} pending reads`;
}
