/**
 * Disks that go bad: a durable tail of a log is lost while its node is down.
 *
 * Raft can not help when every copy of an entry is lost, so damage stays within what recovery
 * promises to survive: another voter holds each lost entry durably, and is a voter both by the
 * configuration the damaged node had and by the one it is left with (a learner that holds the only
 * copy can not lead). That holds for whatever is lost later, too, so a committed entry never loses
 * its last copy.
 */
import type { SeededRandom } from "../random.ts";
import type { Configuration, LogIndex } from "../types.ts";
import type { Cluster } from "./cluster.ts";
import { pick } from "./dice.ts";
import type { Host } from "./host.ts";

/** Cuts the log of a stopped host somewhere; as it was when nothing of it may go. */
export function loseTail(cluster: Cluster, host: Host, random: SeededRandom): void {
  const { log, snapshotIndex } = host.disk;
  const lowest = Math.max(log.firstIndex - 1, snapshotIndex);
  const removable = Math.min(log.lastIndex - lowest, pick(random, [2, 10, 1000]));
  if (removable < 1) return;
  let kept = log.lastIndex - 1 - random.below(removable);
  while (kept < log.lastIndex && !survives(cluster, host, kept)) kept += 1;
  if (kept === log.lastIndex) return;
  const { hosts, coverage } = cluster;
  coverage.count("lost tail");
  const voters = votersOf(configurationAt(host, kept));
  const marked = hosts.filter(({ id, disk }) => voters.includes(id) && disk.isMarked);
  if (2 * (marked.length + 1) >= voters.length) coverage.count("lost tails of a majority");
  host.disk.loseTail(kept);
}

/** True when another voter holds each entry behind `kept`. */
function survives(cluster: Cluster, host: Host, kept: LogIndex): boolean {
  const before = votersOf(configurationAt(host, host.disk.log.lastIndex));
  const voters = votersOf(configurationAt(host, kept)).filter((id) => before.includes(id));
  const others = cluster.hosts.filter(({ id }) => id !== host.id && voters.includes(id));
  const lost = host.disk.log.entries.filter(({ index }) => index > kept);
  return lost.every((entry) => others.some(({ disk }) => disk.holds(entry)));
}

function votersOf({ members }: Configuration): readonly number[] {
  return members.filter(({ role }) => role === "voter").map(({ id }) => id);
}

function configurationAt({ disk, config }: Host, index: LogIndex): Configuration {
  const entry = disk.log.entries.findLast(
    (other) => other.type === "conf-change" && other.index <= index,
  );
  if (entry?.type === "conf-change") return entry.configuration;
  return disk.snapshot?.metadata.configuration ?? config.initialConfiguration;
}
