/** A cluster for scripts: three nodes on fast disks, of which one leads when the script begins. */
import assert from "node:assert/strict";
import { Cluster } from "./cluster.ts";
import type { SimulatedNode } from "./node.ts";
import { drawShape, type Shape } from "./shape.ts";

const PATIENCE_MS = 5_000;
const STEP_MS = 1;

export class Scene {
  readonly cluster: Cluster;

  constructor(seed: number, changes: Partial<Shape> = {}) {
    const drawn = drawShape(seed);
    const timing = { ...drawn.timing, tickMs: 10, leaseDriftBound: undefined };
    const shape = { ...drawn, nodes: 3, diskMsMax: 0.5, usesWire: true, timing, ...changes };
    this.cluster = new Cluster(seed, shape, false);
    this.until("a leader", () => this.cluster.leader !== undefined);
  }

  get leader(): SimulatedNode {
    const { leader } = this.cluster;
    assert.ok(leader !== undefined, "somebody leads");
    return leader;
  }

  until(what: string, isDone: () => boolean): void {
    const { scheduler } = this.cluster;
    const endMs = scheduler.nowMs + PATIENCE_MS;
    while (!isDone() && scheduler.nowMs < endMs) scheduler.runFor(STEP_MS);
    assert.ok(isDone(), `${what} within ${PATIENCE_MS} ms`);
  }

  run(durationMs: number): void {
    this.cluster.scheduler.runFor(durationMs);
  }
}
