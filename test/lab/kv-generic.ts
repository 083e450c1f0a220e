/**
 * Lab 4A and 4B (3A and 3B until 2023), GenericTest: clients append and read while servers restart
 * and the network falls apart; in the end every append is there once and in order, and the whole
 * history is linearizable.
 *
 * The store has no append. A client appends to its own key by a put on condition of the revision
 * that its last put made, so a put that took effect twice, or late, breaks the condition of the
 * next; the value is a chain (chain.ts), which is to the full text what a hash is to its bytes.
 */
import { append, EMPTY_CHAIN } from "./chain.ts";
import { check, ELECTION_MS, type Lab, range, within } from "./lab.ts";
import type { LabTest, SnapshotRule } from "./lab-test.ts";
import type { LabClient } from "./world.ts";

const ROUNDS = 3;
const ROUND_MS = 5_000;
const LOG_FACTOR = 8;
/** After the heal: far more than a request takes, far less than a test may. */
const DRAIN_MS = 60_000;

export interface Generic {
  readonly clients: number;
  readonly restarts?: boolean;
  readonly partitions?: boolean;
  /** The lab's maxraftstate. */
  readonly stateBytesMax?: number;
  readonly randomKeys?: boolean;
}

/** One client over all rounds. */
class Appender {
  readonly key: string;
  readonly #lab: Lab;
  readonly #client: LabClient;
  readonly #name: string;
  #chain = EMPTY_CHAIN;
  #revision = 0;
  #appends = 0;
  #pieces = 0;

  constructor(lab: Lab, name: number) {
    this.#lab = lab;
    this.#client = lab.client();
    this.#name = `${name}`;
    this.key = `key ${name}`;
  }

  async work(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (this.#lab.below(1_000) < 500) await this.#append();
      else await this.#compare();
      await this.#lab.sleep(this.#lab.world.paceMs);
    }
  }

