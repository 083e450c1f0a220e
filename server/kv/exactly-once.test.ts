/**
 * Exactly once as a property: clients send every write at least once, over a network that repeats
 * and reorders, to replicas that are rebuilt from snapshots at any moment. However it goes, each
 * write happens once, and every answer to it is the same.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../raft/index.ts";
import { encodePut } from "./command.ts";
import { KvStateMachine } from "./kv-state-machine.ts";
import { bytes, captureChunks, LogWriter, restoreFrom } from "./testing/entries.ts";

const CLIENTS = 4;
const WRITES_EACH = 60;
const IN_FLIGHT_MAX = 8;

interface Client {
  readonly id: string;
  readonly answers: Map<number, string>;
  nextSequence: number;
  lowestUnanswered: number;
}

function writeOf(client: Client, sequence: number): Uint8Array {
  const { id, lowestUnanswered } = client;
  return encodePut({
    key: `${id}/${sequence}`,
    value: bytes(String(sequence)),
    type: "text",
    wantPrevious: true,
    session: { id, sequence, lowestUnanswered },
  });
}

function run(seed: number): void {
  const random = new SeededRandom(seed);
  let machine = new KvStateMachine();
  let log = new LogWriter(machine);
  const clients: Client[] = Array.from({ length: CLIENTS }, () => ({
    id: log.openSession(),
    answers: new Map(),
    nextSequence: 1,
    lowestUnanswered: 1,
  }));
  /** Everything ever sent: any of it may arrive again, at any time. */
  const network: { client: Client; sequence: number; command: Uint8Array }[] = [];

  const isDone = (client: Client): boolean => client.lowestUnanswered > WRITES_EACH;
  while (!clients.every(isDone)) {
    const client = clients[random.below(CLIENTS)];
    assert(client !== undefined);
    const ahead = client.nextSequence - client.lowestUnanswered;
    if (client.nextSequence <= WRITES_EACH && ahead < IN_FLIGHT_MAX) client.nextSequence += 1;
    const open = client.nextSequence - client.lowestUnanswered;
    if (open > 0) {
      const sequence = client.lowestUnanswered + random.below(open);
      network.push({ client, sequence, command: writeOf(client, sequence) });
    }
    const arrived = network[random.below(network.length)];
    if (arrived !== undefined) deliver(arrived);
    if (random.below(40) === 0) restart();
  }
  assert.equal(machine.revision, CLIENTS * WRITES_EACH, `seed ${seed}: a write ran twice or never`);
  assert.equal(machine.keyCount, CLIENTS * WRITES_EACH, `seed ${seed}`);
  for (const { record } of machine.list({ start: "", end: undefined, limit: 1e6, bytesMax: 1e9 })
    .items) {
    assert.equal(record.version, 1, `seed ${seed}`);
  }

  function deliver(message: { client: Client; sequence: number; command: Uint8Array }): void {
    const { client, sequence, command } = message;
    const result = log.apply(command);
    const wasAnswered = sequence < client.lowestUnanswered;
    if (result.kind === "session-conflict") {
      assert.ok(wasAnswered, `seed ${seed}: a write still waited for was refused`);
      return;
    }
    assert(result.kind === "put", `seed ${seed}: ${result.kind}`);
    const answer = `${result.revision} ${result.createRevision} ${result.version}`;
    assert.equal(client.answers.get(sequence) ?? answer, answer, `seed ${seed}: another answer`);
    client.answers.set(sequence, answer);
    // The answer may be lost on its way back; then the client goes on asking.
    if (random.below(3) === 0) return;
    while (client.answers.has(client.lowestUnanswered)) client.lowestUnanswered += 1;
  }

  function restart(): void {
    const restored = new KvStateMachine();
    restoreFrom(restored, captureChunks(machine));
    log = new LogWriter(restored, 1_000, log.index);
    machine = restored;
  }
}

test("each write happens exactly once under repeats, reordering and restarts", () => {
  for (let seed = 1; seed <= 30; seed += 1) run(seed);
});
