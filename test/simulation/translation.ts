/** Intents as the bytes of production commands and back, answers in the words of the history. */
import { type SeededRandom, unreachable } from "../../raft/index.ts";
import type { Command } from "../../server/kv/command-decoder.ts";
import {
  encodeCloseSession,
  encodeDelete,
  encodeOpenSession,
  encodePut,
  type KvRecord,
  type KvResult,
  SESSION_RANDOM_BYTES,
} from "../../server/kv/index.ts";
import type { ObservedRecord, Output } from "../linearizability/index.ts";
import { pick } from "./chance.ts";
import type { Intent } from "./operation.ts";
import { Violation } from "./violation.ts";

export function encode(intent: Intent, requestId: number, random: SeededRandom): Uint8Array {
  switch (intent.kind) {
    case "put": {
      const { key, condition, wantPrevious, stamp: session } = intent;
      const value = Buffer.from(intent.value, "latin1");
      return encodePut({ key, value, type: "text", condition, wantPrevious, requestId, session });
    }
    case "delete": {
      const { key, condition, wantPrevious, stamp: session } = intent;
      return encodeDelete({ key, condition, wantPrevious, requestId, session });
    }
    case "open-session": {
      const bits = Buffer.alloc(SESSION_RANDOM_BYTES);
      for (let at = 0; at < bits.length; at += 1) bits[at] = random.below(256);
      return encodeOpenSession({ random: bits, requestId });
    }
    case "close-session":
      return encodeCloseSession({ id: intent.session, requestId });
  }
}

/** What a command of the production encoder is meant to do. */
export function intentOf(command: Command): Intent {
  switch (command.kind) {
    case "put": {
      const { kind, key, value, condition, wantPrevious, session: stamp } = command;
      return { kind, key, value, condition, wantPrevious, stamp };
    }
    case "delete": {
      const { kind, key, condition, wantPrevious, session: stamp } = command;
      return { kind, key, condition, wantPrevious, stamp };
    }
    case "open-session":
      return { kind: "open-session" };
    case "close-session":
      return { kind: "close-session", session: command.id };
    case "malformed":
      throw new Violation("a malformed command is submitted");
    default:
      return unreachable(command);
  }
}

/** Of a list: everything, all ordinary keys, one of them, the last words. */
export function drawPrefix(random: SeededRandom): string {
  return pick(random, ["", "key ", "key 1", "last "]);
}

/** Undefined for an answer that says that nothing was done. */
export function outputOf(result: KvResult): Output | undefined {
  switch (result.kind) {
    case "put": {
      const { kind, revision, createRevision, version } = result;
      return { kind, revision, createRevision, version };
    }
    case "deleted": {
      const { kind, deleted, revision } = result;
      return { kind, deleted, revision };
    }
    case "condition-failed": {
      const { kind, revision, current } = result;
      return { kind, revision, current: observed(current) };
    }
    default:
      return undefined;
  }
}

export function observed(record: KvRecord | undefined): ObservedRecord | null {
  if (record === undefined) return null;
  const { value, revision, createRevision, version } = record;
  return { value, revision, createRevision, version };
}
