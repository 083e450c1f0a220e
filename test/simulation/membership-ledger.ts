/**
 * Who belongs to the group, as seen from outside: what was committed over all nodes and all time,
 * and what each node's log says. Held against thesis 4.1 the moment a node writes a configuration.
 */
import type {
  Configuration,
  Entry,
  IndexedConfiguration,
  RaftStatus,
  RestoredState,
  SnapshotMetadata,
} from "../../raft/index.ts";
import { require } from "./violation.ts";

/** What everybody agreed on. */
export class MembershipLedger {
  #committedIndex = 0;
  #newest: IndexedConfiguration;
  readonly #everMembers = new Set<number>();

  constructor(initial: Configuration) {
    this.#newest = { index: 0, configuration: initial };
    this.#remember(initial);
  }

  /** The highest index that anybody knows committed. */
  get committedIndex(): number {
    return this.#committedIndex;
  }

  /** Once a member and no more. Ids are never used twice. */
  isRemoved(id: number): boolean {
    return this.#everMembers.has(id) && !this.isMember(id);
  }

  isMember(id: number): boolean {
    return this.#newest.configuration.members.some((member) => member.id === id);
  }

  committed(index: number): void {
    this.#committedIndex = Math.max(this.#committedIndex, index);
  }

  applied(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.committed(entry.index);
      if (entry.type !== "conf-change" || entry.index <= this.#newest.index) continue;
      this.#newest = { index: entry.index, configuration: entry.configuration };
      this.#remember(entry.configuration);
    }
  }

  #remember({ members }: Configuration): void {
    for (const { id } of members) this.#everMembers.add(id);
  }
}

/** The configurations in one node's log. */
export class ConfigurationWatch {
  readonly #nodeId: number;
  readonly #initial: Configuration;
  readonly #ledger: MembershipLedger;
  /** By rising index; the first is that of the snapshot, or the initial one. */
  #inLog: IndexedConfiguration[];

  constructor(nodeId: number, initial: Configuration, ledger: MembershipLedger) {
    this.#nodeId = nodeId;
    this.#initial = initial;
    this.#ledger = ledger;
    this.#inLog = [{ index: 0, configuration: initial }];
  }

  /** There is nobody else to ask; or there may be, and its damaged log can not tell who. */
  get isAlone(): boolean {
    const newest = this.#inLog.at(-1)?.configuration ?? this.#initial;
    return [this.#initial, newest].some((configuration) =>
      votersOf(configuration).every((id) => id === this.#nodeId),
    );
  }

  recovered({ snapshot, entries }: RestoredState): void {
    if (snapshot === undefined) this.#inLog = [{ index: 0, configuration: this.#initial }];
    else this.installed(snapshot);
    this.appending(entries.filter(({ index }) => index > (snapshot?.index ?? 0)));
  }

  installed({ configuration, configurationIndex: index }: SnapshotMetadata): void {
    this.#inLog = [{ index, configuration }];
  }

  /**
   * One server at a time (thesis 4.1): neighbours overlap in every two majorities, and a new one
   * comes only behind the commit of the one before.
   */
  appending(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    while (this.#inLog.length > 1 && (this.#inLog.at(-1)?.index ?? 0) >= first.index) {
      this.#inLog.pop();
    }
    for (const { index, ...entry } of entries) {
      if (entry.type !== "conf-change") continue;
      this.#checkStep(index, entry.configuration);
      this.#inLog.push({ index, configuration: entry.configuration });
    }
    const { committedIndex } = this.#ledger;
    const open = this.#inLog.filter(({ index }) => index > committedIndex);
    require(open.length <= 1, () =>
      `node ${this.#nodeId} holds configurations ${open.map(({ index }) => index).join(", ")}, ` +
      `committed is ${committedIndex}`);
  }

  /**
   * A leader changes members behind a commit of its own term only: before, majorities of different
   * leaders' changes need not overlap (the erratum to thesis 4.1).
   */
  checkOwnTerm({ term, index }: Entry, committedTerm: number | undefined): void {
    require(committedTerm === undefined || committedTerm === term, () =>
      `leader ${this.#nodeId} changes members at ${index} in term ${term}, committed is term ` +
      `${committedTerm}`);
  }

  /** Only a voter stands, by the newest configuration or one that may be replaced by it. */
  checkStands(term: number, raft: RaftStatus | undefined): void {
    // A request that waited for a flush into a later term, or until a leader was there, is void.
    if (raft === undefined || term < raft.term) return;
    if (raft.role !== "candidate" && raft.role !== "pre-candidate") return;
    const { commitIndex } = raft;
    const inForce = this.#inLog.findLastIndex(({ index }) => index <= commitIndex);
    const possible = this.#inLog.slice(Math.max(0, inForce));
    const isVoter = possible.some(({ configuration }) =>
      votersOf(configuration).includes(this.#nodeId),
    );
    require(isVoter, () => `node ${this.#nodeId} stands for election and is no voter`);
  }

  #checkStep(index: number, configuration: Configuration): void {
    const before = this.#inLog.at(-1);
    // What stands before the first entry of a node that joined is not known to it.
    if (before === undefined || before.configuration.members.length === 0) return;
    const old = votersOf(before.configuration);
    const now = votersOf(configuration);
    const changed =
      old.filter((id) => !now.includes(id)).length + now.filter((id) => !old.includes(id)).length;
    require(changed <= 1 && now.length > 0, () =>
      `node ${this.#nodeId}: voters ${old} become ${now} at ${index}`);
  }
}

function votersOf({ members }: Configuration): readonly number[] {
  return members.filter(({ role }) => role === "voter").map(({ id }) => id);
}
