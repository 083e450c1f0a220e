/**
 * The clients of a run: writes, reads, membership changes and transfers at random moments. They
 * expect nothing of the answers; the properties are checked elsewhere.
 */
import type { SeededRandom } from "../random.ts";
import { type Cluster, member } from "./cluster.ts";
import { chance, pick } from "./dice.ts";
import type { Host } from "./host.ts";
import { changeFollowsOwnCommit } from "./invariants.ts";
import type { Plan } from "./plan.ts";

const TWO_LEADERS_CHECK_MS = 5;

/** Keeps asking things of random nodes; most writes go to whoever believes to lead. */
export class Clients {
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
    if (proposed?.kind === "appended") {
      changeFollowsOwnCommit(host);
      this.#cluster.coverage.count(`${change.kind} appended`);
    }
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
