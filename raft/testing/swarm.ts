/**
 * One seed, one run: a cluster of random shape and limits, a random subset of faults, clients that
 * write, read, change the membership and move the leadership; then a phase without faults in which
 * a leader must emerge, all nodes must agree and every read must end.
 *
 * Each seed leaves most faults out: a run with everything at once hides what a few do together.
 */
import type { RaftConfig } from "../config.ts";
import { SeededRandom } from "../random.ts";
import type { EntryId, NodeId } from "../types.ts";
import { Cluster, type ClusterOptions, member } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import { mustHold, ViolationError } from "./history.ts";
import type { Host } from "./host.ts";
import { CALM, type NetworkFaults } from "./network.ts";

const FAULT_PHASE_MS = 3000;
const HEARTBEAT_MS = 50;
const ELECTION_TIMEOUT_MS = 250;
/** Five of the longest election timeouts. */
const ELECTION_MS_MAX = 10 * ELECTION_TIMEOUT_MS;
/** In calm, somebody appends or applies something at least this often until all have all. */
const PROGRESS_MS_MAX = 6 * ELECTION_TIMEOUT_MS;
const CALM_MS_MAX = 60_000;
const TWO_LEADERS_CHECK_MS = 5;
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

/** What the nemesis may do in this run. */
interface Plan {
  readonly network: NetworkFaults;
  readonly faults: readonly Fault[];
  readonly faultEveryMs: number;
  readonly requestEveryMs: number;
  readonly bigCommands: boolean;
  readonly membership: boolean;
  readonly transfers: boolean;
}

type Fault =
  | "split"
  | "isolate"
  | "one-way"
  | "link"
  | "crash"
  | "crash all"
  | "stall"
  | "slow disk";

const FAULTS: readonly Fault[] = [
  "split",
  "isolate",
  "one-way",
  "link",
  "crash",
  "crash all",
  "stall",
  "slow disk",
];

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

function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  for (const item of items.slice(random.below(items.length))) return item;
  throw new ViolationError("there is something to pick from");
}

