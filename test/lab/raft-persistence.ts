/** Lab 3C (2C until 2023): what survives crashes, and agreement on an unreliable network. */
import { type Command, check, ELECTION_MS, type Lab, range } from "./lab.ts";
import type { LabTest } from "./lab-test.ts";

const part = "Raft";

/** A crash and a start, cut off from the others in between. */
async function restart(lab: Lab, ...ids: readonly number[]): Promise<void> {
  await lab.crash(...ids);
  await lab.start(...ids);
}

async function persist1(lab: Lab): Promise<void> {
  await lab.agree("11", 3);
  await restart(lab, ...lab.ids);
  await lab.agree("12", 3);
  await restart(lab, await lab.leader());
  await lab.agree("13", 3);
  const second = await lab.leader();
  await lab.crash(second);
  await lab.agree("14", 2);
  await lab.start(second);
  // The one that was away holds it before it may be needed for a majority.
  await lab.agree("14 again", 3);
  const third = lab.after(await lab.leader(), 1);
  await lab.crash(third);
  await lab.agree("15", 2);
  await lab.start(third);
  await lab.agree("16", 3);
}

async function persist2(lab: Lab): Promise<void> {
  let command = 10;
  const agree = async (expected: number): Promise<void> => {
    command += 1;
    await lab.agree(`${command}`, expected);
  };
  for (const _ of range(5)) {
    await agree(5);
    const leader = await lab.leader();
    const [one = 0, two = 0, three = 0, four = 0] = range(4, 1).map((n) => lab.after(leader, n));
    await lab.crash(one, two);
    await agree(3);
    await lab.crash(leader, three, four);
    await lab.start(one, two);
    await lab.sleep(ELECTION_MS);
    await lab.start(three);
    await agree(3);
    await lab.start(four, leader);
  }
  await lab.agree("1000", 5);
}

async function persist3(lab: Lab): Promise<void> {
  await lab.agree("101", 3);
  const leader = await lab.leader();
  const [one, two] = [lab.after(leader, 1), lab.after(leader, 2)];
  lab.disconnect(two);
  await lab.agree("102", 2);
  await lab.crash(leader, one);
  lab.connect(two);
  await lab.start(leader);
  await lab.agree("103", 2);
  await lab.start(one);
  await lab.agree("104", 3);
}

/** A short pause, and in one case of ten one that may outlast an election timeout. */
async function pause(lab: Lab): Promise<void> {
  await lab.sleep(lab.below(10) === 0 ? lab.below(ELECTION_MS / 2) : lab.below(13));
}

/** Submits to whoever leads; the last of them when there are several. */
async function submitToLeaders(lab: Lab, command: string): Promise<number | undefined> {
  const started = await Promise.all(lab.ids.map((id) => lab.submit(id, command)));
  return lab.ids.findLast((id, at) => started[at] !== undefined && lab.isConnected(id));
}

/** Leaders die with entries of older terms on a minority (section 5.4.2). */
async function figure8(lab: Lab): Promise<void> {
  await lab.agree("first", 1);
  const { ids } = lab;
  for (const round of range(1_000)) {
    const leader = await submitToLeaders(lab, `round ${round}`);
    await pause(lab);
    if (leader !== undefined) await lab.crash(leader);
    if (ids.filter((id) => lab.isUp(id)).length >= 3) continue;
    const any = ids[lab.below(5)] ?? 1;
    if (!lab.isUp(any)) await lab.start(any);
  }
  await lab.start(...ids.filter((id) => !lab.isUp(id)));
  await lab.agree("last", 5);
}

async function figure8Unreliable(lab: Lab): Promise<void> {
  await lab.agree("first", 1);
  const { ids, world } = lab;
  for (const round of range(1_000)) {
    if (round === 200) world.setWeather({ isUnreliable: true, hasLongReordering: true });
    const leader = await submitToLeaders(lab, `round ${round}`);
    await pause(lab);
    if (leader !== undefined && lab.below(1_000) < ELECTION_MS / 2) lab.disconnect(leader);
    if (ids.filter((id) => lab.isConnected(id)).length >= 3) continue;
    const any = ids[lab.below(5)] ?? 1;
    if (!lab.isConnected(any)) lab.connect(any);
  }
  lab.connect(...ids);
  await lab.agree("last", 5);
}

