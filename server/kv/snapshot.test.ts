import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeDelete, encodePut } from "./command.ts";
import { SnapshotFormatError, UnsupportedFeatureLevelError } from "./errors.ts";
import { KvStateMachine } from "./kv-state-machine.ts";
import { CHUNK_BYTES, decodeSummary, encodeSummary } from "./snapshot-format.ts";
import { bytes, captureChunks, LogWriter, restoreFrom } from "./testing/entries.ts";

const EMPTY_STATE_BYTES = 47 + 5 * 10;

function put(key: string, value: Uint8Array): Uint8Array {
  return encodePut({ key, value, type: "binary" });
}

/** Sessions, small values, and values larger than a chunk. */
function filled(): KvStateMachine {
  const machine = new KvStateMachine();
  const log = new LogWriter(machine);
  for (let n = 0; n < 3_000; n += 1) {
    log.apply(put(`key-${(n * 7) % 3_000}`, Buffer.alloc(n % 300, n)));
  }
  log.apply(put("large", Buffer.alloc(1024 * 1024, 0xff)));
  log.apply(put("larger", Buffer.alloc(3 * CHUNK_BYTES, 1)));
  for (let n = 0; n < 20; n += 1) {
    const id = log.openSession();
    for (let sequence = 1; sequence <= n; sequence += 1) {
      const session = { id, sequence, lowestUnanswered: 1 };
      log.apply(encodeDelete({ key: `key-${sequence}`, session }));
    }
  }
  return machine;
}

function smallState(): Buffer {
  const machine = new KvStateMachine();
  const log = new LogWriter(machine);
  log.apply(put("a", bytes("1")));
  log.apply(put("b", bytes("2")));
  const id = log.openSession();
  log.apply(encodeDelete({ key: "c", session: { id, sequence: 1, lowestUnanswered: 1 } }));
  return Buffer.concat(captureChunks(machine));
}

function refuses(state: Uint8Array, pattern: RegExp): void {
  const machine = new KvStateMachine();
  new LogWriter(machine).apply(put("mine", bytes("1")));
  assert.throws(
    () => restoreFrom(machine, [state]),
    (error) => error instanceof SnapshotFormatError && pattern.test(error.message),
  );
  assert.equal(machine.keyCount, 1, "a refused snapshot leaves the state as it was");
}

test("a state goes through a snapshot unchanged, wherever the chunks are cut", () => {
  const machine = filled();
  const chunks = captureChunks(machine);
  assert.ok(chunks.length > 5);
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.length === CHUNK_BYTES));
  assert.ok((chunks.at(-1)?.length ?? 0) <= CHUNK_BYTES);
  const whole = Buffer.concat(chunks);
  const cuts: Uint8Array[] = [];
  for (let at = 0; at < whole.length; at += 999_983) cuts.push(whole.subarray(at, at + 999_983));
  for (const pieces of [chunks, [whole], cuts]) {
    const restored = new KvStateMachine();
    restoreFrom(restored, pieces);
    assert.equal(restored.revision, machine.revision);
    assert.equal(restored.keyCount, machine.keyCount);
    assert.equal(restored.sessionCount, machine.sessionCount);
    assert.deepEqual(captureChunks(restored), chunks);
  }
});

test("a small state may arrive byte by byte, in a buffer that is used again", () => {
  const state = smallState();
  const machine = new KvStateMachine();
  const restore = machine.beginRestore();
  const one = new Uint8Array(1);
  for (const byte of state) {
    one[0] = byte;
    restore.chunk(one);
  }
  assert.equal(machine.keyCount, 0, "nothing is visible before the end");
  restore.end();
  assert.deepEqual(Buffer.concat(captureChunks(machine)), state);
});

test("a pinned state does not see what happens after it", () => {
  const machine = filled();
  const expected = captureChunks(machine);
  const capture = machine.capture();
  const produced: Uint8Array[] = [];
  const log = new LogWriter(machine, 1_000, 10_000);
  let n = 0;
  for (const chunk of capture.chunks()) {
    produced.push(chunk);
    for (let writes = 0; writes < 200; writes += 1) {
      n += 1;
      log.apply(put(`key-${n * 3}`, bytes("changed")));
      log.apply(encodeDelete({ key: `key-${n * 5}` }));
      log.apply(put(`new-${n}`, bytes("new")));
    }
    log.wait(60 * 60 * 1000);
    log.tick();
  }
  capture.release();
  assert.deepEqual(produced, expected);
});

test("a released capture can not be read", () => {
  const capture = new KvStateMachine().capture();
  capture.release();
  assert.throws(() => [...capture.chunks()], /released/);
});

test("a restore replaces everything that was there", () => {
  const machine = filled();
  const chunks = captureChunks(new KvStateMachine());
  assert.equal(Buffer.concat(chunks).length, EMPTY_STATE_BYTES);
  restoreFrom(machine, chunks);
  const { revision, keyCount, sessionCount } = machine;
  assert.deepEqual(
    { revision, keyCount, sessionCount },
    { revision: 0, keyCount: 0, sessionCount: 0 },
  );
  assert.equal(machine.nextDeadline(), undefined);
});

test("the summary names revision, feature level, cluster time and hash", () => {
  const machine = filled();
  const { revision, hash } = machine;
  const summary = { revision, compactedRevision: 0, featureLevel: 0, clusterTime: 1_000, hash };
  assert.deepEqual(decodeSummary(machine.capture().summary), summary);
  assert.throws(() => decodeSummary(new Uint8Array(41)), /summary version/);
  assert.throws(() => decodeSummary(encodeSummary(summary).subarray(1)), SnapshotFormatError);
  assert.throws(() => decodeSummary(new Uint8Array(0)), SnapshotFormatError);
});

test("every cut of a state is refused, and so is what follows its end", () => {
  const state = smallState();
  for (let length = 0; length < state.length; length += 1) {
    refuses(state.subarray(0, length), /ends before/);
  }
  refuses(Buffer.concat([state, Buffer.from([0])]), /follow the end/);
});

test("an unknown version, section or order stops with an error", () => {
  const change = (offset: number, value: number): Buffer => {
    const state = smallState();
    state.writeUInt8(value, offset);
    return state;
  };
  refuses(change(0, 0), /not a state/);
  refuses(change(4, 2), /format version 2/);
  refuses(change(46, 6), /6 sections/);
  refuses(change(47, 2), /unexpected section 2/);
  refuses(change(48, 9), /version 9 of section 1/);
  const last = smallState().length - 10;
  refuses(change(last, 6), /unexpected section 6/);
  refuses(change(last + 2, 1), /section 5 has items/);
  const item = 57 + 4;
  refuses(change(item + 2, "z".charCodeAt(0)), /order of their keys/);
  refuses(change(item + 3, 7), /value type 7/);
});

test("a snapshot of a newer feature level is refused", () => {
  const state = smallState();
  state.writeUInt32LE(1_000, 22);
  state.writeUInt32LE(0, 34);
  const machine = new KvStateMachine();
  assert.throws(() => restoreFrom(machine, [state]), UnsupportedFeatureLevelError);
});
