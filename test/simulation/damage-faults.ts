/**
 * Damage to what was durable, between two runs of a process. No promise survives the loss of the
 * only copy, so the disk of one node at a time is hurt, and the next one only when that node is
 * whole again: then a majority holds all that was acknowledged. Or all of them, each elsewhere.
 */
import type { SeededRandom } from "../../raft/index.ts";
import { between, chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import { DAMAGE_KINDS, type DamageKind, damageDisk } from "./disk-damage.ts";
import type { FaultKind, Strike, Striking } from "./faults.ts";
import { damageHelically } from "./helical-damage.ts";
import type { SimulatedNode } from "./node.ts";

const DOWN_MS_MAX = 800;
const VOTERS_MIN = 3;

export function damageStrikes(striking: Striking): readonly (readonly [FaultKind, Strike])[] {
  const one = DAMAGE_KINDS.map((kind): readonly [FaultKind, Strike] => [
    kind,
    (random, victim) => {
      if (!isSafe(striking.cluster)) return;
      hurt(striking, random, victim, kind);
    },
  ]);
  return [...one, ["helical", helical(striking)]];
}

/** All of them at once, but no place on all of them. */
function helical({ cluster, later }: Striking): Strike {
  return (random) => {
    const { nodes, tally } = cluster;
    if (nodes.length === 1 || !isSafe(cluster)) return;
    for (const node of nodes) node.crash("everything");
    for (const [place, node] of nodes.entries()) {
      node.damage((drive) => damageHelically(drive, place, nodes.length, random));
      later(between(random, 5, DOWN_MS_MAX), () => node.start());
    }
    tally.count("helical");
  };
}

/**
 * All are whole and have a past: a cluster that never came to life has nothing to be repaired from.
 * Once machines come and go, it must be at rest: each machine a voter, and three of them at least.
 */
function isSafe(cluster: Cluster): boolean {
  const { nodes, hasChanged } = cluster;
  if (nodes.some(({ isHurt, durable }) => isHurt || durable.lastIndex === 0)) return false;
  return !hasChanged || (nodes.length >= VOTERS_MIN && cluster.isAtRest);
}

function hurt(
  { cluster, later }: Striking,
  random: SeededRandom,
  victim: SimulatedNode,
  kind: DamageKind,
): void {
  victim.crash(chance(random, 0.3) ? "nothing" : "everything");
  victim.drive.keepCopy();
  if (victim.damage((drive) => damageDisk(kind, drive, random))) {
    cluster.tally.count(kind);
    if (cluster.hasChanged) cluster.tally.count("damaged between changes of members");
  }
  later(between(random, 5, DOWN_MS_MAX), () => victim.start());
}
