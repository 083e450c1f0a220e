import assert from "node:assert/strict";
import { test } from "node:test";
import { BareClient } from "./bare-client.ts";
import { Scene } from "./scene.ts";
import { drawShape } from "./shape.ts";

const SEEDS = 10;
const POLITE = { duplicate: 0, badSequence: 0 };
const READ = { consistency: "linearizable", minRevision: 0, forward: true } as const;
/** Elections that two nodes may need, each of which gives way once. */
const TERMS_MAX = 4;

/** D8 of the fault matrix, on all nodes: elections take space from logs that have none left. */
test("while all disks are full, leadership comes to rest and reads go on", () => {
  for (const tickMs of [10, 50]) {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { timing, snapshots } = drawShape(seed);
      const scene = new Scene(seed, {
        timing: { ...timing, tickMs, leaseDriftBound: undefined },
        snapshots: { ...snapshots, everyEntries: 1_000_000 },
        storage: { segmentBytes: [64 * 1024], batchBytesMax: 64 * 1024 },
        thinkMs: 10,
        valueBytesMax: 3 * 1024,
      });
      const { cluster } = scene;
      const termOf = () => scene.leader.process?.replica.raft.term ?? 0;
      const before = termOf();
      for (const { drive } of cluster.nodes) drive.isFull = true;
      const client = new BareClient(1, cluster, POLITE, 0);
      scene.until("a write is refused", () => cluster.tally.of("refused: disk-full") > 0);
      client.stop();
      scene.run(3_000);
      const terms = termOf() - before;
      assert.ok(terms <= TERMS_MAX, `seed ${seed}, ticks of ${tickMs} ms: ${terms} terms`);
      const granted = new Set<number>();
      for (const node of cluster.nodes) {
        cluster.read(node, READ, ({ kind }) => {
          if (kind === "granted") granted.add(node.id);
        });
      }
      scene.until("each node reads", () => granted.size === cluster.nodes.length);
    }
  }
});
