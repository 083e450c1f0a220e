/** The 53 bugs in the order of the list they are taken from; some lines hold two. */
import { ELECTION_BUGS } from "./election-bugs.ts";
import { MEMBERSHIP_BUGS } from "./membership-bugs.ts";
import type { PlantedBug } from "./planted-bug.ts";
import { READ_BUGS } from "./read-bugs.ts";
import { REPLICATION_BUGS } from "./replication-bugs.ts";
import { SERVICE_BUGS } from "./service-bugs.ts";
import { SNAPSHOT_BUGS } from "./snapshot-bugs.ts";
import { STORAGE_BUGS } from "./storage-bugs.ts";

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...ELECTION_BUGS,
  ...REPLICATION_BUGS,
  ...MEMBERSHIP_BUGS,
  ...READ_BUGS,
  ...SNAPSHOT_BUGS,
  ...STORAGE_BUGS,
  ...SERVICE_BUGS,
].toSorted((a, b) => a.number - b.number);
