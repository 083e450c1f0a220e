/**
 * The lab in virtual time: whole replicas of the simulator (test/simulation), with its ledger
 * watching every step, and test scripts that wait for virtual milliseconds.
 *
 * A script is ordinary asynchronous code. It runs until it waits; then events run until one of them
 * ends a wait; and so on (`drive`). So scripts and events never overlap, and the order of
 * everything comes from the seed.
 */
import { SeededRandom } from "../../../raft/index.ts";
import type { WriteOutcome } from "../../../server/gateway.ts";
import { SESSION_LIMITS } from "../../../server/kv/index.ts";
import { ENTRY_HEADER_BYTES } from "../../../storage/index.ts";
import type { ObservedRecord } from "../../linearizability/index.ts";
import { Cluster } from "../../simulation/cluster.ts";
import type { SimulatedNode } from "../../simulation/node.ts";
import type { Intent } from "../../simulation/operation.ts";
import type { Shape } from "../../simulation/shape.ts";
import { encode, observed } from "../../simulation/translation.ts";
import { require } from "../../simulation/violation.ts";
import { type LabTest, type SnapshotRule, TIMING } from "../lab-test.ts";
import type { LabClient, ProposalOutcome, ServerView, Traffic, Weather, World } from "../world.ts";
import { Carriage } from "./carriage.ts";
import { VirtualClient } from "./virtual-client.ts";

const KIB = 1024;
const NEVER = Number.MAX_SAFE_INTEGER;
const SHUTDOWN_GRACE_MS = 4_000;
const PACE_MS = 150;
/** By then every server has started. */
const START_MS = 60;

export class VirtualWorld implements World {
  readonly ids: readonly number[];
  readonly random: SeededRandom;
  readonly paceMs = PACE_MS;
  readonly cluster: Cluster;
  weather: Weather;
  entryBytesMax = 0;
  readonly #carriage: Carriage;
  /** Links that this world has cut. */
  readonly #cuts = new Set<string>();
  /** Waits that events have ended and their script does not know of yet. */
  #wakes = 0;

  constructor(test: LabTest, seed: number, keepsLines: boolean) {
    this.random = new SeededRandom(Math.imul(seed, 0x9e3779b1) >>> 0);
    this.cluster = new Cluster(seed, shapeOf(test), keepsLines);
    this.ids = this.cluster.nodes.map(({ id }) => id);
    this.weather = { isUnreliable: test.isUnreliable ?? false, hasLongReordering: false };
    const random = new SeededRandom(Math.imul(seed, 0x85ebca6b) >>> 0);
    this.#carriage = new Carriage(random, () => this.weather, test.countsBytes ?? false);
    this.cluster.network.conduct = this.#carriage.conduct;
    this.setWeather(this.weather);
  }

