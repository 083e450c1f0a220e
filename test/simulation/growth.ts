/**
 * What a node keeps has bounds (row 18 of the invariants: no unbounded growth). Some hold all the
 * time, and are looked at while faults strike; the others hold once nobody asks for anything, and
 * get a moment of calm to come true.
 *
 * Bounds of files and entries follow from the snapshot policy, not from what a run happens to
 * write: a run that is ten times as long has the same.
 */
import { PROCESSES_MAX } from "../../server/replica/forwarder.ts";
import type { DiskFile } from "../../storage/testing/simulated-disk.ts";
import type { Cluster } from "./cluster.ts";
import { DIRECTORY, type SimulatedNode } from "./node.ts";
import type { Process } from "./node-parts.ts";
import { promised } from "./violation.ts";

type Files = ReadonlyMap<string, DiskFile>;

const LOOK_MS = 500;
/** A replica's tick, the retry of a full disk, and what a moment needs. */
const TIMERS_MAX = 8;
/** Two are kept; each crash between a new one's name and the end of an old one may leave one. */
const SNAPSHOTS_MAX = 6;
/** One snapshot being saved, received ones, a segment being made. */
const TEMPORARIES_MAX = 6;
/** One made in advance, one kept to be used again. */
const SPARE_SEGMENTS = 2;
/** What entries come to when the next snapshot is due, as a multiple of the last one. */
const ENTRIES_SHARE = 2;
const MISSED_TURNS = 2;
/** Segments without any entry: what elections and marks write between two snapshots. */
const IDLE_SEGMENTS_MAX = 8;

/** From now on, as long as events run. */
export function watchGrowth(cluster: Cluster): void {
  cluster.scheduler.after(LOOK_MS, () => {
    for (const node of cluster.nodes) {
      const what = growsAnyTime(cluster, node);
      promised("growth", what === undefined, () => `node ${node.id} keeps ${what}`);
    }
    watchGrowth(cluster);
  });
}

/** What is more than it may ever be. */
function growsAnyTime(cluster: Cluster, { process, drive }: SimulatedNode): string | undefined {
  if (process === undefined) return undefined;
  const { sessionsMax } = cluster.shape.sessionLimits;
  const { sessionCount } = process.machine;
  if (sessionCount > sessionsMax) return `${sessionCount} sessions, at most ${sessionsMax}`;
  const { timers } = process.clock;
  if (timers > TIMERS_MAX) return `${timers} timers`;
  const { remembered } = process.replica.backlog;
  const rememberedMax = PROCESSES_MAX * cluster.nodes.length;
  if (remembered > rememberedMax) return `${remembered} processes that forwarded writes`;
  const names = [...drive.directory(DIRECTORY).names.keys()];
  const snapshots = snapshotIndexes(names).length;
  if (snapshots > SNAPSHOTS_MAX) return `${snapshots} snapshots`;
  // Each transfer that waits for a hanging disk has its file, until the disk goes on.
  if (drive.hungUntilMs + LOOK_MS > cluster.scheduler.nowMs) return undefined;
  const temporaries = names.filter(isTemporary).length;
  return temporaries > TEMPORARIES_MAX ? `${temporaries} temporary files` : undefined;
}

/** Requests that a member keeps although nobody waits for an answer. */
export function whatWaits({ members }: Cluster): string | undefined {
  for (const { id, process } of members) {
    if (process === undefined) return `node ${id} is down`;
    const { writes, reads, held } = process.replica.backlog;
    if (writes > 0) return `node ${id} keeps ${writes} writes that nobody waits for`;
    if (reads + held > 0) return `node ${id} keeps ${reads + held} reads that nobody waits for`;
  }
  return undefined;
}

