/** Lab 3A (2A until 2023): elections. */
import { check, ELECTION_MS, range } from "./lab.ts";
import type { LabTest } from "./lab-test.ts";

const part = "Raft";

export const ELECTION_TESTS: readonly LabTest[] = [
  {
    name: "InitialElection",
    part,
    title: "a leader is elected, and stays when nothing fails",
    servers: 3,
    run: async (lab) => {
      await lab.leader();
      await lab.sleep(50);
      const term = await lab.term();
      check(term >= 1, () => `the term is ${term}, but should be at least 1`);
      await lab.sleep(2 * ELECTION_MS);
      // A term that changed without a failure is only worth a warning in the lab.
      await lab.term();
      await lab.leader();
    },
  },
  {
    name: "ReElection",
    part,
    title: "a new leader after the old one is cut off; none without a quorum",
    servers: 3,
    run: async (lab) => {
      const first = await lab.leader();
      lab.disconnect(first);
      await lab.leader();
      lab.connect(first);
      const second = await lab.leader();
      const other = lab.after(second, 1);
      lab.disconnect(second, other);
      await lab.sleep(2 * ELECTION_MS);
      await lab.noLeader();
      lab.connect(other);
      await lab.leader();
      lab.connect(second);
      await lab.leader();
    },
  },
  {
    name: "ManyElections",
    part,
    title: "there is a leader whichever three of seven are cut off",
    servers: 7,
    run: async (lab) => {
      await lab.leader();
      for (const _ of range(9)) {
        const victims = range(3).map(() => 1 + lab.below(7));
        lab.disconnect(...victims);
        await lab.leader();
        lab.connect(...victims);
      }
      await lab.leader();
    },
  },
];
