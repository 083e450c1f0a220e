/** The script behind measure-clients.ts: prints one line of JSON. */
import {
  encodeOpenSession,
  encodePut,
  KvStateMachine,
  SESSION_RANDOM_BYTES,
} from "../../server/kv/index.ts";
import { commandEntry } from "../../server/kv/testing/entries.ts";

const VALUE = Buffer.alloc(1_000, "v");

const clients = Number(process.argv[2] ?? "100000");
const machine = new KvStateMachine();
const sessions: string[] = [];
let index = 0;

function apply(command: Uint8Array): void {
  index += 1;
  machine.apply([commandEntry(index, index, command)], (_entry, result) => {
    if (result.kind === "session-opened") sessions.push(result.id);
    else if (result.kind !== "put") throw new Error(`client ${index} was told ${result.kind}`);
  });
}

const empty = heapUsed();
for (let n = 0; n < clients; n += 1) {
  const random = Buffer.alloc(SESSION_RANDOM_BYTES);
  random.writeUInt32LE(n);
  apply(encodeOpenSession({ random }));
}
const opened = heapUsed();
for (const id of sessions) {
  const session = { id, sequence: 1, lowestUnanswered: 1 };
  apply(encodePut({ key: "k", value: VALUE, type: "text", session }));
}
const bytesPerClient = Math.round((heapUsed() - opened) / clients);
const bytesPerSession = Math.round((opened - empty) / clients);
process.stdout.write(`${JSON.stringify({ bytesPerClient, bytesPerSession })}\n`);

function heapUsed(): number {
  if (global.gc === undefined) throw new Error("run with --expose-gc");
  global.gc();
  global.gc();
  return process.memoryUsage().heapUsed;
}
