/** Snapshot files as another node of the cluster would send them. */
import assert from "node:assert/strict";
import { openStorage } from "../durable-storage.ts";
import { ManualClock } from "./manual-clock.ts";
import { CLUSTER, DIRECTORY, describe, stateOf } from "./scripted-run.ts";
import { SimulatedFileSystem } from "./simulated-file-system.ts";

export function donateSnapshot(index: number, term: number, clusterId = CLUSTER): Buffer {
  const fileSystem = new SimulatedFileSystem();
  const storage = openStorage({
    directory: DIRECTORY,
    fileSystem,
    clock: new ManualClock(),
    clusterId,
    nodeId: 2,
    mintIncarnation: () => 9,
    onFailure: (error) => assert.fail(error),
  });
  const chunks = stateOf(index)[Symbol.iterator]();
  let isSaved = false;
  storage.saveSnapshot(describe(index, term, 0), chunks, (error) => {
    assert.equal(error, undefined);
    isSaved = true;
  });
  fileSystem.run();
  assert.ok(isSaved);
  const source = storage.openSnapshot();
  assert.ok(source !== undefined);
  const pieces: Uint8Array[] = [];
  const more = (): void => {
    source.read((error, bytes) => {
      assert.equal(error, undefined);
      if (bytes === undefined) return;
      pieces.push(bytes);
      more();
    });
  };
  more();
  fileSystem.run();
  source.close();
  return Buffer.concat(pieces);
}
