/**
 * A cluster of simulated nodes in one virtual time, and the way clients reach them. It owns what
 * there is; what goes wrong is the business of faults.ts, what is asked of it that of client.ts.
 */
import type { Configuration } from "../../raft/index.ts";
import type { ReadOutcome, ReadRequest, WriteOutcome } from "../../server/gateway.ts";
import { HistoryRecorder } from "../linearizability/index.ts";
import { between, fork } from "./chance.ts";
import { Ledger } from "./ledger.ts";
import { MembershipLedger } from "./membership-ledger.ts";
import { SimulatedNode } from "./node.ts";
import type { NodeSettings, NodeSurroundings, Process } from "./node-parts.ts";
import { Scheduler } from "./scheduler.ts";
import type { Shape } from "./shape.ts";
import { SimulatedNetwork } from "./simulated-network.ts";
import { Tally } from "./tally.ts";
import { Trace } from "./trace.ts";
import { require } from "./violation.ts";
import { Wire } from "./wire.ts";

const OBSERVE_MS = 40;
const CLIENT_LATENCY_MS_MAX = 2;

export class Cluster {
  readonly seed: number;
  readonly shape: Shape;
  readonly scheduler = new Scheduler();
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly ledger: Ledger;
  readonly network: SimulatedNetwork;
  /** What clients asked and were told, for the checker. */
  readonly history = new HistoryRecorder(() => this.scheduler.nowMs);
  readonly membership: MembershipLedger;
  /** Somebody has begun to change the members. */
  hasChanged = false;
  readonly #nodes: SimulatedNode[];
  #newestId: number;
  readonly #random;
  /** Requests under way, by the process that owes an answer: called when it can not answer. */
  readonly #owed = new Map<Process, Set<() => void>>();

  constructor(seed: number, shape: Shape, keepsLines: boolean) {
    this.seed = seed;
    this.shape = shape;
    this.trace = new Trace(keepsLines);
    this.trace.nowMs = () => this.scheduler.nowMs;
    this.ledger = new Ledger(shape.sessionLimits);
    this.#random = fork(seed, "cluster");
    const wire = shape.usesWire ? new Wire() : undefined;
    this.network = new SimulatedNetwork(this.scheduler, fork(seed, "network"), this.tally, wire);
    const ids = Array.from({ length: shape.nodes }, (_, at) => at + 1);
    const settings = settingsOf(shape, ids);
    this.membership = new MembershipLedger(settings.initialConfiguration);
    this.#newestId = shape.nodes;
    this.#nodes = ids.map((id) => this.#node(id, settings));
    for (const node of this.nodes) {
      this.scheduler.after(between(this.#random, 0, 50), () => node.start());
    }
    this.#observe();
  }

  /** Machines that are switched on, or will be again. */
  get nodes(): readonly SimulatedNode[] {
    return this.#nodes;
  }

  /** Where clients are sent: not to machines that wait to be added, nor to removed ones. */
  get endpoints(): readonly SimulatedNode[] {
    if (!this.hasChanged) return this.#nodes;
    const members = this.#nodes.filter(({ id }) => this.membership.isMember(id));
    return members.length === 0 ? this.#nodes : members;
  }

  /** Members by the newest configuration of the leader; all that could be while there is none. */
  get members(): readonly SimulatedNode[] {
    const configuration = this.leader?.process?.replica.raft.configuration;
    if (configuration === undefined) return this.#nodes;
    return this.#nodes.filter(({ id }) => configuration.members.some((member) => member.id === id));
  }

  /** Each machine knows that exactly these machines are the voters. */
  get isAtRest(): boolean {
    return this.#nodes.every(({ process }) => {
      const members = process?.replica.raft.configuration.members ?? [];
      const voters = members.filter(({ role }) => role === "voter");
      return (
        members.length === this.#nodes.length &&
        voters.length === members.length &&
        members.every(({ id }) => this.membership.isMember(id))
      );
    });
  }

  /** A new machine with an empty disk and a new id, which knows nobody and waits to be added. */
  join(): SimulatedNode {
    this.#newestId += 1;
    const node = this.#node(this.#newestId, settingsOf(this.shape, []));
    this.#nodes.push(node);
    this.hasChanged = true;
    this.trace.note(`node ${node.id} is new`);
    node.start();
    return node;
  }

