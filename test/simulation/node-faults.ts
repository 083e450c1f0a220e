/**
 * Harm to processes, disks and clocks of single nodes, and clients that all come back at once
 * (P1, P3 to P5, D1, D2, D8, D12, D15, C2 and K1 of the fault matrix).
 */
import type { SeededRandom } from "../../raft/index.ts";
import type { CrashKeeps } from "../../storage/testing/simulated-disk.ts";
import { between, chance, exponential, pick } from "./chance.ts";
import type { FaultKind, Strike, Striking } from "./faults.ts";
import type { SimulatedNode } from "./node.ts";
import { ELECTION_TIMEOUT_MS, ELECTION_TIMEOUT_MS_MAX } from "./shape.ts";
import { promised } from "./violation.ts";

const TORN: readonly [CrashKeeps, ...CrashKeeps[]] = ["prefix", "subset", "zeros"];
const ANYTHING: readonly [CrashKeeps, ...CrashKeeps[]] = ["everything", "nothing", ...TORN];
const DOWN_MS_MAX = 1_500;
const RESTARTS = 4;
const BURST = 10;
/** Of the calls that change something on the disk. */
const CALLS_TO_DEATH_MAX = 40;
/** Long enough for a leader to have noticed that its disk hangs, whatever its clock does. */
const HUNG_MS_MIN = 8 * ELECTION_TIMEOUT_MS_MAX;

export function nodeStrikes(striking: Striking): readonly (readonly [FaultKind, Strike])[] {
  const { clients, later } = striking;
  return [
    ["kill", (random, victim) => crash(striking, random, victim, "everything")],
    ["stop", (random, victim) => victim.stop(between(random, 5, DOWN_MS_MAX))],
    ["power-loss", (random, victim) => crash(striking, random, victim, "nothing")],
    ["torn-write", (random, victim) => crash(striking, random, victim, pick(random, TORN))],
    ["kill-all", crashAll(striking)],
    ["restart-storm", restartStorm(striking)],
    [
      "death-in-call",
      (random, victim) => {
        const calls = 1 + random.below(CALLS_TO_DEATH_MAX);
        victim.drive.dieAfter(calls, pick(random, ANYTHING));
      },
    ],
    [
      "stall",
      (random, victim) => {
        const meanMs = pick(random, [60, 400, 2000]);
        victim.stall(striking.bounded(exponential(random, meanMs)));
      },
    ],
    ["write-error", (_random, victim) => victim.drive.fail("write")],
    ["sync-error", (_random, victim) => victim.drive.fail("sync")],
    ["disk-full", fillDisk(striking)],
    ["slow-disk", slowDisk(striking)],
    ["hung-disk", hangDisk(striking)],
    [
      "frozen-clock",
      (random, victim) => {
        victim.setClockRate(0.01);
        later(between(random, 100, DOWN_MS_MAX), () => victim.setClockRate(1));
      },
    ],
    [
      "retry-storm",
      () => {
        for (const client of clients) client.burst(BURST);
      },
    ],
  ];
}

function crash(
  { later }: Striking,
  random: SeededRandom,
  victim: SimulatedNode,
  keeps: CrashKeeps,
): void {
  victim.crash(keeps);
  later(between(random, 5, DOWN_MS_MAX), () => victim.start());
}

function crashAll(striking: Striking): Strike {
  return (random) => {
    const keeps = pick<CrashKeeps>(random, ["everything", "nothing", "subset"]);
    for (const node of striking.cluster.nodes) crash(striking, random, node, keeps);
  };
}

/** Every node again and again, each at a pace of its own. */
function restartStorm({ cluster, later }: Striking): Strike {
  return (random) => {
    for (const node of cluster.nodes) {
      const periodMs = between(random, 0.5 * ELECTION_TIMEOUT_MS, 5 * ELECTION_TIMEOUT_MS);
      for (let turn = 0; turn < RESTARTS; turn += 1) {
        later(turn * periodMs, () => node.crash("everything"));
        later((turn + 0.25) * periodMs, () => node.start());
      }
    }
  };
}

function fillDisk({ cluster, later }: Striking): Strike {
  return (random, victim) => {
    const victims = chance(random, 0.2) ? cluster.nodes : [victim];
    for (const node of victims) node.drive.isFull = true;
    later(between(random, 300, 5000), () => {
      for (const node of victims) node.drive.isFull = false;
    });
  };
}

function slowDisk({ cluster, later }: Striking): Strike {
  return (random, victim) => {
    victim.drive.latencyMsMax = pick(random, [40, 150, 600]);
    later(between(random, 200, 3000), () => {
      victim.drive.latencyMsMax = cluster.shape.diskMsMax;
    });
  };
}

/** A leader that can not write gives way before long (rule 13 of the design). */
function hangDisk({ cluster, bounded }: Striking): Strike {
  return (random, victim) => {
    const { scheduler, nodes } = cluster;
    const durationMs = bounded(between(random, 100, 6000));
    const { drive } = victim;
    drive.hungUntilMs = Math.max(drive.hungUntilMs, scheduler.nowMs + durationMs);
    if (durationMs < HUNG_MS_MIN || nodes.length === 1) return;
    const { process } = victim;
    scheduler.after(durationMs - 1, () => {
      if (process === undefined || victim.process !== process || process.clock.isStalled) return;
      const { role, term, stableIndex, lastIndex, configuration } = process.replica.raft;
      // The only voter has nobody to give way to.
      if (configuration.members.filter((member) => member.role === "voter").length === 1) return;
      promised(
        "not-live",
        role !== "leader" || stableIndex === lastIndex,
        () => `node ${victim.id} still leads term ${term} after its disk hung for ${durationMs} ms`,
      );
    });
  };
}
