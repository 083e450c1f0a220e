/**
 * Repair as a node would do it, with a twin of the damaged directory in the place of the peers: the
 * survey says what is missing, the twin gives it, the log is rebuilt.
 */
import assert from "node:assert/strict";
import type { Entry } from "../../raft/index.ts";
import type { ReceivedSnapshot } from "../contract.ts";
import { surveyDamage } from "../damage-survey.ts";
import { entryChecksum, type PreviousEntry, previousOf } from "../entry-codec.ts";
import { rebuildLog, receiveRepairSnapshot } from "../rebuild.ts";
import type { DamageSurvey } from "../repair-contract.ts";
import { listSnapshots } from "../snapshot-store.ts";
import { DIRECTORY, ScriptedRun } from "./scripted-run.ts";
import { SimulatedCrash, type SimulatedFileSystem } from "./simulated-file-system.ts";

/** What the other replicas hold. */
export interface Donor {
  /** A damaged one may offer entries that were replaced later: all there are at an index. */
  readonly entries: ReadonlyMap<number, readonly Entry[]>;
  readonly lastIndex: number;
  readonly snapshot: Buffer | undefined;
}

/** `twin` is of no use any more afterwards. */
export function donorOf(twin: SimulatedFileSystem): Donor {
  const run = new ScriptedRun(twin, 1);
  run.open();
  const { restored } = run.storage;
  const [newest] = listSnapshots(twin, DIRECTORY);
  const snapshot = newest === undefined ? undefined : twin.bytesOf(`${DIRECTORY}/${newest.name}`);
  const entries = new Map(restored.entries.map((entry) => [entry.index, [entry]]));
  const lastIndex = restored.entries.at(-1)?.index ?? restored.snapshot?.index ?? 0;
  return { entries, lastIndex, snapshot };
}

/** "exact": the log is what it was. "recovering": it was cut, and says so. */
export type Repaired = "exact" | "recovering";

/** Repairs a directory that does not open. */
export function repair(run: ScriptedRun, donor: Donor): Repaired {
  const survey = surveyDamage(run.options);
  const entries = filled(survey, donor);
  if (entries !== undefined && survey.isTailKnown) {
    const { hardState, isRecovering } = survey;
    const snapshot = entries.needsSnapshot ? receive(run, survey, donor) : undefined;
    rebuildLog(run.options, { snapshot, entries: entries.log, hardState, isRecovering: false });
    return isRecovering ? "recovering" : "exact";
  }
  cut(run, survey);
  return "recovering";
}

/** Keeps only what is proven, and gives up the promises. */
export function cut(run: ScriptedRun, survey: DamageSurvey): void {
  const { hardState: promised, prefix: entries } = survey;
  const hardState = { term: promised.term + 1, vote: 0, commitIndex: 0 };
  rebuildLog(run.options, { snapshot: undefined, entries, hardState, isRecovering: true });
}

/** The whole log with its holes filled; undefined when the donor can not do that. */
function filled(
  survey: DamageSurvey,
  donor: Donor,
): { readonly log: readonly Entry[]; readonly needsSnapshot: boolean } | undefined {
  const base = survey.snapshot?.metadata.index ?? 0;
  const held = new Map<number, Entry>();
  for (const run of [survey.prefix, ...survey.islands]) {
    for (const entry of run) held.set(entry.index, entry);
  }
  checkIdentity(survey, donor);
  const log: Entry[] = [];
  let expected: PreviousEntry | undefined;
  for (let index = survey.lastKnownIndex; index > base; index -= 1) {
    // What stands above proves which of two is right: a lost write may have replaced the own one.
    const own = held.get(index);
    const candidates = [...(own === undefined ? [] : [own]), ...(donor.entries.get(index) ?? [])];
    const entry = candidates.find((found) => isNamed(found, expected));
    // Below the donor's own log its snapshot has to do.
    if (entry === undefined) return { log: log.reverse(), needsSnapshot: true };
    expected = entry.encoded === undefined ? undefined : previousOf(entry.encoded);
    log.push(entry);
  }
  const before = survey.prefix.filter((entry) => entry.index <= base);
  return { log: [...before, ...log.reverse()], needsSnapshot: false };
}

function isNamed(entry: Entry, expected: PreviousEntry | undefined): boolean {
  if (expected === undefined) return true;
  const isKnown = expected.checksum !== 0;
  return entry.term === expected.term && (!isKnown || entryChecksum(entry) === expected.checksum);
}

/** The topmost one is proven by what stands above it; what stands below may be from a lost past. */
function checkIdentity({ lost, islands, isTailKnown }: DamageSurvey, donor: Donor): void {
  const top = lost.at(-1);
  const above = islands.at(-1)?.[0]?.index ?? Number.MAX_SAFE_INTEGER;
  if (top === undefined || top.index > above || !isTailKnown) return;
  const offered = donor.entries.get(top.index) ?? [];
  const isFound = offered.some((entry) => isNamed(entry, top));
  assert.ok(isFound || offered.length === 0, `entry ${top.index} is named by term and checksum`);
}

function receive(run: ScriptedRun, survey: DamageSurvey, donor: Donor): ReceivedSnapshot {
  assert.ok(donor.snapshot !== undefined, "the donor has a snapshot");
  const sink = receiveRepairSnapshot(run.options, survey.identity);
  let got: ReceivedSnapshot | undefined;
  sink.write(donor.snapshot, (writeError) => {
    assert.equal(writeError, undefined);
    sink.finish((error, received) => {
      assert.equal(error, undefined);
      got = received;
    });
  });
  run.fileSystem.run();
  if (run.fileSystem.hasCrashed) throw new SimulatedCrash("crashed while receiving");
  assert.ok(got !== undefined);
  return got;
}
