/** The machine a run took place on, so that nobody compares figures of two. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";

export interface Machine {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  /** Processes that wanted to run before ours did. */
  readonly loadAverage: number;
  /** One 4 KiB write with fdatasync where the data directories are. */
  readonly syncMicrosMedian: number;
}

const SYNCS = 200;
const BLOCK_BYTES = 4096;

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    node: process.version,
    cpu: processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    syncMicrosMedian: Math.round(measureSync()),
  };
}

/** Overwrites one block again and again: no allocation, only the way to the disk. */
function measureSync(): number {
  const directory = mkdtempSync(join(tmpdir(), "raft-kv-sync-"));
  const file = openSync(join(directory, "block"), "w");
  const block = Buffer.alloc(BLOCK_BYTES, 1);
  const times: number[] = [];
  try {
    for (let index = 0; index <= SYNCS; index += 1) {
      const startedAtMs = performance.now();
      writeSync(file, block, 0, BLOCK_BYTES, 0);
      fdatasyncSync(file);
      // The first one allocates.
      if (index > 0) times.push((performance.now() - startedAtMs) * 1000);
    }
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true, force: true });
  }
  return times.toSorted((a, b) => a - b)[Math.floor(SYNCS / 2)] ?? 0;
}
