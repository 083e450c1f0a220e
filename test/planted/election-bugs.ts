/** Elections, terms, votes, leadership transfer (Raft 5.2, 5.4.1; thesis 3.8, 3.10, 6.2, 9.6). */
import { type PlantedBug, SWARM, simulation, testFile } from "./planted-bug.ts";

export const ELECTION_BUGS: readonly PlantedBug[] = [
  {
    number: 13,
    title: "total loss at failover: whoever stands is elected (redisraft 14)",
    edits: [
      {
        file: "raft/voting.ts",
        find: "if (!state.log.isUpToDate(request.lastLogIndex, request.lastLogTerm)) return false;",
        replace: "",
      },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 14,
    title: "half of an even group is taken for a majority: split brain (redisraft 17, 28, 44, 52)",
    edits: [
      {
        file: "raft/quorum.ts",
        find: "return Math.floor(count / 2) + 1;",
        replace: "return Math.ceil(count / 2);",
      },
    ],
    finders: [SWARM],
  },
  {
    number: 15,
    title: "a vote leaves before it is durable: two leaders in one term (etcd 10000)",
    edits: [
      {
        file: "raft/voting.ts",
        find: "sendAfterSync(state, from, response, answerTerm);",
        replace:
          "state.outbox.send({ group: state.config.group, from: state.id, to: from, " +
          "term: answerTerm, isRecovering: state.isRecovering, message: response });",
      },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 16,
    title: "the term is raised, the role is not: a deposed leader stamps the new term (NuRaft 293)",
    edits: [
      {
        file: "raft/dispatch.ts",
        find: "becomeFollower(state, term, 0);",
        replace:
          'if (state.role.kind === "leader") { state.term = term; return false; }\n' +
          "    becomeFollower(state, term, 0);",
      },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 17,
    title: "a leader of a lower term is never told: pre-vote deadlock (etcd 8243, 9586, 10355)",
    edits: [
      {
        file: "raft/dispatch.ts",
        find: "if (term === state.term) return true;",
        replace: "if (term === state.term) return true;\n  if (term > 0) return false;",
      },
      {
        file: "raft/voting.ts",
        find: "const granted = isGrantable(state, envelope, request);",
        replace:
          "if (term < state.term) return;\n" +
          "  const granted = isGrantable(state, envelope, request);",
      },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 18,
    title: "a vote asked without a pre-vote is not judged: pre-vote on and off mixed (etcd 8501)",
    edits: [
      {
        file: "raft/voting.ts",
        find: "// Not even the term is taken",
        replace:
          'if (phase === "vote" && !request.transfer && leaderIdOf(state) !== 0) return;\n' +
          "    // Not even the term is taken",
      },
    ],
    finders: [testFile("raft/paper.test.ts")],
  },
  {
    number: 20,
    title: "a leadership transfer is never given up: no write for ever (hashicorp/raft 696)",
    edits: [
      {
        file: "raft/leader.ts",
        find: "leader.transfer = undefined;",
        replace: "",
      },
    ],
    finders: [testFile("raft/thesis-membership.test.ts")],
  },
  {
    number: 20,
    title: "leadership is handed to a member that lags (redpanda 2606)",
    edits: [
      {
        file: "raft/leader.ts",
        find: "=== state.log.lastIndex) send(",
        replace: "!== undefined) send(",
      },
    ],
    finders: [testFile("raft/thesis-membership.test.ts")],
  },
  {
    number: 37,
    title: "a leader whose disk hangs keeps its heartbeats (hashicorp/raft 503)",
    edits: [
      {
        file: "raft/leader.ts",
        find: "return !isSoleVoter(state) && state.flushElapsedMs >= state.config.electionTimeoutMs;",
        replace: "return false;",
      },
    ],
    finders: [simulation("hung-disk")],
  },
];
