/**
 * One run of a storage over a simulated disk, step by step, with its model beside it. A crash ends
 * it wherever it is; `recover` opens what is left and checks it.
 */
import assert from "node:assert/strict";
import type { Entry, HardState, SnapshotMetadata } from "../../raft/index.ts";
import { SeededRandom } from "../../raft/index.ts";
import type { ReceivedSnapshot, SnapshotDescription } from "../contract.ts";
import { type DurableStorage, openStorage, type StorageOptions } from "../durable-storage.ts";
import { entryChecksum } from "../entry-codec.ts";
import { FileSystemError } from "../errors.ts";
import type { StorageReport } from "../report.ts";
import { LogModel } from "./log-model.ts";
import { ManualClock } from "./manual-clock.ts";
import { SimulatedCrash, type SimulatedFileSystem } from "./simulated-file-system.ts";

export const DIRECTORY = "/data";
export const CLUSTER = "cluster-1";

export const SMALL_SIZES = {
  segmentBytes: [12 * 1024, 16 * 1024],
  batchBytesMax: 2000,
} as const;

export class ScriptedRun {
  readonly model: LogModel;
  readonly clock = new ManualClock();
  readonly reports: StorageReport[] = [];
  readonly failures: Error[] = [];
  readonly #random: SeededRandom;
  fileSystem: SimulatedFileSystem;
  #storage: DurableStorage | undefined;
  #hardState: HardState = { term: 0, vote: 0, commitIndex: 0 };

  constructor(fileSystem: SimulatedFileSystem, seed: number, model = new LogModel()) {
    this.fileSystem = fileSystem;
    this.model = model;
    this.#random = new SeededRandom(seed);
  }