async function unreliableAgree(lab: Lab): Promise<void> {
  const waiting: Promise<number>[] = [];
  for (const round of range(49, 1)) {
    for (const n of range(4)) waiting.push(lab.agree(`${100 * round + n}`, 1));
    await lab.agree(`${round}`, 1);
  }
  lab.world.setWeather({ isUnreliable: false, hasLongReordering: false });
  await Promise.all(waiting);
  await lab.agree("100", 5);
}

/** Clients that submit to anyone who leads, while servers come and go. */
async function churn(lab: Lab): Promise<void> {
  let isOver = false;
  const clients = range(3).map((name) => churnClient(lab, name, () => isOver));
  for (const _ of range(20)) {
    if (lab.below(1_000) < 200) lab.disconnect(1 + lab.below(5));
    if (lab.below(1_000) < 500) {
      const id = 1 + lab.below(5);
      if (!lab.isUp(id)) await lab.start(id);
      lab.connect(id);
    }
    if (lab.below(1_000) < 200) {
      const id = 1 + lab.below(5);
      if (lab.isUp(id)) await lab.crash(id);
    }
    await lab.sleep(ELECTION_MS * 0.7);
  }
  await lab.sleep(ELECTION_MS);
  lab.world.setWeather({ isUnreliable: false, hasLongReordering: false });
  await lab.start(...lab.ids.filter((id) => !lab.isUp(id)));
  lab.connect(...lab.ids);
  isOver = true;
  const seen = (await Promise.all(clients)).flat();
  await lab.sleep(ELECTION_MS);
  const last = await lab.agree("last", 5);
  check(seen.length > 0, () => "no client saw a value committed");
  for (const command of seen) {
    const { count, index = 0 } = await lab.holders(command);
    check(
      count === 5 && index < last,
      () => `${command.value} was committed; now ${count} servers hold it`,
    );
  }
}

/** Answers with what it saw committed. */
async function churnClient(lab: Lab, name: number, isOver: () => boolean): Promise<Command[]> {
  const seen: Command[] = [];
  for (let n = 0; !isOver(); n += 1) {
    let command: Command | undefined;
    let outcome: Promise<boolean> | undefined;
    const submits = lab.ids.map((id) => lab.submit(id, `client ${name} value ${n}`));
    for (const started of await Promise.all(submits)) {
      if (started === undefined) continue;
      command = started.command;
      outcome = started.outcome.then(({ kind }) => kind === "applied");
    }
    if (command === undefined || outcome === undefined) {
      await lab.sleep(79 + name * 17);
      continue;
    }
    // The lab's client looks after 10, 20, 50, 100 and 200 ms.
    const isCommitted = await Promise.race([outcome, lab.sleep(380).then(() => false)]);
    if (isCommitted) seen.push(command);
    await lab.sleep(lab.world.paceMs);
  }
  return seen;
}

export const PERSISTENCE_TESTS: readonly LabTest[] = [
  {
    name: "Persist1",
    part,
    title: "all, the leader, a follower restart; nothing agreed on is lost",
    servers: 3,
    run: persist1,
  },
  {
    name: "Persist2",
    part,
    title: "rotating crashes of two and three of five",
    servers: 5,
    run: persist2,
  },
  {
    name: "Persist3",
    part,
    title: "a leader comes back to a follower that lags",
    servers: 3,
    run: persist3,
  },
  {
    name: "Figure8",
    part,
    title: "a thousand rounds of leaders that die early",
    servers: 5,
    run: figure8,
  },
  {
    name: "UnreliableAgree",
    part,
    title: "agreement although a fifth of all requests fails",
    servers: 5,
    isUnreliable: true,
    run: unreliableAgree,
  },
  {
    name: "Figure8Unreliable",
    part,
    title: "the same rounds with cuts, loss and answers that come seconds late",
    servers: 5,
    isUnreliable: true,
    run: figure8Unreliable,
  },
  {
    name: "ReliableChurn",
    part,
    title: "what a client saw committed is in the log in the end",
    servers: 5,
    run: churn,
  },
  {
    name: "UnreliableChurn",
    part,
    title: "the same on an unreliable network",
    servers: 5,
    isUnreliable: true,
    run: churn,
  },
];
