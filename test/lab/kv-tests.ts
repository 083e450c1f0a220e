/** Lab 4A and 4B (3A and 3B until 2023): the tests beside GenericTest. */
import { append, EMPTY_CHAIN } from "./chain.ts";
import { check, ELECTION_MS, type Lab, range, within } from "./lab.ts";
import type { LabTest } from "./lab-test.ts";
import type { LabClient } from "./world.ts";

const part = "KV";
const STATE_BYTES_MAX = 1_000;
const LOG_BYTES_MAX = 8 * STATE_BYTES_MAX;
const snapshots = { everyBytes: STATE_BYTES_MAX };

const SPEED_WRITES = 1_000;
/** Three writes for each heartbeat of 100 ms. */
const SPEED_MS_MAX = 33_300;

/** One after another; a write must not wait for the next heartbeat. */
async function speed(lab: Lab): Promise<void> {
  const client = lab.client();
  // The first leader does not count.
  await client.get("x");
  const begunMs = lab.world.nowMs();
  let chain = EMPTY_CHAIN;
  let revision = 0;
  for (const n of range(SPEED_WRITES)) {
    chain = append(chain, `x 0 ${n} y`);
    const condition =
      revision === 0 ? ({ kind: "absent" } as const) : ({ kind: "revision", revision } as const);
    const answer = await client.put("x", chain, condition);
    check(answer.kind === "put", () => `append ${n} found another value than its own`);
    revision = answer.revision;
  }
  const tookMs = lab.world.nowMs() - begunMs;
  const record = await client.get("x");
  check(record?.value === chain && record.version === SPEED_WRITES, () => "a write is missing");
  check(tookMs <= SPEED_MS_MAX, () => `${SPEED_WRITES} writes took ${tookMs} ms`);
  lab.requireLinearizable();
}

/** Appends to a key that others append to as well, until it is in. */
async function appendTo(client: LabClient, key: string, piece: string): Promise<void> {
  for (;;) {
    const record = await client.get(key);
    const condition =
      record?.revision === undefined
        ? ({ kind: "absent" } as const)
        : ({ kind: "revision", revision: record.revision } as const);
    const answer = await client.put(key, `${record?.value ?? ""}${piece}`, condition);
    if (answer.kind === "put") return;
  }
}

async function oneKey(lab: Lab): Promise<void> {
  const [clients, pieces] = [5, 10];
  await Promise.all(
    range(clients).map(async (name) => {
      const client = lab.client();
      for (const n of range(pieces)) await appendTo(client, "k", `x ${name} ${n} y`);
    }),
  );
  const text = (await lab.client().get("k"))?.value ?? "";
  check(text.length === clients * pieces * "x 0 0 y".length, () => `a wrong length: ${text}`);
  for (const name of range(clients)) {
    let after = -1;
    for (const n of range(pieces)) {
      const piece = `x ${name} ${n} y`;
      const at = text.indexOf(piece);
      check(at > after, () => `${piece} is missing or out of order in ${text}`);
      check(text.lastIndexOf(piece) === at, () => `${piece} is there twice in ${text}`);
      after = at;
    }
  }
  lab.requireLinearizable();
}

/** A cut-off leader answers nobody: neither writes nor reads. */
async function onePartition(lab: Lab): Promise<void> {
  const all = lab.client();
  await all.put("1", "13");
  const leader = await lab.leader();
  const minority = [leader, lab.after(leader, 1)];
  const majority = range(3, 2).map((steps) => lab.after(leader, steps));
  lab.partition(minority, majority);
  const inMajority = lab.client(majority);
  await inMajority.put("1", "14");
  check((await inMajority.get("1"))?.value === "14", () => "the majority lost its own put");
  let answers = 0;
  const put = lab.client(minority).put("1", "15");
  const get = lab.client(minority).get("1");
  const count = (): void => {
    answers += 1;
  };
  put.then(count, count);
  get.then(count, count);
  await lab.sleep(1_000);
  check(answers === 0, () => "the minority answered a put or a get");
  check((await inMajority.get("1"))?.value === "14", () => "the majority sees the minority's put");
  await inMajority.put("1", "16");
  check((await inMajority.get("1"))?.value === "16", () => "the majority lost its second put");
  lab.connectAll();
  await lab.sleep(ELECTION_MS);
  await within(lab, 3_000, "the minority's put after the heal", put);
  await within(lab, 3_000, "the minority's get after the heal", get);
  check((await all.get("1"))?.value === "15", () => "the late put is not the last");
  lab.requireLinearizable();
}

/** Who missed too much gets a snapshot, and can then serve without those who had it. */
async function snapshotRpc(lab: Lab): Promise<void> {
  const all = lab.client();
  await all.put("a", "A");
  check((await all.get("a"))?.value === "A", () => "the first put is lost");
  lab.partition([1, 2], [3]);
  const pair = lab.client([1, 2]);
  for (const n of range(50)) await pair.put(`${n}`, `${n}`);
  await lab.sleep(ELECTION_MS);
  await pair.put("b", "B");
  const bytes = await lab.logBytes();
  check(bytes <= LOG_BYTES_MAX, () => `a log of ${bytes} bytes was not trimmed`);
  lab.partition([1, 3], [2]);
  const other = lab.client([1, 3]);
  await other.put("c", "C");
  await other.put("d", "D");
  for (const [key, value] of [
    ["a", "A"],
    ["b", "B"],
    ["1", "1"],
    ["49", "49"],
  ] as const) {
    check((await other.get(key))?.value === value, () => `${key} is not what was put`);
  }
  lab.partition([1, 2, 3]);
  await all.put("e", "E");
  for (const key of ["c", "e", "1"]) {
    const expected = key === "1" ? "1" : key.toUpperCase();
    check((await all.get(key))?.value === expected, () => `${key} is not what was put`);
  }
  lab.requireLinearizable();
}

const SNAPSHOT_BYTES_MAX = 500;

/** What is overwritten is gone from log and snapshot. */
async function snapshotSize(lab: Lab): Promise<void> {
  const client = lab.client();
  for (const _ of range(200)) {
    for (const value of ["0", "1"]) {
      await client.put("x", value);
      check((await client.get("x"))?.value === value, () => "a put was not seen");
    }
  }
  const logBytes = await lab.logBytes();
  check(logBytes <= LOG_BYTES_MAX, () => `a log of ${logBytes} bytes was not trimmed`);
  const bytes = await lab.snapshotBytes();
  check(bytes > 0 && bytes <= SNAPSHOT_BYTES_MAX, () => `a snapshot of ${bytes} bytes`);
  lab.requireLinearizable();
}

export const KV_TESTS: readonly LabTest[] = [
  {
    name: "Speed3A",
    part,
    title: "1,000 writes one after another in 33.3 s",
    servers: 3,
    run: speed,
  },
  {
    name: "Speed3B",
    part,
    title: "the same with snapshots",
    servers: 3,
    snapshots,
    run: speed,
  },
  {
    name: "UnreliableOneKey3A",
    part,
    title: "concurrent appends to one key, each in once and in order",
    servers: 3,
    isUnreliable: true,
    run: oneKey,
  },
  {
    name: "OnePartition3A",
    part,
    title: "progress in the majority, none in the minority, both after the heal",
    servers: 5,
    run: onePartition,
  },
  {
    name: "SnapshotRPC3B",
    part,
    title: "a server that missed everything is brought up by snapshot",
    servers: 3,
    snapshots,
    run: snapshotRpc,
  },
  {
    name: "SnapshotSize3B",
    part,
    title: "log and snapshot stay small over 800 requests",
    servers: 3,
    snapshots,
    run: snapshotSize,
  },
];
