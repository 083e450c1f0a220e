/** The log, its commit index and its way to the followers (Raft 5.3, 5.4.2; thesis 3.8). */
import { type PlantedBug, SWARM, simulation, testFile } from "./planted-bug.ts";

export const REPLICATION_BUGS: readonly PlantedBug[] = [
  {
    number: 1,
    title: "an entry of an earlier term commits by counting (logcabin 44)",
    edits: [
      {
        file: "raft/leader.ts",
        find: " || log.term(reached) !== state.term",
        replace: "",
      },
    ],
    finders: [SWARM],
  },
  {
    number: 2,
    title: "a follower commits past what an append proved (copycat 265, scylladb 9965)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "log.commitTo(Math.min(append.commitIndex, provedIndex));",
        replace: "log.commitTo(Math.min(append.commitIndex, log.lastIndex));",
      },
      {
        file: "raft/follower.ts",
        find: "state.log.commitTo(heartbeat.commitIndex);",
        replace: "state.log.commitTo(Math.min(heartbeat.commitIndex, state.log.lastIndex));",
      },
      {
        file: "raft/replication.ts",
        find: "const known = Math.min(commitIndex, peer.matchIndex);",
        replace: "const known = commitIndex;",
      },
    ],
    finders: [simulation(), SWARM],
  },
  {
    number: 39,
    title: "a truncation races a flush that is under way (canonical/raft 355, 450, 483)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "state.flushes.truncated(truncatedFrom);",
        replace: "",
      },
    ],
    finders: [SWARM],
  },
  {
    number: 47,
    title: "a follower compacted past what the leader knows rejects for ever (scylladb 9552)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "if (behind < 0 && !log.matches(prevLogIndex, prevLogTerm)) {",
        replace: "if (!log.matches(prevLogIndex, prevLogTerm)) {",
      },
    ],
    finders: [testFile("raft/thesis-snapshot.test.ts")],
  },
  {
    number: 48,
    title: "an entry that fills a batch never reaches the follower (yugabyte 32876)",
    edits: [
      {
        file: "raft/replication.ts",
        find: "if (peer.nextIndex <= lastIndex && peer.canSend) return true;",
        replace:
          "const next = state.log.entry(peer.nextIndex);\n" +
          "  const fits = next !== undefined && entryBytes(next) < state.config.appendBytesMax;\n" +
          "  if (fits && peer.canSend) return true;",
      },
    ],
    finders: [SWARM],
  },
  {
    number: 49,
    title: "a late append from index 0 starts the log anew after a snapshot (redislabs/raft 49)",
    edits: [
      {
        file: "raft/follower.ts",
        find: "const start: LogIndex = Math.max(prevLogIndex, log.commitIndex);",
        replace:
          "const start: LogIndex = prevLogIndex === 0 ? 0 : Math.max(prevLogIndex, log.commitIndex);",
      },
      {
        file: "raft/follower.ts",
        find: "const entries = behind > 0 ? append.entries.slice(behind) : append.entries;",
        replace:
          "const entries =\n" +
          "    behind > 0 && prevLogIndex > 0 ? append.entries.slice(behind) : append.entries;",
      },
    ],
    finders: [simulation("duplicate", "delay"), SWARM],
  },
];
