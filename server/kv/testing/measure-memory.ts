/**
 * Prints, as one line of JSON, what a number of small keys costs: bytes of heap and buffers over
 * key and value for each, and milliseconds to apply, to serialise and to restore.
 *
 *     node --expose-gc --import tsx server/kv/testing/measure-memory.ts 1000000
 */
import type { CommandEntry } from "../../../raft/index.ts";
import { encodePut } from "../command.ts";
import { KvStateMachine } from "../kv-state-machine.ts";
import { bytes, captureChunks, commandEntry, restoreFrom } from "./entries.ts";

const BATCH = 1_000;

const count = Number(process.argv[2] ?? "1000000");
const keyFor = (n: number): string => `user:${String(n).padStart(8, "0")}`;
const valueFor = (n: number): string => `value-${String(n).padStart(10, "0")}`;
const payloadBytes = keyFor(0).length + valueFor(0).length;

const before = liveBytes();
const machine = new KvStateMachine();
let applyMs = 0;
for (let from = 0; from < count; from += BATCH) {
  const entries = batchFrom(from);
  const started = performance.now();
  machine.apply(entries, () => {});
  applyMs += performance.now() - started;
}
const applied = liveBytes() - before;

let started = performance.now();
const chunks = captureChunks(machine);
const captureMs = performance.now() - started;

const beforeRestore = liveBytes();
const restored = new KvStateMachine();
started = performance.now();
restoreFrom(restored, chunks);
const restoreMs = performance.now() - started;
const restoredBytes = liveBytes() - beforeRestore;

const report = {
  keys: machine.keyCount,
  keysRestored: restored.keyCount,
  overheadBytes: round(applied / count - payloadBytes),
  overheadRestoredBytes: round(restoredBytes / count - payloadBytes),
  applyMicroseconds: round((applyMs * 1000) / count),
  captureMs: round(captureMs),
  restoreMs: round(restoreMs),
  snapshotBytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

/** Keys in an order that splits leaves everywhere, as real ones arrive. */
function batchFrom(from: number): CommandEntry[] {
  const entries: CommandEntry[] = [];
  for (let n = from; n < Math.min(from + BATCH, count); n += 1) {
    const id = (n * 7919) % count;
    const data = encodePut({ key: keyFor(id), value: bytes(valueFor(id)), type: "text" });
    entries.push(commandEntry(n + 1, n, data));
  }
  return entries;
}

function liveBytes(): number {
  if (global.gc === undefined) throw new Error("run with --expose-gc");
  global.gc();
  global.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
