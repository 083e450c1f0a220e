/**
 * Who holds which state: the hashes that members reported, and what their number says. Belongs to a
 * leader, for as long as it leads.
 *
 * - At one index all replicas have applied the same log, so different hashes mean that somebody's
 *   state is wrong. The majority of all voters is believed, as in everything else; less is not.
 * - A member that is silent agrees with nobody. So as long as two hashes stand against each other
 *   and neither has a majority, nobody knows who is right.
 * - Hashes of another version say nothing.
 */
import type { LogIndex, NodeId } from "../../raft/index.ts";
import type { StateHash } from "../kv/index.ts";

/** The hash of a replica's state after applying `index`. */
export interface StatePoint {
  readonly index: LogIndex;
  readonly hash: StateHash;
}

export interface Report {
  readonly id: NodeId;
  readonly value: string;
}

export type Judgement =
  /** All that reported agree, or nobody did. */
  | { readonly kind: "open" }
  /** A majority of the voters has this hash; who reported another one is in the minority. */
  | { readonly kind: "settled"; readonly value: string; readonly minority: readonly NodeId[] }
  | { readonly kind: "disputed"; readonly reports: readonly Report[] };

const OPEN: Judgement = { kind: "open" };

/** Enough for followers that lag: what is older is compared again further on. */
const INDEXES_MAX = 64;

export class HashComparison {
  readonly #version: number;
  /** By index, then by member. */
  readonly #reports = new Map<LogIndex, Map<NodeId, string>>();

  constructor(version: number) {
    this.#version = version;
  }

  report(id: NodeId, { index, hash }: StatePoint): void {
    if (hash.version !== this.#version) return;
    let reports = this.#reports.get(index);
    if (reports === undefined) {
      reports = new Map();
      this.#reports.set(index, reports);
      if (this.#reports.size > INDEXES_MAX) this.#reports.delete(Math.min(...this.#reports.keys()));
    }
    reports.set(id, hash.value);
  }

  judge(index: LogIndex, voters: readonly NodeId[]): Judgement {
    const reports = this.#reports.get(index);
    if (reports === undefined) return OPEN;
    const supporters = new Map<string, number>();
    for (const id of voters) {
      const value = reports.get(id);
      if (value !== undefined) supporters.set(value, (supporters.get(value) ?? 0) + 1);
    }
    for (const [value, count] of supporters) {
      if (count * 2 <= voters.length) continue;
      const minority = [...reports].filter(([, other]) => other !== value).map(([id]) => id);
      return { kind: "settled", value, minority };
    }
    if (supporters.size < 2) return OPEN;
    return { kind: "disputed", reports: [...reports].map(([id, value]) => ({ id, value })) };
  }

  /** The judgement at the newest index that is not open: it says how things stand now. */
  newest(voters: readonly NodeId[]): { readonly index: LogIndex; readonly judgement: Judgement } {
    for (const index of [...this.#reports.keys()].sort((a, b) => b - a)) {
      const judgement = this.judge(index, voters);
      if (judgement.kind !== "open") return { index, judgement };
    }
    return { index: 0, judgement: OPEN };
  }
}
