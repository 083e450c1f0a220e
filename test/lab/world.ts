/**
 * What a world lends the lab: servers that can be cut off, crashed and started, proposals, clients
 * and a look inside. There are two: whole replicas in virtual time (virtual/), and real processes
 * in real time (processes/). The tests are written once and do not know which one they run in.
 *
 * An index here is the store's revision: the place of a write among all writes. Entries that carry
 * no write (a new leader's, a configuration's) do not count, so the first command has index 1 as
 * in the lab, whatever the log holds besides.
 */
import type { SeededRandom } from "../../raft/index.ts";
import type { Condition, ObservedRecord } from "../linearizability/index.ts";

export interface ServerView {
  readonly isLeader: boolean;
  readonly term: number;
  /** The newest index this server has applied. */
  readonly applied: number;
  /** Entries behind the snapshot; those before it leave the disk a whole segment at a time. */
  readonly logEntries: number;
  /** Of the log, not a revision; 0 for no snapshot. */
  readonly snapshotIndex: number;
}

export type ProposalOutcome =
  | { readonly kind: "applied"; readonly index: number; readonly version: number }
  | { readonly kind: "refused" }
  | { readonly kind: "unknown" };

/** How the links treat what they carry. */
export interface Weather {
  /** Each request waits 0 to 26 ms, 10 % of requests are lost, 10 % of answers. */
  readonly isUnreliable: boolean;
  /** Two of three answers wait 200 to 2,200 ms. */
  readonly hasLongReordering: boolean;
}

export interface Traffic {
  /** Requests between servers; answers are not counted, as in the lab. */
  readonly requests: number;
  /** Of requests and answers. */
  readonly bytes: number;
}

export type PutAnswer =
  | { readonly kind: "put"; readonly revision: number; readonly version: number }
  | { readonly kind: "condition-failed"; readonly current: ObservedRecord | null };

/** One client; it goes on until it is answered. One request at a time. */
export interface LabClient {
  get(key: string): Promise<ObservedRecord | null>;
  put(key: string, value: string, condition?: Condition): Promise<PutAnswer>;
  /** One try, without a session: "unknown" when its answer was lost. */
  putOnce(key: string, value: string, condition?: Condition): Promise<PutAnswer | "unknown">;
}

export interface World {
  readonly ids: readonly number[];
  readonly random: SeededRandom;
  /** What a client waits between two requests: virtual time is cheap, requests are not. */
  readonly paceMs: number;
  /** Bytes of the largest entry that was proposed. */
  readonly entryBytesMax: number;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  setWeather(weather: Weather): void;
  /** Opens and cuts links between servers; clients are not concerned. */
  setLinks(isOpen: (one: number, other: number) => boolean): void;
  /** Ends the process at once. */
  crash(id: number): Promise<void>;
  /** Ends it in order: it answers or refuses what waits. */
  shutdown(id: number): Promise<void>;
  start(id: number): Promise<void>;
  /** Undefined when the server is down, or does not answer yet. */
  view(id: number): Promise<ServerView | undefined>;
  /** The replicated state as this server's newest snapshot holds it; 0 for none. */
  snapshotBytes(id: number): Promise<number>;
  /** A put to this server and no other: refused when it does not lead. */
  propose(id: number, key: string, value: string): Promise<ProposalOutcome>;
  /** What this server holds of its own, whether or not others have newer. */
  recordOf(id: number, key: string): Promise<ObservedRecord | undefined>;
  /** Reaches these servers; all unless told. */
  client(reach?: readonly number[]): LabClient;
  traffic(): Promise<Traffic>;
}
