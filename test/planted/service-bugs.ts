/** Between the core and the clients: forwarding, outcomes, sessions, revisions. */
import { type PlantedBug, simulation, testFile } from "./planted-bug.ts";

export const SERVICE_BUGS: readonly PlantedBug[] = [
  {
    number: 11,
    title: "a definite error for a write that commits (redisraft 23)",
    edits: [
      {
        file: "server/replica/forwarder.ts",
        find: "if (outstanding.to === to) this.#settle(id, LINK_LOST);",
        replace: "if (outstanding.to === to) this.#settle(id, NO_LEADER);",
      },
    ],
    finders: [simulation(), testFile("server/replica/forwarder.test.ts")],
  },
  {
    number: 12,
    title: "a follower's proxy sends one command again and again (redisraft 13)",
    edits: [
      {
        file: "server/replica/forwarder.ts",
        find: "readonly done: (outcome: WriteOutcome<Result>) => void;\n}\n\ninterface Queued",
        replace:
          "readonly done: (outcome: WriteOutcome<Result>) => void;\n" +
          "  readonly command: Uint8Array;\n}\n\ninterface Queued",
      },
      {
        file: "server/replica/forwarder.ts",
        find: "this.#outstanding.add(id, { to: leaderId, deadlineMs, done });",
        replace: "this.#outstanding.add(id, { to: leaderId, deadlineMs, done, command });",
      },
      {
        file: "server/replica/forwarder.ts",
        find: "if (outstanding.to === to) this.#settle(id, LINK_LOST);",
        replace:
          "if (outstanding.to !== to) return;\n" +
          "      this.#outstanding.take(id);\n" +
          "      this.queue(outstanding.command, outstanding.deadlineMs, outstanding.done);",
      },
    ],
    finders: [simulation(), testFile("server/replica/forwarder.test.ts")],
  },
  {
    number: 51,
    title:
      "sessions expire by mistake: a new leader's wall clock enters cluster time (logcabin 54)",
    edits: [
      {
        file: "raft/transitions.ts",
        find: "timeBase: log.lastTime,",
        replace: "timeBase: state.config.initialTime,",
      },
    ],
    finders: [simulation("wall-clock", "kill")],
  },
  {
    number: 52,
    title: "watch: back in time, lost, doubled (etcd 15271, 17247, 17529, 18089, 19179, 20221)",
    reason: "there is no watch yet",
  },
  {
    number: 53,
    title: "the revision goes back after a snapshot (etcd 17780, 14571)",
    edits: [
      {
        file: "server/kv/kv-state-machine.ts",
        find: "this.#revision = summary.revision;",
        replace:
          "this.#revision = 0;\n" +
          '    records.scan("", undefined, (_key, { revision }) => {\n' +
          "      this.#revision = Math.max(this.#revision, revision);\n" +
          "      return true;\n" +
          "    });",
      },
    ],
    finders: [simulation()],
  },
];
