/** All tests of the lab, in the order of its courses. Names are unique. */
import { GENERIC_TESTS } from "./kv-generic.ts";
import { KV_TESTS } from "./kv-tests.ts";
import type { LabTest } from "./lab-test.ts";
import { AGREEMENT_TESTS } from "./raft-agreement.ts";
import { ELECTION_TESTS } from "./raft-election.ts";
import { PERSISTENCE_TESTS } from "./raft-persistence.ts";
import { SNAPSHOT_TESTS } from "./raft-snapshot.ts";
import { RSM_TESTS } from "./rsm-tests.ts";
import { SERVER_TESTS } from "./server-tests.ts";

export const LAB_TESTS: readonly LabTest[] = [
  ...ELECTION_TESTS,
  ...AGREEMENT_TESTS,
  ...PERSISTENCE_TESTS,
  ...SNAPSHOT_TESTS,
  ...GENERIC_TESTS,
  ...KV_TESTS,
  ...RSM_TESTS,
  ...SERVER_TESTS,
];
