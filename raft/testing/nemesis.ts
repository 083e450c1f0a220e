/** What goes wrong in a run besides the network's own losses: partitions, crashes, stalls. */
import type { SeededRandom } from "../random.ts";
import type { NodeId } from "../types.ts";
import type { Cluster } from "./cluster.ts";
import { loseTail } from "./damage.ts";
import { chance, pick } from "./dice.ts";
import type { Host } from "./host.ts";
import type { Fault, Plan } from "./plan.ts";

/** Does harm at random moments, each kind for a while, until it is stopped. */
export class Nemesis {
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
      case "lost tail":
        this.#loseTails(chance(this.#random, 0.3) ? running : [victim]);
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

  /** Disks go bad, of one node or of several at once. */
  #loseTails(hosts: readonly Host[]): void {
    for (const host of hosts) {
      this.#crash(host, pick(this.#random, [30, 400]) * this.#random.next());
      if (chance(this.#random, 0.8)) loseTail(this.#cluster, host, this.#random);
    }
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
