/** Cuts: between which nodes, in which direction, for how long (N5 to N7 of the fault matrix). */
import { between, chance, pick, pickAny } from "./chance.ts";
import type { FaultKind, Strike, Striking } from "./faults.ts";
import { ELECTION_TIMEOUT_MS } from "./shape.ts";

type Link = readonly [from: number, to: number];

const PARTITION_MS_MAX = 4_000;
const FLAPS = 8;

export function linkStrikes(striking: Striking): readonly (readonly [FaultKind, Strike])[] {
  return [
    ["partition", partition(striking)],
    ["one-way", oneWay(striking)],
    ["flap", flap(striking)],
  ];
}

function partition(striking: Striking): Strike {
  return (random, victim) => {
    const ids = striking.cluster.nodes.map(({ id }) => id);
    const kind = pick(random, ["halves", "isolate", "ring", "bridge"]);
    const isAlone = (id: number) => (kind === "isolate" ? id === victim.id : chance(random, 0.5));
    const side = new Set(ids.filter(isAlone));
    const isCut = (one: number, other: number): boolean => {
      const distance = Math.abs(ids.indexOf(one) - ids.indexOf(other));
      // Each sees a majority, and no two see the same one.
      if (kind === "ring") return distance > 1 && distance < ids.length - 1;
      if (kind === "bridge" && (one === victim.id || other === victim.id)) return false;
      return side.has(one) !== side.has(other);
    };
    const links = ids.flatMap((one) =>
      ids.filter((other) => one !== other && isCut(one, other)).map((other): Link => [one, other]),
    );
    cutFor(striking, links, between(random, 50, PARTITION_MS_MAX));
  };
}

/** A node that hears nothing, or one that nobody hears. */
function oneWay(striking: Striking): Strike {
  return (random, victim) => {
    const others = striking.cluster.nodes.filter(({ id }) => id !== victim.id);
    const isDeaf = chance(random, 0.5);
    const links = others.map(({ id }): Link => (isDeaf ? [id, victim.id] : [victim.id, id]));
    cutFor(striking, links, between(random, 50, PARTITION_MS_MAX));
  };
}

function flap(striking: Striking): Strike {
  return (random, victim) => {
    const other = pickAny(random, striking.cluster.nodes);
    if (other === undefined || other === victim) return;
    const periodMs = between(random, 0.1 * ELECTION_TIMEOUT_MS, 5 * ELECTION_TIMEOUT_MS);
    const links: readonly Link[] = [
      [victim.id, other.id],
      [other.id, victim.id],
    ];
    for (let turn = 0; turn < FLAPS; turn += 1) {
      striking.later(turn * periodMs, () => cutFor(striking, links, periodMs / 2));
    }
  };
}

function cutFor(striking: Striking, links: readonly Link[], durationMs: number): void {
  const { network } = striking.cluster;
  for (const [from, to] of links) network.cut(from, to);
  striking.later(durationMs, () => {
    for (const [from, to] of links) network.mend(from, to);
  });
}
