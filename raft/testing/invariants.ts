/**
 * The properties of Figure 3 and of the thesis, one function each. Each is cheap enough to run
 * after every single call into a node, because it judges only what that call changed:
 *
 * - (index, term) names an entry and, once log matching holds, the whole log before it, so all
 *   other checks compare terms only;
 * - what is checked is what leaves the core (entries, messages, reads), not what it says of itself.
 */

import type { Envelope } from "../message.ts";
import type { Entry, LogIndex, SnapshotMetadata } from "../types.ts";
import { ENTRY_OVERHEAD_BYTES } from "../types.ts";
import type { Disk, SnapshotImage } from "./disk.ts";
import { formatConfiguration, formatEntry, formatEnvelope, formatId } from "./format.ts";
import { type Glimpse, type History, mustHold, type Watched } from "./history.ts";
import type { LogImage } from "./log-image.ts";

/** After every call into the core. */
export function afterCall(history: History, watched: Watched): void {
  const { node, id } = watched;
  const before = history.glimpses.get(id);
  const now: Glimpse = { term: node.term, role: node.role, commitIndex: node.commitIndex };
  if (before !== undefined) {
    if (
      before.term === now.term &&
      before.role === now.role &&
      before.commitIndex === now.commitIndex
    ) {
      return;
    }
    monotonic(watched, before, now);
  }
  history.glimpses.set(id, now);
  electionSafety(history, watched);
  const wasLeader = before?.role === "leader" && before.term === now.term;
  if (now.role === "leader" && !wasLeader) leaderCompleteness(history, watched);
  if (before !== undefined && now.commitIndex > before.commitIndex) {
    if (wasLeader) leaderCommits(history, watched, now);
    else followerCommits(history, watched, now);
  }
}

/** After the entries of a Ready were added to `watched.log`. */
export function afterReady(history: History, watched: Watched): void {
  const { node, log } = watched;
  mustHold(
    log.lastIndex === node.lastIndex,
    () =>
      `node ${watched.id} handed out entries up to ${log.lastIndex}, its log ends at ${node.lastIndex}`,
  );
  commitMatches(history, watched);
  configurationFollowsLog(history, watched);
}

/** Terms and commit never go back (Figure 2). */
function monotonic(watched: Watched, before: Glimpse, now: Glimpse): void {
  mustHold(
    now.term >= before.term,
    () => `node ${watched.id}: term went back from ${before.term} to ${now.term}`,
  );
  mustHold(
    now.commitIndex >= before.commitIndex,
    () => `node ${watched.id}: commit went back from ${before.commitIndex} to ${now.commitIndex}`,
  );
}

/** Election safety (section 5.2): at most one leader in a term, ever. */
function electionSafety(history: History, watched: Watched): void {
  if (watched.node.role !== "leader") return;
  const term = watched.node.term;
  const known = history.leaders.get(term);
  mustHold(
    known === undefined || known === watched.id,
    () => `two leaders in term ${term}: ${known} and ${watched.id}`,
  );
  history.leaders.set(term, watched.id);
  const hardState = watched.disk.hardState;
  mustHold(
    hardState.term === term && hardState.vote === watched.id,
    () => `node ${watched.id} leads term ${term} before its own vote is durable`,
  );
}

/** Leader completeness (section 5.4.3): what older terms committed is in a new leader's log. */
function leaderCompleteness(history: History, watched: Watched): void {
  for (const [term, index] of history.committedBy) {
    if (term >= watched.node.term) continue;
    mustHold(
      holds(history, watched.log, index),
      () =>
        `node ${watched.id} leads term ${watched.node.term} without entry ${index} ` +
        `committed in term ${term}`,
    );
  }
}

