/** Linearizable reads (thesis 6.4), from the core to the client's answer. */
import { type PlantedBug, SWARM, simulation, testFile } from "./planted-bug.ts";

export const READ_BUGS: readonly PlantedBug[] = [
  {
    number: 6,
    title: "a round that is repeated keeps its number: late answers confirm new reads (etcd 20418)",
    edits: [
      {
        file: "raft/read-index.ts",
        find: "this.#newestRound += 1;",
        replace: "if (this.#batches.length === 0) this.#newestRound += 1;",
      },
    ],
    finders: [testFile("raft/thesis-reads.test.ts")],
  },
  {
    number: 7,
    title: "a read index before a commit of the own term (etcd 7331, tikv 6340)",
    edits: [
      {
        file: "raft/replication.ts",
        find: "const readIndex = hasCommittedInOwnTerm(state) ? commitIndex : undefined;",
        replace: "const readIndex = commitIndex;",
      },
      {
        file: "raft/replication.ts",
        find: "return leader.reads.isRoundDue && hasCommittedInOwnTerm(state);",
        replace: "return leader.reads.isRoundDue;",
      },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 8,
    title: "the index that was checked is not the index that is used (tikv 9208)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "else state.outbox.readConfirmed(settled, index);",
        replace:
          "else state.outbox.readConfirmed(settled, Math.min(index, state.log.commitIndex));",
      },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 9,
    title: "a leader reads without asking a quorum (etcd 741, redisraft 19)",
    edits: [
      {
        file: "raft/leader.ts",
        find: "return isSoleVoter(state) || isLeaseHeld(state, leader);",
        replace: "return true;",
      },
    ],
    finders: [simulation("partition", "one-way"), SWARM],
  },
  {
    number: 10,
    title: "old answers while the log is being replayed (redisraft 18, etcd 3879)",
    edits: [
      {
        file: "server/replica/pending-reads.ts",
        find: "if (index <= now.index) this.#grant(",
        replace: "if (index >= 0) this.#grant(",
      },
    ],
    finders: [simulation()],
  },
];
