/**
 * The clients of a simulation. Some use the client library as users do (library-client.ts); the
 * others speak to the replica themselves (bare-client.ts), because only they can misbehave. Which
 * are which, and how often they list, comes from a stream of its own.
 */
import { BareClient, type Manners } from "./bare-client.ts";
import { chance, fork, pick } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import { HttpFront } from "./http-front.ts";
import { LibraryClient } from "./library-client.ts";

export interface Client {
  readonly id: number;
  /** Operations without an answer. */
  readonly underWay: number;
  /** Asks for nothing more by itself, and nothing it sends gets lost. */
  stop(): void;
  /** Asks for much at once (K1). */
  burst(operations: number): void;
  /** One more write, for the end; told whether it was applied. */
  lastWord(done: (isApplied: boolean) => void): void;
}

/** Which clients a seed has. */
export interface Clientele {
  /** By client, from the first on. */
  readonly usesLibrary: readonly boolean[];
  /** How often a bare client lists. */
  readonly listChance: number;
}

/** One of them in about every second seed; more would make seeds noticeably slower. */
const LIBRARY_CHANCE = 1 / 6;

export function drawClientele(seed: number, clients: number): Clientele {
  const random = fork(seed, "clientele");
  return {
    listChance: pick(random, [0, 0.1, 0.3]),
    usesLibrary: Array.from({ length: clients }, () => chance(random, LIBRARY_CHANCE)),
  };
}

/** Clients as they were before some used the library and some listed. */
export function plainClientele(clients: number): Clientele {
  return { listChance: 0, usesLibrary: Array.from({ length: clients }, () => false) };
}

export function createClients(
  cluster: Cluster,
  manners: Manners,
  { usesLibrary, listChance }: Clientele,
): readonly Client[] {
  const front = usesLibrary.includes(true) ? new HttpFront(cluster) : undefined;
  return usesLibrary.map((isUser, at) => {
    const id = at + 1;
    return isUser && front !== undefined
      ? new LibraryClient(id, cluster, front)
      : new BareClient(id, cluster, manners, listChance);
  });
}