/** A leader's commit: its own term's entry, durable on a quorum, known to all later leaders. */
function leaderCommits(history: History, watched: Watched, now: Glimpse): void {
  const { node, log, id } = watched;
  const index = now.commitIndex;
  const entryTerm = log.termAt(index);
  mustHold(
    entryTerm === now.term,
    () =>
      `leader ${id} of term ${now.term} committed ${index} of term ${entryTerm} by counting ` +
      "(section 5.4.2)",
  );
  const voters = node.configuration.members.filter((member) => member.role === "voter");
  let durable = 0;
  for (const voter of voters) {
    const disk = history.disks.get(voter.id);
    if (disk?.hasVouchedFor({ index, term: now.term })) durable += 1;
  }
  mustHold(
    durable > voters.length / 2,
    () =>
      `leader ${id} committed ${index} which is durable on ${durable} of ${voters.length} voters`,
  );
  commitIs(history, watched, index);
  for (let next = history.maxCommitted + 1; next <= index; next += 1) {
    const term = log.termAt(next);
    mustHold(term !== undefined, () => `leader ${id} committed ${next} which it does not hold`);
    history.committed.push(term);
  }
  history.committedBy.set(now.term, Math.max(index, history.committedBy.get(now.term) ?? 0));
  for (const other of history.running.values()) {
    if (other.node.role !== "leader" || other.node.term <= now.term) continue;
    mustHold(
      holds(history, other.log, index),
      () =>
        `leader ${other.id} of term ${other.node.term} lacks ${index}, committed in ${now.term}`,
    );
  }
}

/**
 * Members change only after a commit of the leader's own term: before that, changes of different
 * leaders may leave majorities that do not overlap (the erratum to thesis 4.1).
 */
export function changeFollowsOwnCommit({
  id,
  node,
  log,
}: Pick<Watched, "id" | "node" | "log">): void {
  const committedTerm = log.termAt(node.commitIndex);
  mustHold(
    committedTerm === undefined || committedTerm === node.term,
    () => `leader ${id} changes members in term ${node.term}, committed is term ${committedTerm}`,
  );
}

/** Nobody but a leader is ever the first to commit. */
function followerCommits(history: History, watched: Watched, now: Glimpse): void {
  mustHold(
    now.commitIndex <= history.maxCommitted,
    () =>
      `node ${watched.id} committed ${now.commitIndex}, no leader committed more than ` +
      `${history.maxCommitted}`,
  );
}

/** State-machine safety, seen from the commit index: everybody commits the same entries. */
function commitMatches(history: History, watched: Watched): void {
  commitIs(history, watched, watched.node.commitIndex);
}

function commitIs(history: History, watched: Watched, index: LogIndex): void {
  if (index > history.maxCommitted) return;
  const term = watched.log.termAt(index);
  mustHold(
    term === undefined || term === history.committed[index],
    () =>
      `node ${watched.id} committed ${index} of term ${term}, ` +
      `term ${history.committed[index]} was committed there`,
  );
}

/**
 * A configuration is in force as soon as it is in the log and rolls back with it (thesis 4.1),
 * and the one before it is committed first.
 */
function configurationFollowsLog(history: History, watched: Watched): void {
  const mine = watched.node.configuration;
  const logged = watched.configurations.newest;
  mustHold(
    mine === logged || formatConfiguration(mine) === formatConfiguration(logged),
    () =>
      `node ${watched.id} uses members ${formatConfiguration(mine)}, ` +
      `its log says ${formatConfiguration(logged)}`,
  );
  const uncommitted = watched.configurations.countAbove(history.maxCommitted);
  mustHold(
    uncommitted <= 1,
    () => `node ${watched.id} holds ${uncommitted} configurations that nobody committed`,
  );
}

/**
 * Log matching (section 5.3), by induction: an entry of one index and term always has the same
 * content and stands behind the same term. Called before the entries enter `watched.log`.
 */
export function logMatching(history: History, log: LogImage, entries: readonly Entry[]): void {
  let prev = entries[0];
  for (const entry of entries) {
    const before = entry === prev ? log.termAt(entry.index - 1) : prev?.term;
    prev = entry;
    let ofTerm = history.known.get(entry.term);
    if (ofTerm === undefined) {
      ofTerm = new Map();
      history.known.set(entry.term, ofTerm);
    }
    const known = ofTerm.get(entry.index);
    if (known === undefined) {
      ofTerm.set(entry.index, { entry, prevTerm: before });
      continue;
    }
    mustHold(
      known.entry === entry || formatEntry(known.entry) === formatEntry(entry),
      () => `two entries under one name: ${formatEntry(known.entry)} and ${formatEntry(entry)}`,
    );
    mustHold(
      before === undefined || known.prevTerm === undefined || known.prevTerm === before,
      () => `${formatId(entry)} stands behind term ${before} here and ${known.prevTerm} there`,
    );
  }
}

