/**
 * Lab 2 of 2025: one key-value server, puts on condition, and a lock built on them. The lab's
 * versions are our revisions: a put names the one it expects.
 */
import { check, type Lab, range } from "./lab.ts";
import type { LabTest } from "./lab-test.ts";
import { Lock } from "./lock.ts";
import { measureClients } from "./measure-clients.ts";

const part = "KV server";
const ABSENT = { kind: "absent" } as const;

async function reliablePut(lab: Lab): Promise<void> {
  const client = lab.client();
  const first = await client.put("k", "6.5840", ABSENT);
  check(first.kind === "put" && first.version === 1, () => "the first put did not make version 1");
  const record = await client.get("k");
  check(record?.value === "6.5840" && record.version === 1, () => "a get does not show the put");
  const again = await client.put("k", "0", ABSENT);
  check(again.kind === "condition-failed", () => "a put of an absent key met a present one");
  const stale = await client.put("k", "0", { kind: "revision", revision: first.revision + 1 });
  check(stale.kind === "condition-failed", () => "a put took another revision than it named");
  const missing = await client.put("y", "0", { kind: "revision", revision: 1 });
  check(
    missing.kind === "condition-failed" && missing.current === null,
    () => "a put of a revision made a key that is not there",
  );
  check((await client.get("y")) === null, () => "a refused put left a key behind");
  const second = await client.put("k", "2025", { kind: "revision", revision: first.revision });
  check(second.kind === "put" && second.version === 2, () => "a put on its revision was refused");
  lab.requireLinearizable();
}

const CONCURRENT_MS = 1_000;

/** Successes are counted against the version; the order against the checker. */
async function concurrentPuts(lab: Lab): Promise<void> {
  const endMs = lab.world.nowMs() + CONCURRENT_MS;
  const successes = await Promise.all(
    range(10).map(async (name) => {
      const client = lab.client();
      let taken = 0;
      for (let n = 0; lab.world.nowMs() < endMs; n += 1) {
        const record = await client.get("k");
        const condition =
          record?.revision === undefined
            ? ABSENT
            : ({ kind: "revision", revision: record.revision } as const);
        const answer = await client.put("k", `${name} ${n}`, condition);
        if (answer.kind === "put") taken += 1;
        await lab.sleep(lab.world.paceMs);
      }
      return taken;
    }),
  );
  const taken = successes.reduce((sum, one) => sum + one, 0);
  const version = (await lab.client().get("k"))?.version;
  check(taken > 0 && version === taken, () => `${taken} puts succeeded, the version is ${version}`);
  lab.requireLinearizable();
}

const CLIENTS = 100_000;
const CLIENT_BYTES_MAX = 200;

/** In a process of its own, where the collector can be called; the cluster only stands by. */
async function memoryOfClients(lab: Lab): Promise<void> {
  const { bytesPerClient } = measureClients(CLIENTS);
  lab.operations += CLIENTS;
  check(bytesPerClient <= CLIENT_BYTES_MAX, () => `a client's put costs ${bytesPerClient} bytes`);
  await lab.leader();
}

const TRIES = 100;

/** An answer that is lost is called unknown; the put behind it has happened, and once. */
async function unreliableNet(lab: Lab): Promise<void> {
  const client = lab.client();
  let unknown = 0;
  let revision = 0;
  for (const round of range(TRIES)) {
    const condition = revision === 0 ? ABSENT : ({ kind: "revision", revision } as const);
    for (let n = 0; ; n += 1) {
      const answer = await client.putOnce("k", `${round}/${n}`, condition);
      if (answer !== "unknown") {
        const isRefused = answer.kind === "condition-failed";
        check(isRefused === n > 0, () => `try ${n} of round ${round}: ${answer.kind}`);
        break;
      }
      unknown += 1;
    }
    const record = await client.get("k");
    check(record?.version === round + 1, () => `version ${record?.version} in round ${round}`);
    check(record.value === `${round}/0`, () => `${record.value} in round ${round}`);
    revision = record.revision ?? 0;
  }
  check(unknown > 0, () => "no answer was ever lost");
  lab.requireLinearizable();
}

const LOCK_MS = 2_000;

/** Whoever holds the lock finds the key empty, marks it, and empties it again. */
async function lockClients(lab: Lab, clients: number): Promise<void> {
  await lab.client().put("held", "");
  const endMs = lab.world.nowMs() + LOCK_MS;
  const holds = await Promise.all(
    range(clients).map(async (name) => {
      const client = lab.client();
      const lock = new Lock(lab, client, "lock", `${name}`);
      let count = 0;
      while (lab.world.nowMs() < endMs) {
        await lock.acquire();
        const before = await client.get("held");
        check(before?.value === "", () => `${before?.value} and ${name} both hold the lock`);
        await client.put("held", `${name}`);
        await lab.sleep(10);
        const mine = await client.get("held");
        check(mine?.value === `${name}`, () => `${name} lost the lock to ${mine?.value}`);
        await client.put("held", "");
        await lock.release();
        count += 1;
      }
      return count;
    }),
  );
  check(
    holds.some((count) => count > 0),
    () => "nobody ever got the lock",
  );
  lab.requireLinearizable();
}

function lockTest(name: string, clients: number, isUnreliable: boolean): LabTest {
  const who = clients === 1 ? "one client" : `${clients} clients`;
  return {
    name,
    part: "Lock",
    title: `${who}${isUnreliable ? ", unreliable network" : ""}: never two holders`,
    servers: 1,
    isUnreliable,
    run: (lab) => lockClients(lab, clients),
  };
}

export const SERVER_TESTS: readonly LabTest[] = [
  {
    name: "ReliablePut",
    part,
    title: "versions, refused puts, missing keys",
    servers: 1,
    run: reliablePut,
  },
  {
    name: "PutConcurrentReliable",
    part,
    title: "ten clients on one key: successes are the version",
    servers: 1,
    run: concurrentPuts,
  },
  {
    name: "MemPutManyClientsReliable",
    part,
    title: "a put of each of 100,000 clients costs at most 200 bytes",
    servers: 1,
    run: memoryOfClients,
  },
  {
    name: "UnreliableNet",
    part,
    title: "a lost answer is called unknown, its put happens once",
    servers: 1,
    isUnreliable: true,
    run: unreliableNet,
  },
  lockTest("OneClientReliable", 1, false),
  lockTest("ManyClientsReliable", 10, false),
  lockTest("OneClientUnreliable", 1, true),
  lockTest("ManyClientsUnreliable", 10, true),
];
