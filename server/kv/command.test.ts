import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { encodeCloseSession, encodeDelete, encodeOpenSession, encodePut } from "./command.ts";
import { decodeCommand } from "./command-decoder.ts";
import { isSupportedCommand } from "./command-layout.ts";
import { UnsupportedCommandError } from "./errors.ts";
import { bytes } from "./testing/entries.ts";

const SESSION = { id: "a-b-c", sequence: 2 ** 40 + 5, lowestUnanswered: 2 ** 40 + 1 };
const MALFORMED = { kind: "malformed" };

test("a put comes back with every field", () => {
  const data = encodePut({
    key: "\x00key\xff",
    value: new Uint8Array([0, 1, 255]),
    type: "binary",
    condition: { kind: "revision", revision: 2 ** 33 + 1 },
    wantPrevious: true,
    origin: { nodeId: 3, incarnation: 2 ** 52 },
    requestId: 99,
    principal: "ann",
    session: SESSION,
  });
  const { fingerprint, ...command } = { fingerprint: 0, ...decodeCommand(data) };
  assert.ok(fingerprint > 0 && Number.isSafeInteger(fingerprint));
  assert.deepEqual(command, {
    kind: "put",
    key: "\x00key\xff",
    value: "\x00\x01\xff",
    type: "binary",
    condition: { kind: "revision", revision: 2 ** 33 + 1 },
    wantPrevious: true,
    principal: "ann",
    session: SESSION,
  });
});

test("a delete, an opened and a closed session come back", () => {
  assert.deepEqual(
    decodeCommand(encodeDelete({ key: bytes("k"), condition: { kind: "exists" } })),
    {
      kind: "delete",
      key: "k",
      condition: { kind: "exists" },
      wantPrevious: false,
      principal: "",
      session: undefined,
      fingerprint: 0,
    },
  );
  const random = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 255]);
  assert.deepEqual(decodeCommand(encodeOpenSession({ random })), {
    kind: "open-session",
    random: "00010203040506ff",
    principal: "",
  });
  assert.deepEqual(decodeCommand(encodeCloseSession({ id: "a-b-c" })), {
    kind: "close-session",
    id: "a-b-c",
    principal: "",
  });
});

test("the fingerprint tells bodies apart and ignores who asks and waits", () => {
  const fingerprintOf = (data: Uint8Array): number => {
    const command = decodeCommand(data);
    assert(command.kind === "put" || command.kind === "delete");
    return command.fingerprint;
  };
  const put = { key: "k", value: bytes("v"), type: "text", session: SESSION } as const;
  const base = fingerprintOf(encodePut(put));
  const origin = { nodeId: 2, incarnation: 4 };
  assert.equal(fingerprintOf(encodePut({ ...put, origin, requestId: 7 })), base);
  assert.equal(fingerprintOf(encodePut({ ...put, wantPrevious: true })), base);
  assert.notEqual(fingerprintOf(encodePut({ ...put, value: bytes("w") })), base);
  assert.notEqual(fingerprintOf(encodePut({ ...put, key: "l" })), base);
  assert.notEqual(fingerprintOf(encodePut({ ...put, type: "binary" })), base);
  assert.notEqual(fingerprintOf(encodePut({ ...put, condition: { kind: "absent" } })), base);
  const conditions = encodeDelete({ key: "k", session: SESSION });
  assert.notEqual(fingerprintOf(conditions), base);
});

test("every cut and every appended byte makes a command malformed", () => {
  const commands = [
    encodePut({ key: "key", value: bytes("value"), type: "text", session: SESSION }),
    encodeDelete({ key: "key", principal: "ann" }),
    encodeOpenSession({ random: new Uint8Array(8) }),
    encodeCloseSession({ id: "a-b-c" }),
  ];
  for (const command of commands) {
    for (let length = 0; length < command.length; length += 1) {
      assert.deepEqual(decodeCommand(command.subarray(0, length)), MALFORMED);
    }
    assert.deepEqual(decodeCommand(Buffer.concat([command, Buffer.from([0])])), MALFORMED);
  }
});

test("limits of keys and numbers hold inside the log too", () => {
  const value = bytes("v");
  assert.deepEqual(decodeCommand(encodePut({ key: "", value, type: "text" })), MALFORMED);
  const long = "k".repeat(1025);
  assert.deepEqual(decodeCommand(encodePut({ key: long, value, type: "text" })), MALFORMED);
  assert.deepEqual(decodeCommand(encodeDelete({ key: long })), MALFORMED);
  const unsafe = encodeDelete({ key: "k", session: SESSION });
  unsafe.fill(0xff, 29 + SESSION.id.length, 29 + SESSION.id.length + 8);
  assert.deepEqual(decodeCommand(unsafe), MALFORMED);
  const zero = encodeDelete({ key: "k", session: { ...SESSION, sequence: 0 } });
  assert.deepEqual(decodeCommand(zero), MALFORMED);
});

test("a version, kind or flag of another build stops the node", () => {
  const known = encodeDelete({ key: "k" });
  assert.ok(isSupportedCommand(known));
  for (const [offset, value] of [
    [0, 2],
    [0, 0],
    [1, 5],
    [1, 0],
    [2, 2],
  ] as const) {
    const foreign = Buffer.from(known);
    foreign.writeUInt8(value, offset);
    assert.ok(!isSupportedCommand(foreign));
    assert.throws(() => decodeCommand(foreign), UnsupportedCommandError);
  }
});

test("damaged commands decode to something or stop the node, and never do anything else", () => {
  const seed = 5;
  const random = new SeededRandom(seed);
  const original = encodePut({ key: "key", value: bytes("value"), type: "text", session: SESSION });
  for (let round = 0; round < 5_000; round += 1) {
    const damaged = Buffer.from(original);
    for (let flips = 1 + random.below(4); flips > 0; flips -= 1) {
      damaged.writeUInt8(random.below(256), random.below(damaged.length));
    }
    try {
      assert.ok(decodeCommand(damaged).kind.length > 0);
    } catch (error) {
      assert.ok(error instanceof UnsupportedCommandError, `seed ${seed}, round ${round}: ${error}`);
    }
  }
});

test("commands in any view of memory decode alike", () => {
  const command = encodePut({ key: "key", value: bytes("value"), type: "text" });
  const larger = new Uint8Array(command.length + 9);
  larger.set(command, 4);
  assert.deepEqual(decodeCommand(larger.subarray(4, 4 + command.length)), decodeCommand(command));
});
