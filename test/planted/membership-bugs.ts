/** Who belongs to the group, and since when (thesis 4; snapshots carry it, section 7). */
import { type PlantedBug, SWARM, testFile } from "./planted-bug.ts";

export const MEMBERSHIP_BUGS: readonly PlantedBug[] = [
  {
    number: 19,
    title: "a removed server disrupts: no loyalty to a living leader (hashicorp/raft 524)",
    edits: [
      {
        file: "raft/voting.ts",
        find: "if (isLoyalToLeader(state) && !request.transfer) return;",
        replace: "",
      },
    ],
    finders: [testFile("raft/thesis-membership.test.ts")],
  },
  {
    number: 19,
    title: "a learner stands for election (hashicorp/raft 398)",
    edits: [
      {
        file: "raft/candidate.ts",
        find: "return configurations.isVoter(id) || configurations.wasVoter(id, log.commitIndex);",
        replace: "return configurations !== undefined && log !== undefined && id > 0;",
      },
      {
        file: "raft/transitions.ts",
        find: 'assert(isVoter, "only voters campaign");',
        replace: "",
      },
    ],
    finders: [testFile("raft/thesis-membership.test.ts")],
  },
  {
    number: 21,
    title: "a change of members before a commit of the own term (thesis erratum, copycat 23)",
    edits: [
      {
        file: "raft/proposing.ts",
        find: "if (!hasCommittedInOwnTerm(state)) return",
        replace: "if (state.term === 0) return",
      },
    ],
    finders: [SWARM, testFile("raft/thesis-membership.test.ts")],
  },
  {
    number: 22,
    title: "joint configuration left before it commits (camunda 60086, etcd 12136)",
    reason: "members change one at a time (thesis 4.1): there is no joint configuration to leave",
  },
  {
    number: 23,
    title: "a configuration counts when it is applied, not when appended (etcd 12359)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "state.configurations.appended(fresh);",
        replace: "",
      },
      {
        file: "raft/node.ts",
        find: "this.#state.log.appliedTo(index);",
        replace:
          "const { log, configurations, role } = this.#state;\n" +
          "    const from = log.appliedIndex + 1;\n" +
          "    log.appliedTo(index);\n" +
          '    if (role.kind === "leader" || from > index) return;\n' +
          "    const applied = log.slice(from, Number.POSITIVE_INFINITY, index);\n" +
          "    configurations.appended(\n" +
          "      applied.filter((entry) => entry.index > configurations.currentIndex),\n" +
          "    );",
      },
    ],
    finders: [SWARM, testFile("raft/thesis-membership.test.ts")],
  },
  {
    number: 24,
    title: "a leader that removes itself leaves none behind (redisraft 3, logcabin 210)",
    edits: [
      {
        file: "raft/candidate.ts",
        find: " || configurations.wasVoter(id, log.commitIndex)",
        replace: "",
      },
    ],
    finders: [SWARM, testFile("raft/thesis-membership.test.ts"), testFile("raft/golden.test.ts")],
  },
  {
    number: 25,
    title: "a truncation does not roll the configuration back (canonical/raft 250, 323)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "state.configurations.truncated(truncatedFrom);",
        replace: "",
      },
    ],
    finders: [SWARM],
  },
  {
    number: 26,
    title: "a restart rebuilds the members from the start flags (d-engine 431, etcd 20967)",
    edits: [
      {
        file: "raft/node-state.ts",
        find: "if (from <= log.lastIndex) history.appended",
        replace: "if (from < 0) history.appended",
      },
    ],
    finders: [SWARM],
  },
  {
    number: 27,
    title: "an installed snapshot brings no members (RATIS-1128, tikv 6344)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "configuration: metadata.configuration,",
        replace: "configuration: state.configurations.current,",
      },
    ],
    finders: [SWARM],
  },
  {
    number: 28,
    title: "a wiped disk under its old id votes again (etcd 3504, 10254)",
    edits: [
      {
        file: "server/replica/bootstrap.ts",
        find: "if (known.some((peer) => peer !== undefined && !peer.fresh)) return;",
        replace: "",
      },
      {
        file: "server/replica/bootstrap.ts",
        find: "if (member.incarnation !== 0 && member.incarnation !== incarnation)",
        replace: "if (member.incarnation < 0)",
      },
    ],
    finders: [testFile("server/replica/bootstrap.test.ts")],
  },
  {
    number: 29,
    title: "acknowledged writes lost by two changes at once and a partition (nats-server 7545)",
    edits: [
      {
        file: "raft/proposing.ts",
        find: "if (configurations.currentIndex > log.commitIndex) {",
        replace: "if (configurations.currentIndex > log.lastIndex) {",
      },
    ],
    finders: [SWARM, testFile("raft/thesis-membership.test.ts")],
  },
];
