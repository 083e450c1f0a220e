/**
 * Three production replicas in virtual time whose state machines can be made to go wrong, each with
 * the way back that a server takes: set the state aside, start again with nothing.
 */
import { type CommandEntry, type Entry, type Member, SeededRandom } from "../../raft/index.ts";
import type { ReadOutcome, WriteOutcome } from "../../server/gateway.ts";
import {
  encodePut,
  isSupportedCommand,
  type KvResult,
  KvStateMachine,
} from "../../server/kv/index.ts";
import type { Divergence } from "../../server/replica/state-guard.ts";
import { Replica } from "../../server/replica.ts";
import { openStorage, type StorageOptions, setAside } from "../../storage/index.ts";
import { Drive } from "../simulation/drive.ts";
import { Scheduler } from "../simulation/scheduler.ts";
import { SimulatedClock } from "../simulation/simulated-clock.ts";
import { type Port, SimulatedNetwork } from "../simulation/simulated-network.ts";
import { SimulatedTransport } from "../simulation/simulated-transport.ts";
import { Tally } from "../simulation/tally.ts";
import { Wire } from "../simulation/wire.ts";

const DIRECTORY = "/data";
const SEGMENT_BYTES = 64 * 1024;

/** Does something else than the log says, whenever it is told to. */
export class FallibleMachine extends KvStateMachine {
  /** What the next command does instead. */
  mistake: Uint8Array | undefined;

  override apply(
    entries: readonly Entry[],
    answer: (entry: CommandEntry, result: KvResult) => void,
  ): void {
    for (const entry of entries) {
      const { mistake } = this;
      if (entry.type !== "command" || mistake === undefined) {
        super.apply([entry], answer);
      } else {
        this.mistake = undefined;
        super.apply([{ ...entry, data: mistake }], answer);
      }
    }
  }
}

export class GuardedNode {
  readonly id: number;
  readonly divergences: Divergence[] = [];
  /** What was logged as an error, and as a change of role. */
  readonly lines: string[] = [];
  machine = new FallibleMachine();
  replica: Replica<KvResult>;
  readonly #cluster: GuardedCluster;
  readonly #drive: Drive;
  readonly #random: SeededRandom;

  constructor(id: number, cluster: GuardedCluster, random: SeededRandom) {
    this.id = id;
    this.#cluster = cluster;
    this.#random = random;
    this.#drive = new Drive(cluster.scheduler, random, 1);
    this.replica = this.#start();
  }

  /** The next command has another effect here than elsewhere. */
  err(): void {
    this.machine.mistake = encodePut({
      key: "mistake",
      value: Buffer.from(`of node ${this.id}`),
      type: "text",
    });
  }

  read(consistency: "linearizable" | "stale"): ReadOutcome | undefined {
    const outcomes: ReadOutcome[] = [];
    this.replica.read({ consistency, minRevision: 0, forward: true }, (outcome) => {
      outcomes.push(outcome);
    });
    this.#cluster.scheduler.runFor(1_500);
    return outcomes[0];
  }

  #start(): Replica<KvResult> {
    const { scheduler, network, members } = this.#cluster;
    const clock = new SimulatedClock(scheduler, { rate: 1, originMs: 0, guard: (run) => run() });
    const options: StorageOptions = {
      directory: DIRECTORY,
      fileSystem: this.#drive.mount(clock),
      clock,
      clusterId: "guarded",
      nodeId: this.id,
      mintIncarnation: () => 100 + this.id,
      segmentBytes: [SEGMENT_BYTES],
      onFailure: (error) => {
        throw error;
      },
    };
    const storage = openStorage(options);
    this.machine = new FallibleMachine();
    const ports: Port[] = [];
    const replica = new Replica<KvResult>({
      initialConfiguration: { members },
      initialTime: 1_700_000_000_000,
      processIncarnation: this.#random.below(2 ** 31),
      timing: {
        tickMs: 10,
        heartbeatMs: 30,
        electionTimeoutMs: 200,
        requestTimeoutMs: 1_000,
        leaseDriftBound: undefined,
      },
      snapshots: { everyEntries: 40, everyBytes: 1e9, smallSegmentsMax: 32, retainedEntries: 5 },
      clock,
      random: this.#random,
      storage,
      machine: this.machine,
      acceptsCommand: isSupportedCommand,
      openTransport: (events, member) => {
        const port: Port = {
          id: this.id,
          incarnation: storage.identity.incarnation,
          clock,
          events,
          member,
          receiveSnapshot: () => storage.receiveSnapshot(),
          onSend: () => {},
          isOpen: true,
          links: new Set(),
          members: new Set(),
          refusedBy: new Set(),
        };
        ports.push(port);
        return new SimulatedTransport(network, port);
      },
      log: {
        info: (_fields, message) => this.#note(message),
        warn: () => {},
        error: (_fields, message) => this.#note(message),
      },
      onDiverged: (divergence) => {
        this.divergences.push(divergence);
        clock.end();
        setAside(options);
        this.replica = this.#start();
      },
    });
    for (const port of ports) network.open(port);
    return replica;
  }

  #note(message: string): void {
    this.lines.push(message);
    this.#cluster.lines.push(`${this.id}: ${message}`);
  }
}

