/**
 * Members that stop at the same time, in virtual time: nobody waits for somebody who is leaving.
 * One handing leadership to the next, who stops, too, once went round a hundred times in a second.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GuardedCluster } from "./divergence/guarded-cluster.ts";

const TICK_MS = 10;
const ENOUGH_MS = 1_000;

for (const isOneGone of [true, false]) {
  const who = isOneGone ? "the last two" : "all three";
  test(`${who} stop without an election`, () => {
    for (let offsetMs = 0; offsetMs < 2 * TICK_MS; offsetMs += 1) {
      const cluster = new GuardedCluster(offsetMs + 1);
      const { leader } = cluster;
      const [follower, third] = cluster.followers;
      assert(follower !== undefined && third !== undefined);
      const ended = new Set<number>();
      const stop = ({ id, replica }: typeof leader) => replica.close(4_000, () => ended.add(id));
      if (isOneGone) {
        stop(third);
        cluster.until("the first has stopped", () => ended.size === 1);
        cluster.run(200);
      }
      const linesBefore = cluster.lines.length;
      stop(leader);
      cluster.run(offsetMs);
      stop(follower);
      if (!isOneGone) stop(third);
      cluster.run(ENOUGH_MS);
      const lines = cluster.lines.slice(linesBefore);
      assert.equal(ended.size, 3, `offset ${offsetMs} ms\n${lines.join("\n")}`);
      // A leader that stops first is right to hand over to who does not stop yet.
      const elections = lines.filter((line) => line.includes("won the election"));
      assert.ok(
        elections.length <= (offsetMs === 0 ? 0 : 1),
        `offset ${offsetMs} ms: ${elections}`,
      );
    }
  });
}