  /** The same on keys that all share, with blind puts among it (the Linearizable tests). */
  async workOn(keys: number, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const key = `shared ${this.#lab.below(keys)}`;
      const dice = this.#lab.below(1_000);
      if (dice < 500) await this.#appendTo(key);
      else if (dice < 600) await this.#client.put(key, this.#piece());
      else await this.#client.get(key);
      await this.#lab.sleep(this.#lab.world.paceMs);
    }
  }

  async #append(): Promise<void> {
    const next = append(this.#chain, this.#piece());
    const condition =
      this.#revision === 0
        ? ({ kind: "absent" } as const)
        : ({ kind: "revision", revision: this.#revision } as const);
    const answer = await this.#client.put(this.key, next, condition);
    check(answer.kind === "put", () => `${this.key}: somebody else wrote, or a put was repeated`);
    this.#chain = next;
    this.#revision = answer.revision;
    this.#appends += 1;
    check(answer.version === this.#appends, () => `${this.key}: version ${answer.version}`);
  }

  async #compare(): Promise<void> {
    const record = await this.#client.get(this.key);
    const found = record?.value ?? EMPTY_CHAIN;
    check(found === this.#chain, () => `${this.key} holds ${found}, right is ${this.#chain}`);
  }

  /** Read and put on condition; somebody may have been faster, and that is an answer. */
  async #appendTo(key: string): Promise<void> {
    const record = await this.#client.get(key);
    const next = append(record?.value ?? EMPTY_CHAIN, this.#piece());
    const condition =
      record?.revision === undefined
        ? ({ kind: "absent" } as const)
        : ({ kind: "revision", revision: record.revision } as const);
    await this.#client.put(key, next, condition);
  }

  #piece(): string {
    this.#pieces += 1;
    return `x ${this.#name} ${this.#pieces - 1} y`;
  }

  async finish(): Promise<void> {
    await this.#compare();
  }

  checkProgress(): void {
    check(this.#pieces > 0, () => `${this.key} was never written to`);
  }
}

async function partitions(lab: Lab, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const isFirst = lab.ids.map(() => lab.below(2) === 0);
    lab.partition(
      lab.ids.filter((_, at) => isFirst[at]),
      lab.ids.filter((_, at) => !isFirst[at]),
    );
    await lab.sleep(ELECTION_MS + lab.below(200));
  }
}

async function generic(lab: Lab, plan: Generic): Promise<void> {
  const appenders = range(plan.clients).map((name) => new Appender(lab, name));
  const keys = appenders.length;
  for (const _ of range(ROUNDS)) {
    let areClientsDone = false;
    let arePartitionsDone = false;
    const clients = appenders.map((one) =>
      plan.randomKeys === true
        ? one.workOn(keys, () => areClientsDone)
        : one.work(() => areClientsDone),
    );
    const work = Promise.all(clients);
    // Whoever fails first is heard below; until then nobody is unheard.
    work.catch(() => undefined);
    let split: Promise<void> | undefined;
    if (plan.partitions === true) {
      await lab.sleep(1_000);
      split = partitions(lab, () => arePartitionsDone);
    }
    await lab.sleep(ROUND_MS);
    areClientsDone = true;
    arePartitionsDone = true;
    if (split !== undefined) {
      await split;
      lab.connectAll();
      await lab.sleep(ELECTION_MS);
    }
    if (plan.restarts === true) await restartAll(lab);
    await within(lab, DRAIN_MS, "answering what was asked", work);
    if (plan.randomKeys !== true) for (const one of appenders) await one.finish();
    await checkSizes(lab, plan.stateBytesMax);
  }
  for (const one of appenders) one.checkProgress();
  lab.requireLinearizable();
}

async function restartAll(lab: Lab): Promise<void> {
  await lab.crash(...lab.ids);
  await lab.sleep(ELECTION_MS);
  await lab.start(...lab.ids);
}

async function checkSizes(lab: Lab, stateBytesMax: number | undefined): Promise<void> {
  if (stateBytesMax === undefined) {
    const bytes = await lab.snapshotBytes();
    check(bytes === 0, () => `a snapshot of ${bytes} bytes, although there should be none`);
    return;
  }
  const bytes = await lab.logBytes();
  check(bytes <= LOG_FACTOR * stateBytesMax, () => `a log of ${bytes} bytes was not trimmed`);
}

interface Row extends Generic {
  readonly name: string;
  readonly servers: number;
  readonly unreliable?: boolean;
}

const STATE_BYTES_MAX = 1_000;

const ROWS: readonly Row[] = [
  { name: "Basic3A", clients: 1, servers: 5 },
  { name: "Concurrent3A", clients: 5, servers: 5 },
  { name: "Unreliable3A", clients: 5, servers: 5, unreliable: true },
  { name: "ManyPartitionsOneClient3A", clients: 1, servers: 5, partitions: true },
  { name: "ManyPartitionsManyClients3A", clients: 5, servers: 5, partitions: true },
  { name: "PersistOneClient3A", clients: 1, servers: 5, restarts: true },
  { name: "PersistConcurrent3A", clients: 5, servers: 5, restarts: true },
  {
    name: "PersistConcurrentUnreliable3A",
    clients: 5,
    servers: 5,
    unreliable: true,
    restarts: true,
  },
  { name: "PersistPartition3A", clients: 5, servers: 5, restarts: true, partitions: true },
  {
    name: "PersistPartitionUnreliable3A",
    clients: 5,
    servers: 5,
    unreliable: true,
    restarts: true,
    partitions: true,
  },
  {
    name: "PersistPartitionUnreliableLinearizable3A",
    clients: 15,
    servers: 7,
    unreliable: true,
    restarts: true,
    partitions: true,
    randomKeys: true,
  },
  {
    name: "SnapshotRecover3B",
    clients: 1,
    servers: 5,
    restarts: true,
    stateBytesMax: STATE_BYTES_MAX,
  },
  {
    name: "SnapshotRecoverManyClients3B",
    clients: 20,
    servers: 5,
    restarts: true,
    stateBytesMax: STATE_BYTES_MAX,
  },
  {
    name: "SnapshotUnreliable3B",
    clients: 5,
    servers: 5,
    unreliable: true,
    stateBytesMax: STATE_BYTES_MAX,
  },
  {
    name: "SnapshotUnreliableRecover3B",
    clients: 5,
    servers: 5,
    unreliable: true,
    restarts: true,
    stateBytesMax: STATE_BYTES_MAX,
  },
  {
    name: "SnapshotUnreliableRecoverConcurrentPartition3B",
    clients: 5,
    servers: 5,
    unreliable: true,
    restarts: true,
    partitions: true,
    stateBytesMax: STATE_BYTES_MAX,
  },
  {
    name: "SnapshotUnreliableRecoverConcurrentPartitionLinearizable3B",
    clients: 15,
    servers: 7,
    unreliable: true,
    restarts: true,
    partitions: true,
    randomKeys: true,
    stateBytesMax: STATE_BYTES_MAX,
  },
];

function titleOf({ clients, unreliable, restarts, partitions, randomKeys }: Row): string {
  const words = [
    clients === 1 ? "one client" : `${clients} clients`,
    ...(unreliable === true ? ["unreliable network"] : []),
    ...(restarts === true ? ["restarts"] : []),
    ...(partitions === true ? ["partitions"] : []),
    ...(randomKeys === true ? ["random keys"] : []),
  ];
  return words.join(", ");
}

export const GENERIC_TESTS: readonly LabTest[] = ROWS.map((row) => {
  const { name, servers, stateBytesMax } = row;
  const snapshots: SnapshotRule | undefined =
    stateBytesMax === undefined ? undefined : { everyBytes: stateBytesMax };
  return {
    name,
    part: "KV",
    title: titleOf(row),
    servers,
    isUnreliable: row.unreliable ?? false,
    ...(snapshots === undefined ? {} : { snapshots }),
    run: (lab) => generic(lab, row),
  };
});
