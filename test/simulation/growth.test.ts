/** Each way to keep what nobody needs, planted in production code, is found as growth. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { KvResult } from "../../server/kv/index.ts";
import { PendingProposals } from "../../server/replica/pending-proposals.ts";
import { PendingReads, type WaitingRead } from "../../server/replica/pending-reads.ts";
import { Snapshotter } from "../../server/replica/snapshotter.ts";
import { SegmentPool } from "../../storage/segment-pool.ts";
import { Wal } from "../../storage/wal.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import { simulate } from "./simulation.ts";

type Proposals = PendingProposals<KvResult>;

const SEEDS_MAX = 10;
/** No log of these runs is as long. */
const FAR_AWAY = 1_000_000;
const NOBODY = { kind: "local", done: () => {} } as const;

interface Leak {
  readonly name: string;
  readonly plant: (t: TestContext) => void;
  readonly found: RegExp;
}

const LEAKS: readonly Leak[] = [
  {
    name: "no snapshot is ever due",
    plant: (t) => t.mock.method(Snapshotter.prototype, "isDue", () => false),
    found: /entries of \d+ bytes behind the snapshot/,
  },
  {
    name: "the log is never cut behind a snapshot",
    plant: (t) => t.mock.method(Wal.prototype, "dropThrough", () => []),
    found: /entries from 1 on|segments/,
  },
  {
    name: "segments that are not needed stay",
    plant: (t) => t.mock.method(SegmentPool.prototype, "retire", () => {}),
    found: /files of \d+ segments/,
  },
  {
    name: "writes that were answered stay",
    plant: (t) => {
      const { add } = PendingProposals.prototype;
      const leaking = function (this: Proposals, ...added: Parameters<Proposals["add"]>): void {
        const [index] = added;
        add.apply(this, added);
        add.call(this, index + FAR_AWAY, Infinity, NOBODY, Infinity);
      };
      t.mock.method(PendingProposals.prototype, "add", leaking);
    },
    found: /writes that nobody waits for/,
  },
  {
    name: "reads that were answered stay",
    plant: (t) => {
      const { gather } = PendingReads.prototype;
      const leaking = function (this: PendingReads, read: WaitingRead): void {
        gather.call(this, read);
        this.waitForRevision({ ...read, minRevision: Infinity, done: () => {} }, "stale");
      };
      t.mock.method(PendingReads.prototype, "gather", leaking);
      t.mock.method(PendingReads.prototype, "expire", () => {});
    },
    found: /reads that nobody waits for/,
  },
  {
    name: "a timer is forgotten with each turn",
    plant: (t) => {
      const { soon } = SimulatedClock.prototype;
      const leaking = function (this: SimulatedClock, run: () => void): void {
        this.after(10_000, () => {});
        soon.call(this, run);
      };
      t.mock.method(SimulatedClock.prototype, "soon", leaking);
    },
    found: /timers/,
  },
];

for (const { name, plant, found } of LEAKS) {
  test(`growth is found: ${name}`, async (t) => {
    plant(t);
    for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
      const { violation } = await simulate({ seed, faults: [], durationMs: 6_000 });
      if (violation === undefined) continue;
      assert.equal(violation.kind, "growth", `seed ${seed}: ${violation.message}`);
      assert.match(violation.message, found);
      return;
    }
    assert.fail(`not found in ${SEEDS_MAX} seeds`);
  });
}
