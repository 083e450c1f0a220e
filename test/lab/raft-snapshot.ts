/** Lab 3D (2D until 2023): log compaction and InstallSnapshot (section 7). */
import { check, ELECTION_MS, type Lab, range } from "./lab.ts";
import type { LabTest, SnapshotRule } from "./lab-test.ts";

const part = "Raft";
const ROUNDS = 30;
const SNAPSHOT_INTERVAL = 10;
const LOG_BYTES_MAX = 2_000;
/** The lab's patience with one command. */
const BEHIND_MS_MAX = 2_000;
/** A snapshot is taken less often when it is large against the log since the last one. */
const KEYS = 16;
const snapshots: SnapshotRule = { everyEntries: SNAPSHOT_INTERVAL };

type Absence = "none" | "cut" | "crash";

async function leave(lab: Lab, id: number, absence: Absence): Promise<void> {
  if (absence === "cut") lab.disconnect(id);
  if (absence === "crash") await lab.crash(id);
  if (absence !== "none") await lab.agree("while away", 2);
}

async function comeBack(lab: Lab, id: number, absence: Absence): Promise<void> {
  if (absence === "none") return;
  if (absence === "cut") lab.connect(id);
  if (absence === "crash") await lab.start(id);
  await lab.agree("back", 3);
}

async function install(lab: Lab, absence: Absence): Promise<void> {
  await lab.agree("first", 3);
  let leader = await lab.leader();
  for (const round of range(ROUNDS)) {
    const isOdd = round % 3 === 1;
    const [sender, victim] = isOdd
      ? [lab.after(leader, 1), leader]
      : [leader, lab.after(leader, 1)];
    await leave(lab, victim, absence);
    // Enough commands for a snapshot.
    const commands = SNAPSHOT_INTERVAL / 2 + lab.below(SNAPSHOT_INTERVAL);
    for (const n of range(commands)) await lab.submit(sender, `round ${round} ${n}`);
    // The others apply them, and their log is cut.
    await lab.agree("together", absence === "none" ? 3 : 2);
    await checkLogs(lab, round);
    await comeBack(lab, victim, absence);
    leader = await lab.leader();
  }
  await checkInstalled(lab);
}

/**
 * A snapshot is written beside the work, not in its way, and holds what is committed: on a network
 * that loses messages the last commands may be a while behind.
 */
async function checkLogs(lab: Lab, round: number): Promise<void> {
  const endMs = lab.world.nowMs() + BEHIND_MS_MAX;
  for (;;) {
    const bytes = await lab.logBytes();
    if (bytes < LOG_BYTES_MAX) return;
    check(lab.world.nowMs() < endMs, () => `a log has ${bytes} bytes after round ${round}`);
    await lab.sleep(5);
  }
}

/** Everyone has a snapshot, so nobody's log goes back to the beginning. */
async function checkInstalled(lab: Lab): Promise<void> {
  for (const id of lab.ids) {
    const { snapshotIndex } = await lab.view(id);
    check(snapshotIndex > 0, () => `server ${id} has no snapshot`);
  }
}

async function allCrash(lab: Lab): Promise<void> {
  await lab.agree("first", 3);
  for (const round of range(5)) {
    const commands = SNAPSHOT_INTERVAL / 2 + lab.below(SNAPSHOT_INTERVAL);
    for (const n of range(commands)) await lab.agree(`round ${round} ${n}`, 3);
    const before = await lab.agree("before", 3);
    await lab.crash(...lab.ids);
    await lab.start(...lab.ids);
    const after = await lab.agree("after", 3);
    check(after > before, () => `the index went from ${before} back to ${after}`);
  }
}

/** A snapshot from before a crash is not forgotten by what is saved after it. */
async function init(lab: Lab): Promise<void> {
  const first = await lab.submitTo(await lab.leader(), "first");
  const index = await lab.awaitHolders(first, 3);
  for (const n of range(SNAPSHOT_INTERVAL + 1)) await lab.agree(`command ${n}`, 3);
  for (const round of range(2)) {
    await lab.crash(...lab.ids);
    await lab.start(...lab.ids);
    await lab.agree(`round ${round}`, 3);
  }
  const held = await lab.holders(first.command);
  check(held.count === 3 && held.index === index, () => "what stood in the snapshot is lost");
}

export const SNAPSHOT_TESTS: readonly LabTest[] = [
  {
    name: "SnapshotBasic",
    part,
    title: "snapshots keep the log short",
    servers: 3,
    snapshots,
    keys: KEYS,
    run: (lab) => install(lab, "none"),
  },
  {
    name: "SnapshotInstall",
    part,
    title: "a server that was cut off catches up by snapshot",
    servers: 3,
    snapshots,
    keys: KEYS,
    run: (lab) => install(lab, "cut"),
  },
  {
    name: "SnapshotInstallUnreliable",
    part,
    title: "the same on an unreliable network",
    servers: 3,
    snapshots,
    keys: KEYS,
    isUnreliable: true,
    run: (lab) => install(lab, "cut"),
  },
  {
    name: "SnapshotInstallCrash",
    part,
    title: "a server that crashed catches up by snapshot",
    servers: 3,
    snapshots,
    keys: KEYS,
    run: (lab) => install(lab, "crash"),
  },
  {
    name: "SnapshotInstallUnCrash",
    part,
    title: "the same on an unreliable network",
    servers: 3,
    snapshots,
    keys: KEYS,
    isUnreliable: true,
    run: (lab) => install(lab, "crash"),
  },
  {
    name: "SnapshotAllCrash",
    part,
    title: "all crash after a snapshot; the index never goes back",
    servers: 3,
    snapshots,
    keys: KEYS,
    run: allCrash,
  },
  {
    name: "SnapshotInit",
    part,
    title: "a snapshot survives what is saved after a restart",
    servers: 3,
    snapshots,
    keys: KEYS,
    run: async (lab) => {
      await init(lab);
      await lab.sleep(ELECTION_MS);
    },
  },
];
