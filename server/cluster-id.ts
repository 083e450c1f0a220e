/**
 * The cluster id: what keeps the nodes of two clusters apart. It comes from the token and the
 * sorted first members, so every first member computes the same one without talking.
 */
import { createHash } from "node:crypto";
import type { Member } from "../raft/index.ts";

export function clusterIdOf(token: string, members: readonly Member[]): string {
  const sorted = members.toSorted((a, b) => a.id - b.id);
  const text = JSON.stringify([token, sorted.map(({ id, peerAddress }) => [id, peerAddress])]);
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
