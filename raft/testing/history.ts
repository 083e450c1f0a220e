/**
 * What has ever happened in one run, over all nodes and all restarts: the memory of the checks in
 * `invariants.ts`. It outlives every node and is never told anything by the core's own claims of
 * correctness, only by what the core did.
 */

import type { RaftNode } from "../node.ts";
import type { CommandEntry, Entry, LogIndex, NodeId, Term } from "../types.ts";
import type { Disk } from "./disk.ts";
import type { ConfigurationStack, LogImage } from "./log-image.ts";

/** A property of Raft does not hold. */
export class ViolationError extends Error {
  override readonly name = "ViolationError";
  /** The whole trace of the run, where there is one. */
  trace: readonly string[] = [];
}

export function mustHold(condition: boolean, explain: () => string): asserts condition {
  if (!condition) throw new ViolationError(explain());
}

/** What was seen of a node after the call before: enough to judge what the last call did. */
export interface Glimpse {
  readonly term: Term;
  readonly role: string;
  readonly commitIndex: LogIndex;
}

/** One running node as the checks see it. */
export interface Watched {
  readonly id: NodeId;
  readonly node: RaftNode;
  readonly disk: Disk;
  /** All the node handed out so far. */
  readonly log: LogImage;
  readonly configurations: ConfigurationStack;
  readonly appliedIndex: LogIndex;
}

export interface KnownEntry {
  readonly entry: Entry;
  /** The term right before it, where known: by induction this is the whole prefix. */
  readonly prevTerm: Term | undefined;
}

export class History {
  /** Who was seen leading each term. */
  readonly leaders = new Map<Term, NodeId>();
  /** Every entry that ever stood in a log, by term, then index. */
  readonly known = new Map<Term, Map<LogIndex, KnownEntry>>();
  /** The term committed at each index; position 0 stands for the empty log. */
  readonly committed: Term[] = [0];
  /** The highest index each term committed by itself. */
  readonly committedBy = new Map<Term, LogIndex>();
  /** What was applied at each index by whoever was first. */
  readonly applied: (Entry | undefined)[] = [undefined];
  /** The commands among them, in order, and how many there are up to each index. */
  readonly commands: CommandEntry[] = [];
  readonly commandsUpTo: number[] = [0];
  /** All disks, of stopped nodes too. */
  readonly disks = new Map<NodeId, Disk>();
  /** All nodes that run. */
  readonly running = new Map<NodeId, Watched>();
  readonly glimpses = new Map<NodeId, Glimpse>();

  get maxCommitted(): LogIndex {
    return this.committed.length - 1;
  }
}
