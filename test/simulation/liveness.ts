/**
 * After the faults: a cluster that was only hurt must heal. A leader within a few election
 * timeouts, every request answered, every new write applied, all nodes equal in everything, and
 * nothing kept that nobody needs (growth.ts); and the same once more after a power failure.
 */
import type { Client } from "./clientele.ts";
import type { Cluster } from "./cluster.ts";
import { whatIsTooMuch, whatWaits } from "./growth.ts";
import { ELECTION_TIMEOUT_MS_MAX } from "./shape.ts";
import { promised, type ViolationKind } from "./violation.ts";
import { hashOf } from "./watched.ts";

const STEP_MS = 25;
const LEADER_MS_MAX = 5 * ELECTION_TIMEOUT_MS_MAX;
/** The longest wait for space (storage tries again each second), and what comes after it. */
const SERVICE_MS_MAX = 4_000;
const CONVERGENCE_MS_MAX = 6_000;
/** In which a snapshot that is due is saved, and what it replaces removed. */
const TIDYING_MS_MAX = 4_000;
/** A damaged disk is repaired by then. */
const REPAIR_MS_MAX = 10_000;

export async function healAndAgree(cluster: Cluster, clients: readonly Client[]): Promise<void> {
  for (const client of clients) client.stop();
  await waitFor(cluster, REPAIR_MS_MAX, () => whoIsDown(cluster));
  await waitFor(cluster, LEADER_MS_MAX, () =>
    cluster.leader === undefined ? "no leader" : undefined,
  );
  await serve(cluster, clients);
  await waitFor(cluster, patience(cluster), () => {
    const busy = clients.filter(({ underWay }) => underWay > 0).length;
    return busy + cluster.owed === 0 ? undefined : `${cluster.owed} requests without an answer`;
  });
  await waitFor(cluster, CONVERGENCE_MS_MAX, () => whatDiffers(cluster));
  agree(cluster);
  await waitFor(cluster, patience(cluster), () => whatWaits(cluster), "growth");
  await losePower(cluster);
}

/** What was acknowledged is on the disks: caches are of no use to anybody. */
async function losePower(cluster: Cluster): Promise<void> {
  cluster.trace.note("the power fails");
  for (const node of cluster.nodes) node.crash("nothing");
  for (const node of cluster.nodes) node.start();
  await waitFor(cluster, LEADER_MS_MAX, () =>
    cluster.leader === undefined ? "no leader" : undefined,
  );
  await waitFor(cluster, CONVERGENCE_MS_MAX, () => whatDiffers(cluster));
  agree(cluster);
  const grows = (): string | undefined => whatWaits(cluster) ?? whatIsTooMuch(cluster);
  await waitFor(cluster, TIDYING_MS_MAX, grows, "growth");
}

/** Every client writes once more and is answered. */
async function serve(cluster: Cluster, clients: readonly Client[]): Promise<void> {
  let left = 0;
  for (const client of clients) {
    left += 1;
    const write = (): void =>
      client.lastWord((isApplied) => {
        if (isApplied) left -= 1;
        else write();
      });
    write();
  }
  await waitFor(cluster, SERVICE_MS_MAX, () =>
    left === 0 ? undefined : `${left} writes are not applied`,
  );
}

function patience(cluster: Cluster): number {
  return 3 * cluster.shape.timing.requestTimeoutMs + 8_000;
}

/** Not yet started, or at the repair of its disk. */
function whoIsDown({ nodes }: Cluster): string | undefined {
  const down = nodes.find(({ process }) => process === undefined);
  return down === undefined ? undefined : `node ${down.id} is down`;
}

function whatDiffers(cluster: Cluster): string | undefined {
  const { leader, members } = cluster;
  if (leader === undefined) return "no leader";
  const lastIndex = leader.process?.replica.raft.lastIndex ?? 0;
  for (const { id, process } of members) {
    if (process === undefined) return `node ${id} is down`;
    if (process.storage.isRecovering) return `node ${id} is still recovering`;
    const { appliedIndex } = process.machine;
    if (appliedIndex < lastIndex) return `node ${id} applied ${appliedIndex} of ${lastIndex}`;
    if (!process.replica.isCaughtUp) return `node ${id} never learned that it has caught up`;
  }
  return undefined;
}

/** Equal states, equal to what replaying the whole log gives, and every node ready. */
function agree(cluster: Cluster): void {
  for (const node of cluster.nodes) node.observe();
  const expected = hashOf(cluster.ledger.replay());
  for (const { id, process } of cluster.members) {
    if (process === undefined) continue;
    const hash = process.machine.snapshotHash();
    promised(
      "state-mismatch",
      hash === expected,
      () => `node ${id} ends in state ${hash}, replay gives ${expected}`,
    );
  }
}

async function waitFor(
  cluster: Cluster,
  limitMs: number,
  missing: () => string | undefined,
  kind: ViolationKind = "not-live",
): Promise<void> {
  const { scheduler } = cluster;
  const endMs = scheduler.nowMs + limitMs;
  for (;;) {
    const what = missing();
    if (what === undefined) return;
    promised(kind, scheduler.nowMs < endMs, () => `after ${limitMs} ms of calm: ${what}`);
    await scheduler.playFor(STEP_MS);
  }
}