function chance(random: SeededRandom, probability: number): boolean {
  return random.next() < probability;
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

function drawPlan(random: SeededRandom): Plan {
  const network: NetworkFaults = {
    drop: pick(random, [0, 0, 0.02, 0.1, 0.3]),
    duplicate: pick(random, [0, 0, 0.05, 0.3]),
    delay: pick(random, [0, 0, 0.05, 0.3]),
    delayMsMax: pick(random, [30, 200, 1000]),
    reorder: chance(random, 0.4),
  };
  return {
    network,
    faults: FAULTS.filter(() => chance(random, 0.35)),
    faultEveryMs: pick(random, [100, 250, 600]),
    requestEveryMs: pick(random, [10, 25, 80]),
    bigCommands: chance(random, 0.3),
    membership: chance(random, 0.4),
    transfers: chance(random, 0.3),
  };
}

/** Keeps asking things of random nodes; most writes go to whoever believes to lead. */
class Clients {
  readonly #cluster: Cluster;
  readonly #plan: Plan;
  readonly #random: SeededRandom;
  #commands = 0;
  #isStopped = false;

  constructor(cluster: Cluster, plan: Plan) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#random = cluster.fork("clients");
    this.#next();
    this.#watchLeaders();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #next(): void {
    const delayMs = 2 * this.#plan.requestEveryMs * this.#random.next();
    this.#cluster.after(delayMs, () => {
      if (this.#isStopped) return;
      this.#request();
      this.#next();
    });
  }

  /** Two nodes believe to lead: the one that does gets a write, and both are asked to read. */
  #watchLeaders(): void {
    this.#cluster.after(TWO_LEADERS_CHECK_MS, () => {
      if (this.#isStopped) return;
      this.#watchLeaders();
      const leaders = this.#cluster.running.filter((host) => host.node.role === "leader");
      const newest = this.#cluster.leader;
      if (leaders.length < 2 || newest === undefined) return;
      this.#propose(newest);
      for (const host of leaders) this.#cluster.read(host);
      this.#cluster.coverage.count("read with two leaders");
    });
  }

  #request(): void {
    const { running } = this.#cluster;
    if (running.length === 0) return;
    const anyone = pick(this.#random, running);
    const leaders = running.filter((host) => host.node.role === "leader");
    const leader = leaders.length > 0 ? pick(this.#random, leaders) : anyone;
    const dice = this.#random.next();
    if (dice < 0.5) this.#propose(leader);
    else if (dice < 0.55) this.#propose(anyone);
    else if (dice < 0.7) this.#cluster.read(leader);
    else if (dice < 0.85) this.#cluster.read(anyone);
    else if (dice < 0.88) this.#proposeOther(leader);
    else if (dice < 0.95) this.#changeMembers(leader);
    else this.#transfer(leader);
  }

  #propose(host: Host): void {
    this.#commands += 1;
    const length = this.#plan.bigCommands ? this.#random.below(400) : 0;
    const data = new TextEncoder().encode(`${this.#commands}${".".repeat(length)}`);
    const proposed = this.#cluster.ask(host, (node, now) => node.propose(data, now));
    if (proposed !== undefined) this.#cluster.coverage.count(`propose ${proposed.kind}`);
  }

  #proposeOther(host: Host): void {
    const isTime = chance(this.#random, 0.7);
    this.#cluster.ask(host, (node, now) =>
      isTime ? node.proposeTime(now) : node.proposeFeatureLevel(1, now),
    );
  }

  #changeMembers(host: Host): void {
    if (!this.#plan.membership) return;
    const ids = this.#cluster.hosts.map((other) => other.id);
    const id = pick(this.#random, ids);
    const current = host.node.configuration.members.find((other) => other.id === id);
    const change =
      current === undefined
        ? ({ kind: "add-learner", member: member(id, "learner") } as const)
        : current.role === "learner" && chance(this.#random, 0.8)
          ? ({ kind: "promote", id } as const)
          : ({ kind: "remove", id } as const);
    const proposed = this.#cluster.ask(host, (node, now) => node.proposeConfChange(change, now));
    if (proposed?.kind === "appended") this.#cluster.coverage.count(`${change.kind} appended`);
    if (proposed?.kind === "refused") this.#cluster.coverage.count("conf-change refused");
  }

  #transfer(host: Host): void {
    if (!this.#plan.transfers) return;
    const to = pick(this.#random, this.#cluster.hosts).id;
    const started = this.#cluster.ask(host, (node, now) => node.transferLeadership(to, now));
    if (started === undefined) return;
    this.#cluster.coverage.count(`transfer ${started}`);
    // The old leader may be the last to hear of the new one.
    if (started === "started" && this.#plan.faults.includes("link")) {
      this.#cluster.after(5 * this.#random.next(), () => {
        if (!this.#isStopped) this.#cluster.network.block(to, host.id);
      });
    }
  }
}

/** Does harm at random moments, each kind for a while, until it is stopped. */
class Nemesis {
  readonly #cluster: Cluster;
  readonly #plan: Plan;
  readonly #random: SeededRandom;
  #isStopped = false;

  constructor(cluster: Cluster, plan: Plan) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#random = cluster.fork("nemesis");
    cluster.network.faults = plan.network;
    if (plan.faults.length > 0) this.#next();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #next(): void {
    const delayMs = 2 * this.#plan.faultEveryMs * this.#random.next();
    this.#cluster.after(delayMs, () => {
      if (this.#isStopped) return;
      this.#strike(pick(this.#random, this.#plan.faults));
      this.#next();
    });
  }

  #strike(fault: Fault): void {
    const { running } = this.#cluster;
    if (running.length === 0) return;
    // The leader is the most interesting victim.
    const leader = this.#cluster.leader;
    const anyone = pick(this.#random, running);
    const victim = leader !== undefined && chance(this.#random, 0.4) ? leader : anyone;
    switch (fault) {
      case "split":
      case "isolate":
      case "one-way":
        this.#partition(fault, victim);
        break;
      case "link":
        this.#cutLink(leader ?? victim, anyone);
        break;
      case "crash":
        this.#crashSomehow(victim);
        break;
      case "crash all":
        this.#cluster.coverage.count("crash all");
        for (const host of running) this.#crash(host, 100 * this.#random.next());
        break;
      case "stall":
        this.#cluster.stall(victim, 600 * this.#random.next());
        break;
      case "slow disk":
        this.#slowDisks(victim);
        break;
    }
  }

  #partition(fault: "split" | "isolate" | "one-way", victim: Host): void {
    const { network, hosts, coverage } = this.#cluster;
    coverage.count(`partition ${fault}`);
    const side = new Set<NodeId>();
    for (const { id } of hosts) {
      if (fault === "split" ? chance(this.#random, 0.5) : id === victim.id) side.add(id);
    }
    const isInward = chance(this.#random, 0.5);
    for (const one of hosts) {
      for (const other of hosts) {
        if (side.has(one.id) === side.has(other.id)) continue;
        if (fault === "one-way" && side.has(one.id) === isInward) continue;
        network.block(one.id, other.id);
      }
    }
    this.#later(800 * this.#random.next(), () => network.heal());
  }

  /** The two do not hear each other, everybody else hears both. */
  #cutLink(one: Host, other: Host): void {
    const { network, coverage } = this.#cluster;
    coverage.count("partition link");
    network.block(one.id, other.id);
    network.block(other.id, one.id);
    this.#later(800 * this.#random.next(), () => network.heal());
  }

  /** At once or in the middle of a write; back soon or after the others have gone on. */
  #crashSomehow(host: Host): void {
    const downMs = pick(this.#random, [30, 400]) * this.#random.next();
    if (chance(this.#random, 0.4)) {
      this.#crash(host, downMs);
      return;
    }
    this.#cluster.atNextWrite(host, () => {
      if (this.#isStopped) return;
      this.#cluster.coverage.count("crash at a write");
      this.#crash(host, downMs);
    });
  }

  #crash(host: Host, downMs: number): void {
    const { coverage } = this.#cluster;
    coverage.count("crash");
    const keep = chance(this.#random, 0.5)
      ? this.#random.below(host.disk.pendingOperations + 1)
      : 0;
    this.#cluster.crash(host, keep);
    this.#later(downMs, () => {
      coverage.count("restart");
      this.#cluster.restart(host);
    });
  }

  #slowDisks(host: Host): void {
    this.#cluster.coverage.count("slow disk");
    this.#cluster.slowDisk(host, 300);
    this.#later(500 * this.#random.next(), () => this.#cluster.slowDisk(host, undefined));
  }

  #later(delayMs: number, run: () => void): void {
    this.#cluster.after(delayMs, () => {
      if (!this.#isStopped) run();
    });
  }
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

/** One command after the storm; a leader that is deposed before it commits leaves it to the next. */
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