export class GuardedCluster {
  readonly scheduler = new Scheduler();
  readonly network: SimulatedNetwork;
  readonly members: readonly Member[];
  readonly nodes: readonly GuardedNode[];
  /** Of all nodes, in the order in which things happened. */
  readonly lines: string[] = [];
  #written = 0;

  constructor(seed: number, size = 3) {
    const random = new SeededRandom(seed);
    this.network = new SimulatedNetwork(this.scheduler, random, new Tally(), new Wire());
    const ids = Array.from({ length: size }, (_, at) => at + 1);
    this.members = ids.map((id) => ({
      id,
      incarnation: 0,
      role: "voter",
      peerAddress: `127.0.0.1:${9000 + id}`,
      clientAddress: `127.0.0.1:${8000 + id}`,
    }));
    this.nodes = ids.map((id) => new GuardedNode(id, this, random));
    this.until("a leader is elected", () => this.#leaders().length === 1);
    this.write(3);
  }

  get leader(): GuardedNode {
    const [leader] = this.#leaders();
    if (leader === undefined) throw new Error("nobody leads");
    return leader;
  }

  get followers(): readonly GuardedNode[] {
    const { leader } = this;
    return this.nodes.filter((node) => node !== leader);
  }

  node(id: number): GuardedNode {
    const node = this.nodes.find((candidate) => candidate.id === id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  /** Writes one after the other. */
  write(count: number, through?: GuardedNode): readonly WriteOutcome[] {
    const outcomes: WriteOutcome[] = [];
    for (let n = 0; n < count; n += 1) {
      this.#submit(through ?? this.leader, outcomes);
      this.until("a write is answered", () => outcomes.length > n);
    }
    return outcomes;
  }

  /** Writes all at once. */
  burst(count: number): void {
    const outcomes: WriteOutcome[] = [];
    for (let n = 0; n < count; n += 1) this.#submit(this.leader, outcomes);
    this.until("all writes are answered", () => outcomes.length === count);
  }

  #submit({ replica }: GuardedNode, outcomes: WriteOutcome[]): void {
    this.#written += 1;
    const value = Buffer.from(`value ${this.#written}`);
    const command = encodePut({ key: `key ${this.#written % 50}`, value, type: "text" });
    replica.submit(command, true, (outcome) => outcomes.push(outcome));
  }

  until(what: string, isSo: () => boolean): void {
    const untilMs = this.scheduler.nowMs + 30_000;
    this.scheduler.runWhile(() => !isSo() && this.scheduler.nowMs < untilMs);
    if (!isSo()) throw new Error(`not in 30 s: ${what}\n${this.lines.join("\n")}`);
  }

  run(durationMs: number): void {
    this.scheduler.runFor(durationMs);
  }

  areEqual(): boolean {
    const [first, ...others] = this.nodes;
    return others.every(
      ({ machine, replica }) =>
        machine.hash.value === first?.machine.hash.value &&
        replica.raft.appliedIndex === first.replica.raft.appliedIndex,
    );
  }

  #leaders(): readonly GuardedNode[] {
    const leading = this.nodes.filter(({ replica }) => replica.raft.role === "leader");
    const newest = Math.max(...leading.map(({ replica }) => replica.raft.term));
    return leading.filter(({ replica }) => replica.raft.term === newest);
  }
}