  get storage(): DurableStorage {
    assert.ok(this.#storage !== undefined, "the storage is open");
    return this.#storage;
  }

  get isOver(): boolean {
    return this.fileSystem.hasCrashed || this.failures.length > 0;
  }

  /** Runs a step unless the run is over; a crash inside ends the run. */
  step(run: () => void): void {
    if (this.isOver) return;
    try {
      run();
      this.settle();
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
    }
  }

  get options(): StorageOptions {
    return {
      directory: DIRECTORY,
      fileSystem: this.fileSystem,
      clock: this.clock,
      clusterId: CLUSTER,
      nodeId: 1,
      mintIncarnation: () => 7,
      onFailure: (error) => this.failures.push(error),
      onReport: (report) => this.reports.push(report),
      ...SMALL_SIZES,
    };
  }

  open(): void {
    this.#storage = openStorage(this.options);
    this.#hardState = this.storage.restored.hardState;
  }

  /** Lets everything that is on its way complete, in an order of the seed's choice. */
  settle(): void {
    for (;;) {
      const due = this.fileSystem.completionsDue;
      if (due > 0) this.fileSystem.deliver(this.#random.below(due));
      else if (!this.clock.runSoon()) return;
      if (this.isOver) return;
    }
  }

  vote(term: number, vote: number): void {
    this.persist({ ...this.#hardState, term, vote }, true, []);
  }

  /** Appends `count` entries from `from` on, replacing what stands there; does not wait. */
  append(term: number, wanted: number, count: number, dataBytes = 100): void {
    const entries: Entry[] = [];
    // Nearer, when a step that would have brought the log this far was refused.
    const from = Math.min(wanted, this.model.lastIndex + 1);
    for (let index = from; index < from + count; index += 1) {
      const data = Buffer.alloc(dataBytes, `${term}/${index} `);
      entries.push({ type: "command", group: 0, term, index, time: index * 10, data });
    }
    this.persist(undefined, false, entries);
  }

  persist(hardState: HardState | undefined, mustSync: boolean, entries: readonly Entry[]): void {
    if (hardState !== undefined) this.#hardState = hardState;
    const acknowledge = this.model.persist(hardState, entries);
    this.storage.persist({ hardState, mustSyncHardState: mustSync, entries }, acknowledge);
  }

  save(index: number): void {
    const entry = this.model.entry(index);
    if (entry === undefined) return;
    const acknowledge = this.model.snapshot(index);
    const description = describe(index, entry.term, entryChecksum(entry));
    this.storage.saveSnapshot(description, stateOf(index)[Symbol.iterator](), (error) => {
      if (error === undefined) acknowledge();
    });
  }

  install(donated: Buffer, index: number, term: number): void {
    const sink = this.storage.receiveSnapshot();
    const finished = (error: Error | undefined, received: ReceivedSnapshot | undefined): void => {
      if (received === undefined) {
        assert.ok(error instanceof FileSystemError);
        return;
      }
      const acknowledge = this.model.install(index, term);
      const chunks: Buffer[] = [];
      this.storage.installSnapshot(
        received,
        (chunk) => chunks.push(Buffer.from(chunk)),
        (installError) => {
          assert.equal(installError, undefined);
          assert.deepEqual(Buffer.concat(chunks), Buffer.concat(stateOf(index)));
          acknowledge();
        },
      );
    };
    const feed = (at: number): void => {
      if (at >= donated.length) sink.finish(finished);
      else
        sink.write(donated.subarray(at, at + 300), (error) => {
          if (error === undefined) feed(at + 300);
          else assert.ok(error instanceof FileSystemError);
        });
    };
    feed(0);
  }

  /** As far as a snapshot covers it, should the last one have failed. */
  compact(through: number): void {
    this.storage.compact(Math.min(through, this.storage.snapshot?.metadata.index ?? 0));
  }

  pause(): void {
    this.clock.advance(1000);
  }

  close(): void {
    this.storage.close(() => {});
  }

  /** Opens what is left, checks it against the model, and takes it as the truth from here on. */
  recover(context: string): void {
    this.reopen(context);
    this.model.adopt(this.storage.restored);
  }

  /** Opens what is left and checks it against the model. */
  reopen(context: string): void {
    this.open();
    const { restored } = this.storage;
    this.model.check(restored, context);
    const chunks: Buffer[] = [];
    this.storage.readSnapshot((chunk) => chunks.push(Buffer.from(chunk)));
    const index = restored.snapshot?.index ?? 0;
    const expected = index === 0 ? Buffer.alloc(0) : Buffer.concat(stateOf(index));
    assert.deepEqual(Buffer.concat(chunks), expected, `${context}: the snapshot's state`);
  }
}

/** The state after applying `index`, as a state machine would hand it out. */
export function stateOf(index: number): readonly Buffer[] {
  return [Buffer.from(`state at ${index} `), Buffer.alloc(700, `${index},`), Buffer.from("end")];
}

export function describe(index: number, term: number, checksum: number): SnapshotDescription {
  const members = [
    { id: 1, incarnation: 7, role: "voter", peerAddress: "a:1", clientAddress: "b:1" },
    { id: 2, incarnation: 0, role: "learner", peerAddress: "c:1", clientAddress: "d:1" },
  ] as const;
  const metadata: SnapshotMetadata = {
    group: 0,
    term,
    index,
    time: index * 10,
    configuration: { members },
    configurationIndex: 0,
    entryChecksum: checksum,
  };
  return { metadata, summary: Buffer.from(`revision ${index}`) };
}

/** The whole life of a log in little: votes, rolls, a conflict, snapshots, compaction, install. */
export function wholeLife(run: ScriptedRun, donated: Buffer): void {
  run.step(() => run.open());
  run.step(() => run.vote(1, 1));
  run.step(() => {
    run.append(1, 1, 3);
    run.append(1, 4, 2);
    run.append(1, 6, 1, 900);
  });
  run.step(() => {
    run.append(1, 7, 8, 300);
    run.persist({ term: 1, vote: 1, commitIndex: 6 }, false, []);
  });
  run.step(() => run.pause());
  run.step(() => {
    run.vote(2, 0);
    run.append(2, 9, 4, 400);
  });
  run.step(() => run.save(6));
  run.step(() => {
    run.compact(6);
    run.append(2, 13, 6, 500);
  });
  run.step(() => run.append(2, 19, 1, 6000));
  run.step(() => run.save(12));
  run.step(() => run.append(2, 20, 5, 700));
  run.step(() => {
    run.save(19);
    run.append(2, 25, 2);
  });
  run.step(() => run.compact(19));
  run.step(() => run.vote(3, 2));
  run.step(() => run.close());
  run.step(() => run.recover("reopened"));
  run.step(() => run.append(3, 26, 4, 600));
  run.step(() => {
    run.install(donated, 40, 3);
    run.append(3, 30, 1);
  });
  run.step(() => run.append(3, 41, 5, 500));
  run.step(() => run.pause());
  run.step(() => run.append(4, 44, 6, 900));
  run.step(() => run.save(45));
  run.step(() => run.compact(45));
  run.step(() => run.append(4, 50, 3));
  run.step(() => run.close());
}