/** Leader append-only (section 5.3), and terms and stamps that never fall along a log. */
export function logGrows(watched: Watched, entries: readonly Entry[], ledBefore: boolean): void {
  const first = entries[0];
  if (first === undefined) return;
  mustHold(
    !ledBefore || first.index === watched.log.lastIndex + 1,
    () => `leader ${watched.id} replaced ${first.index}, its log ended at ${watched.log.lastIndex}`,
  );
  let term = watched.log.termAt(first.index - 1) ?? 0;
  let time = watched.log.entries[first.index - 1 - watched.log.firstIndex]?.time ?? 0;
  for (const entry of entries) {
    mustHold(entry.term >= term, () => `terms fall in a log at ${formatEntry(entry)}`);
    mustHold(entry.time >= time, () => `cluster time falls in a log at ${formatEntry(entry)}`);
    term = entry.term;
    time = entry.time;
  }
}

/** State-machine safety (section 5.4.3): one entry per index over all nodes and all time. */
export function stateMachineSafety(
  history: History,
  watched: Watched,
  entries: readonly Entry[],
): void {
  let expected = watched.appliedIndex + 1;
  for (const entry of entries) {
    mustHold(
      entry.index === expected,
      () => `node ${watched.id} was to apply ${expected}, was given ${entry.index}`,
    );
    mustHold(
      entry.index <= watched.node.commitIndex,
      () =>
        `node ${watched.id} was given ${entry.index} above its commit ${watched.node.commitIndex}`,
    );
    mustHold(
      watched.disk.holds(entry),
      () => `node ${watched.id} was given ${formatId(entry)} which is not on its own disk`,
    );
    if (entry.index === history.applied.length) {
      history.applied.push(entry);
      if (entry.type === "command") history.commands.push(entry);
      history.commandsUpTo.push(history.commands.length);
    }
    const known = history.applied[entry.index];
    mustHold(
      known === entry || (known !== undefined && formatEntry(known) === formatEntry(entry)),
      () =>
        `node ${watched.id} applied ${formatEntry(entry)}, others ${known && formatEntry(known)}`,
    );
    expected += 1;
  }
}

/** A snapshot restores exactly the state that applying the log up to it gives (section 7). */
export function snapshotIsPrefix(history: History, image: SnapshotImage): void {
  const { index, term } = image.metadata;
  mustHold(
    history.committed[index] === term,
    () =>
      `snapshot ${formatId(image.metadata)}, but ${index} committed in ${history.committed[index]}`,
  );
  const length = history.commandsUpTo[index];
  mustHold(
    length === image.commands.length,
    () =>
      `snapshot ${formatId(image.metadata)} holds ${image.commands.length} commands, not ${length}`,
  );
  mustHold(
    image.commands.every((command, at) => command.index === history.commands[at]?.index),
    () => `snapshot ${formatId(image.metadata)} holds other commands than were applied`,
  );
}

/** The configuration in a snapshot is the newest at or below its index. */
export function snapshotCarriesConfiguration(history: History, metadata: SnapshotMetadata): void {
  for (let index = metadata.index; index > metadata.configurationIndex; index -= 1) {
    mustHold(
      history.applied[index]?.type !== "conf-change",
      () =>
        `snapshot ${formatId(metadata)} says configuration ${metadata.configurationIndex}, ` +
        `there is one at ${index}`,
    );
  }
  const entry = history.applied[metadata.configurationIndex];
  if (entry === undefined) return;
  mustHold(
    entry.type === "conf-change" &&
      formatConfiguration(entry.configuration) === formatConfiguration(metadata.configuration),
    () => `snapshot ${formatId(metadata)} carries members it should not`,
  );
}

/**
 * Nothing that promises something leaves before the promise is durable (Figure 2, thesis 3.8).
 * Checked as the envelope leaves, against the disk and not against the core.
 */
