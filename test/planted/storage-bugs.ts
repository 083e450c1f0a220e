/** What a disk forgets, tears and rots, and what recovery makes of it. */
import { type PlantedBug, simulation, testFile } from "./planted-bug.ts";

export const STORAGE_BUGS: readonly PlantedBug[] = [
  {
    number: 3,
    title: "replaying the log brings back truncated entries (etcd 22442)",
    edits: [
      {
        file: "storage/log-recovery.ts",
        find: "if (position < this.entries.length) this.entries.length = position;",
        replace:
          "if (position < this.entries.length) {\n" +
          "      this.entries[position] = entry;\n" +
          "      return;\n" +
          "    }",
      },
    ],
    finders: [testFile("storage/array-model.test.ts"), simulation()],
  },
  {
    number: 5,
    title: "a group of one acknowledges before its flush (etcd 14370, 10508)",
    edits: [
      {
        file: "server/replica.ts",
        find: "start: writes ? (done) => this.#options.storage.persist(batch, done) : undefined,",
        replace:
          "start: writes ? (done) => {\n" +
          "        const isAlone = this.#node.configuration.members.length === 1;\n" +
          "        this.#options.storage.persist(batch, isAlone ? () => {} : done);\n" +
          "        if (isAlone) done();\n" +
          "      } : undefined,",
      },
    ],
    finders: [simulation("power-loss", "kill-all")],
  },
  {
    number: 30,
    title: "the log is written and not flushed: one power loss splits the brain (nats-server 7567)",
    edits: [
      {
        file: "storage/segment-pool.ts",
        find: '{ access: "write", durable: true }',
        replace: '{ access: "write" }',
      },
      {
        file: "storage/wal-begin.ts",
        find: '{ access: "write", durable: true }',
        replace: '{ access: "write" }',
      },
    ],
    finders: [simulation("power-loss")],
  },
  {
    number: 31,
    title: "a flipped bit is taken for a torn end and cut (nats-server 7549, 7556, 4410)",
    edits: [
      {
        file: "storage/sector.ts",
        find: 'return damaged("a sector fails its checksum");',
        replace: "return ZERO;",
      },
    ],
    finders: [testFile("storage/bit-flip.test.ts")],
  },
  {
    number: 32,
    title: "a snapshot is renamed and its name not flushed (etcd 22340)",
    edits: [
      {
        file: "storage/snapshot-store.ts",
        find:
          "this.#onFailure(renameError);\n        return;\n      }\n" +
          "      this.#fileSystem.syncDirectory(this.#directory, (syncError) => {",
        replace:
          "this.#onFailure(renameError);\n        return;\n      }\n" +
          "      ((named: (error: undefined) => void) => named(undefined))((syncError) => {",
      },
    ],
    finders: [simulation("power-loss"), testFile("storage/crash.test.ts")],
  },
  {
    number: 33,
    title: "a torn or reordered last write stops recovery (etcd 5230, 6378, 16596)",
    edits: [
      {
        file: "storage/segment-scan.ts",
        find: 'if (sector.state !== "ours") missing = true;',
        replace:
          'if (sector.state !== "ours") throw this.#corrupt(sectorAt, "a batch is not whole");',
      },
    ],
    finders: [
      simulation("torn-write", "death-in-call", "kill-all"),
      testFile("storage/crash.test.ts"),
    ],
  },
  {
    number: 34,
    title: "zeros at the end of the log are no end (etcd 11488, 11220, 6191)",
    edits: [
      {
        file: "storage/segment-scan.ts",
        find: 'if (first.state !== "ours" || first.batch !== expected || first.index !== 0) return undefined;',
        replace:
          'if (first.state === "zero") throw this.#corrupt(at, "zeros stand where a batch must");\n' +
          '    if (first.state !== "ours" || first.batch !== expected || first.index !== 0) return undefined;',
      },
    ],
    finders: [simulation(), testFile("storage/crash.test.ts")],
  },
  {
    number: 35,
    title: "killed right after the first log file was made: a dead member (etcd 12578)",
    edits: [
      {
        file: "storage/wal-begin.ts",
        find: ".tmp`;",
        replace: "`;",
      },
    ],
    finders: [testFile("storage/crash.test.ts")],
  },
  {
    number: 36,
    title: "what a full disk left half-made is in the way of every restart (etcd 3591)",
    edits: [
      {
        file: "storage/recovery.ts",
        find: 'if (!name.endsWith(".tmp")) continue;',
        replace: "if (name.length > 0) continue;",
      },
    ],
    finders: [simulation("disk-full", "kill", "death-in-call"), testFile("storage/crash.test.ts")],
  },
  {
    number: 38,
    title: "a segment with entries that are still needed is dropped (dqlite 190, qdrant 1329)",
    edits: [
      {
        file: "storage/wal.ts",
        find: "if (sequence >= this.#begunSegment || lastIndex > through) break;",
        replace: "if (sequence >= this.#begunSegment || lastIndex > through + 1) break;",
      },
    ],
    finders: [testFile("storage/array-model.test.ts")],
  },
  {
    number: 40,
    title: "the log restarts before its snapshot has a name (redisraft 43, 53, 654)",
    edits: [
      {
        file: "storage/durable-storage.ts",
        find: 'return { kind: "barrier", state: "closed", start: {',
        replace: 'return { kind: "barrier", state: "open", start: {',
      },
    ],
    finders: [
      simulation("partition", "death-in-call", "torn-write"),
      testFile("storage/crash.test.ts"),
    ],
  },
  {
    number: 41,
    title: "an older snapshot is restored under a compacted log (hashicorp/raft 85, camunda 3573)",
    edits: [
      {
        file: "storage/recovery.ts",
        find: "if (damage !== undefined && !reaches(log, indexOf(snapshot), mustReach)) throw damage;",
        replace: "",
      },
      {
        file: "storage/recovery.ts",
        find: "throw gap(directory, start.index, index);",
        replace: ";",
      },
    ],
    finders: [testFile("storage/bit-flip.test.ts")],
  },
];
