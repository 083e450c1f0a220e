/** Lab 3B (2B until 2023): agreement on a log. */
import { check, ELECTION_MS, type Lab, LabFailure, range, type Started } from "./lab.ts";
import type { LabTest } from "./lab-test.ts";

const part = "Raft";

async function basicAgree(lab: Lab): Promise<void> {
  for (const index of range(3, 1)) {
    for (const id of lab.ids) {
      const { applied } = await lab.view(id);
      check(applied < index, () => `server ${id} has committed ${index} before it was submitted`);
    }
    const at = await lab.agree(`${index * 100}`, 3, { retry: false });
    check(at === index, () => `got index ${at}, but expected ${index}`);
  }
}

async function rpcBytes(lab: Lab): Promise<void> {
  await lab.agree("99", 3, { retry: false });
  const before = (await lab.world.traffic()).bytes;
  const padding = 5_000;
  let sent = 0;
  for (const index of range(10, 2)) {
    const text = `${lab.below(10)}`.repeat(padding);
    const at = await lab.agree("big", 3, { retry: false, padding: text });
    check(at === index, () => `got index ${at}, but expected ${index}`);
    sent += padding;
  }
  const bytes = (await lab.world.traffic()).bytes - before;
  const most = 3 * sent + 50_000;
  check(bytes <= most, () => `${bytes} bytes between servers for ${sent} sent; at most ${most}`);
}

async function followerFailure(lab: Lab): Promise<void> {
  await lab.agree("101", 3, { retry: false });
  const first = await lab.leader();
  lab.disconnect(lab.after(first, 1));
  await lab.agree("102", 2, { retry: false });
  await lab.sleep(ELECTION_MS);
  await lab.agree("103", 2, { retry: false });
  const second = await lab.leader();
  lab.disconnect(lab.after(second, 1), lab.after(second, 2));
  const alone = await lab.submitTo(second, "104");
  await lab.sleep(2 * ELECTION_MS);
  await lab.isUncommitted(alone);
}

async function leaderFailure(lab: Lab): Promise<void> {
  await lab.agree("101", 3, { retry: false });
  lab.disconnect(await lab.leader());
  await lab.agree("102", 2, { retry: false });
  await lab.sleep(ELECTION_MS);
  await lab.agree("103", 2, { retry: false });
  lab.disconnect(await lab.leader());
  const alone: Started[] = [];
  for (const id of lab.ids) {
    const started = await lab.submit(id, "104");
    if (started !== undefined) alone.push(started);
  }
  await lab.sleep(2 * ELECTION_MS);
  for (const started of alone) await lab.isUncommitted(started);
  for (const id of lab.ids) {
    const { applied } = await lab.view(id);
    check(applied < 4, () => `server ${id} has committed index 4 without a majority`);
  }
}

async function failAgree(lab: Lab): Promise<void> {
  await lab.agree("101", 3, { retry: false });
  const leader = await lab.leader();
  const away = lab.after(leader, 1);
  lab.disconnect(away);
  await lab.agree("102", 2, { retry: false });
  await lab.agree("103", 2, { retry: false });
  await lab.sleep(ELECTION_MS);
  await lab.agree("104", 2, { retry: false });
  await lab.agree("105", 2, { retry: false });
  lab.connect(away);
  await lab.agree("106", 3);
  await lab.sleep(ELECTION_MS);
  await lab.agree("107", 3);
}

async function failNoAgree(lab: Lab): Promise<void> {
  await lab.agree("10", 5, { retry: false });
  const leader = await lab.leader();
  const away = range(3, 1).map((steps) => lab.after(leader, steps));
  lab.disconnect(...away);
  const alone = await lab.submitTo(leader, "20");
  await lab.sleep(2 * ELECTION_MS);
  await lab.isUncommitted(alone);
  lab.connect(...away);
  // The cut-off majority may have chosen a leader among themselves, and dropped index 2.
  const second = await lab.leader();
  const next = await lab.submitTo(second, "30");
  const index = await lab.awaitHolders(next, 5);
  check(index === 2 || index === 3, () => `unexpected index ${index}, should be 2 or 3`);
  await lab.agree("1000", 5);
}

/** Commands of one term that are submitted side by side all commit, each once. */
async function concurrentStarts(lab: Lab): Promise<void> {
  for (const attempt of range(5)) {
    // Give the old leader some time to settle.
    if (attempt > 0) await lab.sleep(3_000);
    const leader = await lab.leader();
    const first = await lab.submit(leader, "1");
    if (first === undefined) continue;
    const five = await Promise.all(range(5).map((n) => lab.submit(leader, `${100 + n}`)));
    const started = five.filter((one) => one !== undefined);
    const isOneTerm = started.every(({ term }) => term === first.term);
    if (started.length < 5 || !isOneTerm || (await hasTermMoved(lab, first.term))) continue;
    const outcomes = await Promise.all(started.map(({ outcome }) => outcome));
    if (await hasTermMoved(lab, first.term)) continue;
    const indexes = outcomes.map((outcome) => (outcome.kind === "applied" ? outcome.index : 0));
    check(
      indexes.every((index) => index > 0) && new Set(indexes).size === 5,
      () => `five commands of one term stand at ${indexes}`,
    );
    for (const one of started) await lab.awaitHolders(one, 3);
    return;
  }
  throw new LabFailure("the term changed too often");
}

async function hasTermMoved(lab: Lab, term: number): Promise<boolean> {
  const views = await Promise.all(lab.ids.map((id) => lab.view(id)));
  return views.some((view) => view.term !== term);
}

