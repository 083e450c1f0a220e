/** Snapshots: what they name, how they travel, what they replace (Raft 7, Figure 13). */
import { type PlantedBug, SWARM, simulation, testFile } from "./planted-bug.ts";

export const SNAPSHOT_BUGS: readonly PlantedBug[] = [
  {
    number: 4,
    title: "the state in a snapshot is newer than its applied index (etcd 13766, 13514)",
    edits: [
      {
        file: "server/kv/record-map.ts",
        find: "for (const pinned of this.#pins) pinned.keep(key, record);",
        replace: 'assert(record !== undefined && key.length > 0, "nothing is kept");',
      },
    ],
    finders: [simulation()],
  },
  {
    number: 42,
    title: "an installed snapshot keeps a conflicting entry at its index (hashicorp/raft 697, 704)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "const holdsIt = log.matches(metadata.index, metadata.term);",
        replace: "const holdsIt = log.term(metadata.index) !== undefined;",
      },
    ],
    finders: [SWARM, testFile("raft/thesis-snapshot.test.ts")],
  },
  {
    number: 43,
    title: "a transfer goes on where the one before it stopped (logcabin 174)",
    edits: [
      {
        file: "storage/snapshot-store.ts",
        find: "  #temporaries = 0;",
        replace: "  #temporaries = 0;\n  #receiver: SnapshotReceiver | undefined;",
      },
      {
        file: "storage/snapshot-store.ts",
        find: "const receiver = new SnapshotReceiver(",
        replace: "const receiver = this.#receiver ??= new SnapshotReceiver(",
      },
    ],
    finders: [simulation(), testFile("storage/durable-storage.test.ts")],
  },
  {
    number: 44,
    title: "a snapshot of an earlier term is taken (scylladb 29378)",
    edits: [
      {
        file: "raft/dispatch.ts",
        find: "if (term === state.term) return true;",
        replace: 'if (term === state.term || message.kind === "install-snapshot") return true;',
      },
    ],
    finders: [testFile("raft/thesis-snapshot.test.ts")],
  },
  {
    number: 44,
    title: "a second snapshot is taken while the first is being installed (etcd, Antithesis)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "if (state.install !== undefined) return;\n  const { log } = state;\n  const holdsIt",
        replace: "const { log } = state;\n  const holdsIt",
      },
    ],
    finders: [SWARM, testFile("raft/thesis-snapshot.test.ts")],
  },
  {
    number: 45,
    title: "the acknowledgement of a long install is thrown away (ClickHouse 112405)",
    edits: [
      {
        file: "raft/node.ts",
        find: "if (leaderIdOf(state) !== install.leaderId) return;",
        replace: "if (leaderIdOf(state) !== install.leaderId || matches(metadata)) return;",
      },
      {
        file: "raft/node.ts",
        find: "const NO_LEADER: ReadRequested",
        replace:
          "const matches = (metadata: SnapshotMetadata) => metadata.index > 0;\n" +
          "const NO_LEADER: ReadRequested",
      },
    ],
    finders: [testFile("raft/thesis-snapshot.test.ts")],
  },
  {
    number: 46,
    title: "the next snapshot names the present term, not its entry's (tikv 10225)",
    edits: [
      { file: "raft/node.ts", find: "term: entry.term,", replace: "term: this.#state.term," },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 50,
    title: "requests hidden by a snapshot wait for ever (ClickHouse 110179, tikv 4071)",
    edits: [
      {
        file: "server/replica/requests.ts",
        find: "this.#proposals.skipped(index);",
        replace: "",
      },
      {
        file: "server/replica/pending-proposals.ts",
        find: "this.#endAll((_, { deadlineMs }) => deadlineMs <= nowMs, TIMEOUT);",
        replace: "this.#endAll(() => nowMs < 0, TIMEOUT);",
      },
    ],
    finders: [simulation("one-way", "stall")],
  },
];