  /** Runs a script to its end; events stop with it. */
  async drive(run: () => Promise<void>): Promise<void> {
    this.cluster.scheduler.runFor(START_MS);
    const script = run();
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    script.then(over, over);
    for (;;) {
      // Promises come first, as long as there are any: then the script waits for an event.
      await new Promise((resolve) => setImmediate(resolve));
      if (isOver) break;
      this.#wakes = 0;
      this.cluster.scheduler.runWhile(() => this.#wakes === 0);
    }
    await script;
  }

  /** A wait that an event ends by calling the function it is given. */
  wait<Value>(start: (done: (value: Value) => void) => void): Promise<Value> {
    return new Promise((resolve) => {
      start((value) => {
        this.#wakes += 1;
        resolve(value);
      });
    });
  }

  nowMs(): number {
    return this.cluster.scheduler.nowMs;
  }

  sleep(ms: number): Promise<void> {
    return this.wait((done) => void this.cluster.scheduler.after(ms, () => done(undefined)));
  }

  // ---- Faults ----------------------------------------------------------------------------------

  setWeather(weather: Weather): void {
    this.weather = weather;
    // What is no message (a piece of a snapshot) is treated by chance alone.
    const { faults } = this.cluster.network;
    faults.drop = weather.isUnreliable ? 0.1 : 0;
    faults.delay = weather.isUnreliable ? 1 : 0;
    faults.delayMsMax = 26;
  }

  setLinks(isOpen: (one: number, other: number) => boolean): void {
    const { network } = this.cluster;
    for (const one of this.ids) {
      for (const other of this.ids) {
        const link = `${one}>${other}`;
        const isCut = one !== other && !isOpen(one, other);
        if (isCut === this.#cuts.has(link)) continue;
        if (isCut) {
          this.#cuts.add(link);
          network.cut(one, other);
        } else {
          this.#cuts.delete(link);
          network.mend(one, other);
        }
      }
    }
  }

  async crash(id: number): Promise<void> {
    this.#node(id).crash("nothing");
  }

  async shutdown(id: number): Promise<void> {
    const node = this.#node(id);
    const { process } = node;
    if (process === undefined) return;
    await this.wait((done) => {
      process.clock.deliver(() => {
        process.replica.close(SHUTDOWN_GRACE_MS, () => done(undefined));
      });
    });
    node.crash("everything");
  }

  async start(id: number): Promise<void> {
    this.#node(id).start();
  }

  // ---- Looking and asking ----------------------------------------------------------------------

  async view(id: number): Promise<ServerView | undefined> {
    const { process } = this.#node(id);
    if (process === undefined) return undefined;
    const { role, term, lastIndex } = process.replica.raft;
    const snapshotIndex = process.storage.snapshot?.metadata.index ?? 0;
    return {
      isLeader: role === "leader",
      term,
      applied: process.machine.revision,
      logEntries: lastIndex - snapshotIndex,
      snapshotIndex,
    };
  }

  async snapshotBytes(id: number): Promise<number> {
    const { process } = this.#node(id);
    let bytes = 0;
    if (process?.storage.snapshot === undefined) return 0;
    process.storage.readSnapshot((chunk) => {
      bytes += chunk.length;
    });
    return bytes;
  }

  async recordOf(id: number, key: string): Promise<ObservedRecord | undefined> {
    const { process } = this.#node(id);
    return observed(process?.machine.reader.get(key)) ?? undefined;
  }

  async propose(id: number, key: string, value: string): Promise<ProposalOutcome> {
    const condition = { kind: "none" } as const;
    const intent: Intent = {
      kind: "put",
      key,
      value,
      condition,
      wantPrevious: false,
      stamp: undefined,
    };
    const outcome = await this.submit(this.#node(id), intent, false);
    switch (outcome.kind) {
      case "applied": {
        const { result } = outcome;
        if (result.kind !== "put") return { kind: "refused" };
        return { kind: "applied", index: result.revision, version: result.version };
      }
      case "not-applied":
        return { kind: "refused" };
      case "unknown":
        return { kind: "unknown" };
    }
  }

  /** One attempt, told to the ledger before it leaves and when it is answered. */
  submit(node: SimulatedNode, intent: Intent, forward: boolean): Promise<WriteOutcome> {
    const { ledger } = this.cluster;
    const attempt = ledger.begin(intent, ledger.seen);
    const command = encode(intent, attempt.id, this.random);
    this.entryBytesMax = Math.max(this.entryBytesMax, command.length + ENTRY_HEADER_BYTES);
    return this.wait((done) => {
      this.cluster.submit(node, command, forward, (outcome) => {
        attempt.outcome = outcome.kind;
        if (outcome.kind === "applied") ledger.answered(attempt, outcome.result);
        const isDone = outcome.kind === "not-applied" && attempt.index !== 0;
        require(!isDone, () =>
          `attempt ${attempt.id} is in the log at ${attempt.index}, answered as not applied`);
        done(outcome);
      });
    });
  }

  client(reach: readonly number[] = this.ids): LabClient {
    return new VirtualClient(
      this,
      reach.map((id) => this.#node(id)),
    );
  }

  async traffic(): Promise<Traffic> {
    return this.#carriage.traffic;
  }

  #node(id: number): SimulatedNode {
    const node = this.cluster.nodes[id - 1];
    if (node === undefined) throw new Error(`there is no server ${id}`);
    return node;
  }
}

function shapeOf(test: LabTest): Shape {
  return {
    nodes: test.servers,
    timing: { ...TIMING, leaseDriftBound: undefined },
    snapshots: { ...policyOf(test.snapshots), smallSegmentsMax: NEVER, retainedEntries: 0 },
    sessionLimits: SESSION_LIMITS,
    storage: { segmentBytes: [64 * KIB], batchBytesMax: 64 * KIB },
    diskMsMax: 1,
    usesWire: false,
    // The simulator's own clients stay at home.
    clients: 0,
    keys: 0,
    thinkMs: 0,
    pipeline: 0,
    valueBytesMax: 0,
  };
}

function policyOf(rule: SnapshotRule | undefined) {
  if (rule === undefined) return { everyEntries: NEVER, everyBytes: NEVER };
  if ("everyEntries" in rule) return { everyEntries: rule.everyEntries, everyBytes: NEVER };
  return { everyEntries: NEVER, everyBytes: rule.everyBytes };
}