async function rejoin(lab: Lab): Promise<void> {
  await lab.agree("101", 3);
  const first = await lab.leader();
  lab.disconnect(first);
  for (const command of ["102", "103", "104"]) await lab.submit(first, command);
  await lab.agree("103", 2);
  const second = await lab.leader();
  lab.disconnect(second);
  lab.connect(first);
  await lab.agree("104", 2);
  lab.connect(second);
  await lab.agree("105", 3);
}

/** The leader backs up quickly over incorrect follower logs (section 5.3, the end). */
async function backup(lab: Lab): Promise<void> {
  await lab.agree("first", 5);
  const first = await lab.leader();
  const minority = [first, lab.after(first, 1)];
  const majority = range(3, 2).map((steps) => lab.after(first, steps));
  lab.disconnect(...majority);
  for (const n of range(50)) await lab.submit(first, `lost ${n}`);
  await lab.sleep(ELECTION_MS / 2);
  lab.disconnect(...minority);
  lab.connect(...majority);
  for (const n of range(50)) await lab.agree(`kept ${n}`, 3);
  const second = await lab.leader();
  let other = lab.after(first, 2);
  if (second === other) other = lab.after(second, 1);
  lab.disconnect(other);
  for (const n of range(50)) await lab.submit(second, `lost again ${n}`);
  await lab.sleep(ELECTION_MS / 2);
  lab.disconnect(...lab.ids);
  lab.connect(...minority, other);
  for (const n of range(50)) await lab.agree(`kept again ${n}`, 3);
  lab.connect(...lab.ids);
  await lab.agree("last", 5);
}

const COUNTED_COMMANDS = 10;
const ELECTION_MS_MAX = 5_000;

async function requestsToElect(lab: Lab): Promise<number> {
  const endMs = lab.world.nowMs() + ELECTION_MS_MAX;
  while (lab.world.nowMs() < endMs) {
    for (const id of lab.ids) {
      if ((await lab.view(id)).isLeader) return (await lab.world.traffic()).requests;
    }
    await lab.sleep(10);
  }
  throw new LabFailure(`no leader in ${ELECTION_MS_MAX} ms`);
}

async function count(lab: Lab): Promise<void> {
  // The lab looks every half second and so counts up to ten heartbeats that elect nobody; those
  // are asserted below, where the servers are idle.
  const elected = await requestsToElect(lab);
  check(elected >= 1 && elected <= 30, () => `${elected} requests to elect a leader`);
  await lab.leader();
  await countAgreement(lab);
  await lab.sleep(ELECTION_MS);
  const before = (await lab.world.traffic()).requests;
  await lab.sleep(1_000);
  const idle = (await lab.world.traffic()).requests - before;
  check(idle <= 3 * 20, () => `${idle} requests in a second of idleness`);
}

async function countAgreement(lab: Lab): Promise<void> {
  for (const attempt of range(5)) {
    if (attempt > 0) await lab.sleep(3_000);
    const leader = await lab.leader();
    const before = (await lab.world.traffic()).requests;
    const first = await lab.submit(leader, "1");
    if (first === undefined) continue;
    const started: Started[] = [];
    for (const n of range(COUNTED_COMMANDS, 1)) {
      const one = await lab.submit(leader, `${n}`);
      if (one?.term === first.term) started.push(one);
    }
    if (started.length < COUNTED_COMMANDS) continue;
    for (const one of started) await lab.awaitHolders(one, 3);
    if (await hasTermMoved(lab, first.term)) continue;
    const requests = (await lab.world.traffic()).requests - before;
    const most = (COUNTED_COMMANDS + 1 + 3) * 3;
    check(requests <= most, () => `${requests} requests for ${COUNTED_COMMANDS} commands`);
    return;
  }
  throw new LabFailure("the term changed too often");
}

export const AGREEMENT_TESTS: readonly LabTest[] = [
  {
    name: "BasicAgree",
    part,
    title: "three commands at indexes 1, 2 and 3; nothing before they are submitted",
    servers: 3,
    run: basicAgree,
  },
  {
    name: "RPCBytes",
    part,
    title: "each command crosses to each peer once",
    servers: 3,
    countsBytes: true,
    run: rpcBytes,
  },
  {
    name: "FollowerFailure",
    part,
    title: "agreement with one follower away, none with both",
    servers: 3,
    run: followerFailure,
  },
  {
    name: "LeaderFailure",
    part,
    title: "agreement after a leader is cut off, none after the second",
    servers: 3,
    run: leaderFailure,
  },
  {
    name: "FailAgree",
    part,
    title: "a follower comes back and agrees",
    servers: 3,
    run: failAgree,
  },
  {
    name: "FailNoAgree",
    part,
    title: "no agreement while too many are away",
    servers: 5,
    run: failNoAgree,
  },
  {
    name: "ConcurrentStarts",
    part,
    title: "five commands at the same time all commit",
    servers: 3,
    run: concurrentStarts,
  },
  {
    name: "Rejoin",
    part,
    title: "an old leader with uncommitted entries comes back",
    servers: 3,
    run: rejoin,
  },
  {
    name: "Backup",
    part,
    title: "logs that differ in hundreds of entries come together quickly",
    servers: 5,
    run: backup,
  },
  {
    name: "Count",
    part,
    title: "not too many requests to elect, to agree and to be idle",
    servers: 3,
    run: count,
  },
];