  retire(node: SimulatedNode): void {
    require(this.membership.isRemoved(node.id), () => `node ${node.id} is still a member`);
    const at = this.#nodes.indexOf(node);
    if (at < 0) return;
    node.retire();
    this.#nodes.splice(at, 1);
  }

  get leader(): SimulatedNode | undefined {
    const leaders = this.nodes.filter((node) => node.isLeader);
    return leaders.sort((a, b) => termOf(b) - termOf(a))[0];
  }

  /** Requests that have no answer yet. */
  get owed(): number {
    let count = 0;
    for (const requests of this.#owed.values()) count += requests.size;
    return count;
  }

  /** Sends a command to a node; `done` is called once, when it answers or its process ends. */
  submit(
    node: SimulatedNode,
    command: Uint8Array,
    forward: boolean,
    done: (outcome: WriteOutcome) => void,
  ): void {
    const gone = (wasSent: boolean) =>
      done(
        wasSent
          ? { kind: "unknown", reason: "link-lost" }
          : { kind: "not-applied", reason: "starting", leader: undefined },
      );
    this.call(node, gone, (process, settle) => {
      process.replica.submit(command, forward, (outcome) => {
        settle();
        this.trace.mix(4, node.id, outcome.kind.length, 0);
        done(outcome);
      });
    });
  }

  /** Asks a node for a read; a granted one is to be made before `done` returns. */
  read(
    node: SimulatedNode,
    request: ReadRequest,
    done: (outcome: ReadOutcome, process: Process | undefined) => void,
  ): void {
    const gone = () => done({ kind: "refused", reason: "starting", leader: undefined }, undefined);
    this.call(node, gone, (process, settle) => {
      process.replica.read(request, (outcome) => {
        settle();
        this.trace.mix(5, node.id, process.machine.appliedIndex, outcome.kind.length);
        done(outcome, process);
      });
    });
  }

  /**
   * Brings a request to a node. One of the two is called, once, unless the process ends while it
   * sleeps: `run` inside the process, which is to call `settle` when it answers; `gone` when there
   * is no process, or when it ended and owes the answer.
   */
  call(
    node: SimulatedNode,
    gone: (wasSent: boolean) => void,
    run: (process: Process, settle: () => void) => void,
  ): void {
    this.scheduler.after(between(this.#random, 0.05, CLIENT_LATENCY_MS_MAX), () => {
      const { process } = node;
      if (process === undefined) {
        gone(false);
        return;
      }
      let isSettled = false;
      const settle = (): void => {
        require(!isSettled, () => `node ${node.id} answers a request twice`);
        isSettled = true;
        this.#owed.get(process)?.delete(lose);
      };
      const lose = (): void => {
        settle();
        gone(true);
      };
      const owed = this.#owed.get(process) ?? new Set();
      this.#owed.set(process, owed.add(lose));
      process.clock.deliver(() => run(process, settle));
    });
  }

  #node(id: number, settings: NodeSettings): SimulatedNode {
    const { scheduler, network, ledger, membership, trace, tally } = this;
    const around: NodeSurroundings = { scheduler, network, ledger, membership, trace, tally };
    return new SimulatedNode(
      id,
      settings,
      around,
      fork(this.seed, `node ${id}`),
      (_node, process) => {
        for (const lose of this.#owed.get(process) ?? []) this.scheduler.after(0, lose);
        this.#owed.delete(process);
      },
    );
  }

  #observe(): void {
    this.scheduler.after(OBSERVE_MS, () => {
      for (const node of this.nodes) node.observe();
      this.#observe();
    });
  }
}

/** Where clients find a node. */
export function clientAddressOf(id: number): string {
  return `node${id}:2`;
}

function termOf(node: SimulatedNode): number {
  return node.process?.replica.raft.term ?? 0;
}

function settingsOf(shape: Shape, ids: readonly number[]): NodeSettings {
  const initialConfiguration: Configuration = {
    members: ids.map((id) => ({
      id,
      incarnation: 0,
      role: "voter",
      peerAddress: `node${id}:1`,
      clientAddress: clientAddressOf(id),
    })),
  };
  const { timing, snapshots, sessionLimits, storage, diskMsMax } = shape;
  return { initialConfiguration, timing, snapshots, sessionLimits, storage, diskMsMax };
}