/** What is more than it may be on a node that has just started and lost nothing since. */
export function whatIsTooMuch(cluster: Cluster): string | undefined {
  for (const node of cluster.members) {
    const { id, process } = node;
    if (process === undefined) return `node ${id} is down`;
    const files = node.drive.directory(DIRECTORY).names;
    const what =
      unfinishedWork(cluster, process) ??
      snapshotOverdue(cluster, process) ??
      oldEntries(cluster, process, files) ??
      tooManyFiles(cluster, process, [...files.keys()]);
    if (what !== undefined) return `node ${id} keeps ${what}`;
  }
  return undefined;
}

function unfinishedWork({ ledger }: Cluster, { replica, machine }: Process): string | undefined {
  const { flushes } = replica.backlog;
  if (flushes > 0) return `${flushes} flushes`;
  const inflight = replica.raft.progress.reduce((sum, peer) => sum + peer.inflight, 0);
  if (inflight > 0) return `${inflight} appends that are not acknowledged`;
  const { sessionCount } = machine;
  const right = ledger.sessionCount;
  return sessionCount === right ? undefined : `${sessionCount} sessions, not ${right}`;
}

/** The policy of server/replica/snapshotter.ts, for what has been applied since the snapshot. */
function snapshotOverdue({ shape, ledger }: Cluster, { storage, machine }: Process) {
  const { appliedIndex } = machine;
  const from = storage.snapshot?.metadata.index ?? 0;
  const entries = appliedIndex - from;
  const bytes = ledger.bytesBetween(from, appliedIndex);
  const isDue = entries >= shape.snapshots.everyEntries;
  const outweighsSnapshot = bytes >= ENTRIES_SHARE * storage.statistics.snapshotBytes;
  return isDue && outweighsSnapshot
    ? `${entries} entries of ${bytes} bytes behind the snapshot at ${from}`
    : undefined;
}

/**
 * Entries from before both snapshots, which no start needs. Compaction goes by whole segments (a
 * repair makes one of whatever size), and may miss its turn: at a crash right behind a snapshot,
 * or while the present segment has not begun. The next one makes up for it.
 */
function oldEntries({ shape, ledger }: Cluster, { replica, storage }: Process, files: Files) {
  const { firstIndex } = replica.raft;
  const { everyEntries, retainedEntries } = shape.snapshots;
  const before = snapshotIndexes([...files.keys()]).at(-2) ?? 0;
  const through = before - retainedEntries;
  const bytes = ledger.bytesBetween(firstIndex - 1, through);
  const sizes = [...files].map(([name, { current }]) => (isSegment(name) ? current.length : 0));
  const missed = MISSED_TURNS * ENTRIES_SHARE * storage.statistics.snapshotBytes;
  const isMany = through - firstIndex >= MISSED_TURNS * everyEntries;
  return isMany && bytes > missed + Math.max(...sizes)
    ? `entries from ${firstIndex} on, ${bytes} bytes before the snapshot at ${before}`
    : undefined;
}

/** Every batch takes a page of a segment, and almost every batch holds an entry. */
function tooManyFiles({ shape }: Cluster, process: Process, names: readonly string[]) {
  const { firstIndex, lastIndex } = process.replica.raft;
  const { segments } = process.storage.statistics;
  const entries = lastIndex - firstIndex + 1;
  const segmentsMax = entries + shape.snapshots.smallSegmentsMax + IDLE_SEGMENTS_MAX;
  if (segments > segmentsMax) return `${segments} segments with ${entries} entries`;
  const files = names.filter(isSegment).length;
  if (files > segments + SPARE_SEGMENTS) return `${files} files of ${segments} segments`;
  const temporary = names.find(isTemporary);
  return temporary === undefined ? undefined : `the temporary file ${temporary}`;
}

/** In rising order. */
function snapshotIndexes(names: readonly string[]): readonly number[] {
  const indexes = names.map((name) => Number(/^snapshot-(\d{16})-/.exec(name)?.[1] ?? -1));
  return indexes.filter((index) => index >= 0).sort((a, b) => a - b);
}

function isSegment(name: string): boolean {
  return /^wal-\d+\.log$/.test(name);
}

function isTemporary(name: string): boolean {
  return name.endsWith(".tmp");
}
