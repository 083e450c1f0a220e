/** What the log says when a node's role or leader changes. */
import type { RaftNode, SoftState } from "../../raft/index.ts";
import type { ReplicaLog } from "./options.ts";

const RECOVERED_TOGETHER =
  "too many members are recovering for a majority: with all of them here, the best copy leads";

export function logRole(log: ReplicaLog, node: RaftNode, { role, leaderId }: SoftState): void {
  const leader = leaderId === 0 ? null : leaderId;
  log.info({ term: node.term, role, leader }, describeRole(role, leaderId));
  if (role !== "leader" || node.status().election !== "all-voters") return;
  // No majority held a log that is proven whole: what this one lacks is lost.
  log.error({ term: node.term, lastIndex: node.lastIndex }, RECOVERED_TOGETHER);
}

function describeRole(role: string, leaderId: number): string {
  if (role === "leader") return "won the election: leading";
  if (role === "candidate") return "standing for election";
  if (role === "pre-candidate") return "heard no leader: asking who would vote";
  return leaderId === 0 ? "following nobody" : `following node ${leaderId}`;
}