export function promiseIsDurable(history: History, disk: Disk, envelope: Envelope): void {
  const { message, term, from, to } = envelope;
  const hardState = disk.hardState;
  const explain = (): string => `left before it was durable: ${formatEnvelope(envelope)}`;
  mustHold(
    envelope.isRecovering || !disk.isMarked,
    () => `left without the flag of a recovering node: ${formatEnvelope(envelope)}`,
  );
  switch (message.kind) {
    case "request-vote":
      if (message.phase === "pre-vote") return;
      mustHold(
        hardState.term > term || (hardState.term === term && hardState.vote === from),
        explain,
      );
      // Once another one leads the term, its entries may replace the tail; the request is void.
      if (hardState.term > term || (history.leaders.get(term) ?? from) !== from) return;
      mustHold(disk.holds({ index: message.lastLogIndex, term: message.lastLogTerm }), explain);
      return;
    case "request-vote-response":
      if (message.phase === "pre-vote" || !message.granted) return;
      mustHold(
        hardState.term > term || (hardState.term === term && hardState.vote === to),
        explain,
      );
      return;
    case "append-entries-response":
      if (message.result === "rejected") return;
      mustHold(hardState.term >= term, explain);
      if (hardState.term === term) matchIsDurable(history, disk, envelope, message.matchIndex);
      return;
    case "heartbeat-response":
      // Round 0 answers a stale leader and confirms nothing.
      mustHold(message.readRound === 0 || hardState.term >= term, explain);
      return;
    case "install-snapshot-response":
      mustHold(hardState.term >= term, explain);
      mustHold(hardState.term > term || disk.log.lastIndex >= message.matchIndex, explain);
      return;
    default:
      return;
  }
}

/** The acknowledged prefix stands on the disk, as the leader of that term has it. */
function matchIsDurable(
  history: History,
  disk: Disk,
  envelope: Envelope,
  matchIndex: LogIndex,
): void {
  mustHold(
    disk.log.lastIndex >= matchIndex,
    () => `acknowledged ${matchIndex} with a durable log up to ${disk.log.lastIndex}`,
  );
  const leader = history.running.get(history.leaders.get(envelope.term) ?? 0);
  if (leader === undefined || leader.node.term !== envelope.term) return;
  const theirs = leader.log.termAt(matchIndex);
  const mine = disk.log.termAt(matchIndex);
  mustHold(
    theirs === undefined || mine === undefined || theirs === mine,
    () => `${formatEnvelope(envelope)}: holds term ${mine} there, the leader ${theirs}`,
  );
}

/**
 * A linearizable read (section 8, thesis 6.4): it sees everything committed before it was asked
 * for. `floor` is `history.maxCommitted` at that moment, which is stronger than what clients can
 * tell: commits they were not told of count too.
 */
export function readIsFresh(history: History, index: LogIndex, floor: LogIndex): void {
  mustHold(index >= floor, () => `a read was confirmed at ${index}, ${floor} was committed before`);
  mustHold(index <= history.maxCommitted, () => `a read was confirmed at ${index}, not committed`);
}

/** What a restart brings back is what the disk had promised (Figure 2, "persistent state"). */
export function restartKeepsPromises(watched: Watched): void {
  const { node, disk } = watched;
  mustHold(
    node.term >= disk.hardState.term,
    () => `node ${watched.id} came back in term ${node.term}, durable was ${disk.hardState.term}`,
  );
  mustHold(
    node.lastIndex === disk.log.lastIndex,
    () => `node ${watched.id} came back with ${node.lastIndex} entries of ${disk.log.lastIndex}`,
  );
  mustHold(
    node.commitIndex >= disk.snapshotIndex,
    () => `node ${watched.id} came back with commit ${node.commitIndex} below its snapshot`,
  );
  mustHold(
    node.commitIndex <= node.lastIndex,
    () => `node ${watched.id} came back with commit ${node.commitIndex} behind its log`,
  );
}

/** An append carries no more than it may, but always at least one entry. */
export function appendIsBounded(envelope: Envelope, appendBytesMax: number): void {
  const { message } = envelope;
  if (message.kind !== "append-entries" || message.entries.length < 2) return;
  let bytes = 0;
  for (const entry of message.entries) bytes += entryBytes(entry);
  mustHold(bytes <= appendBytesMax, () => `too big: ${bytes} bytes in ${formatEnvelope(envelope)}`);
}

function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + (entry.type === "command" ? entry.data.length : 0);
}

function holds(history: History, log: LogImage, index: LogIndex): boolean {
  return index < log.firstIndex || log.termAt(index) === history.committed[index];
}
