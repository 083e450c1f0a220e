/**
 * The one way to run a write: hand the encoded command to the gateway, once, and say what became
 * of it. Every result a command can have is turned into its answer here.
 */

import { unreachable } from "../../raft/index.ts";
import type { Gateway } from "../gateway.ts";
import { type ByteString, type KvResult, keyToJsonFields, recordToJson } from "../kv/index.ts";
import { jsonAnswer } from "./answer.ts";
import { errorResponse, internalErrorResponse, writeFailedResponse } from "./error-response.ts";

/** `key` is empty for a command that is not about one key. */
export function runWrite(
  gateway: Gateway,
  command: Uint8Array,
  forward: boolean,
  key: ByteString,
  resolve: (response: Response) => void,
): void {
  gateway.submit(command, forward, (outcome) => {
    resolve(
      outcome.kind === "applied" ? resultAnswer(outcome.result, key) : writeFailedResponse(outcome),
    );
  });
}

function resultAnswer(result: KvResult, key: ByteString): Response {
  switch (result.kind) {
    case "put":
      return jsonAnswer(
        `{${keyToJsonFields(key)},"revision":${result.revision},"createRevision":` +
          `${result.createRevision},"version":${result.version}${previousJson(result, key)}}`,
      );
    case "deleted":
      return jsonAnswer(
        `{"deleted":${result.deleted},"revision":${result.revision}` +
          `${previousJson(result, key)}}`,
      );
    case "condition-failed": {
      const { current } = result;
      const currentJson = current === undefined ? "null" : recordToJson(key, current);
      return errorResponse("CONDITION_FAILED", "The condition does not hold; nothing changed.", {
        moreJson: `"current":${currentJson},"revision":${result.revision}`,
      });
    }
    case "session-opened":
      return jsonAnswer(JSON.stringify({ id: result.id, ttlMs: result.ttlMs }), 201);
    case "session-closed":
      return jsonAnswer('{"closed":true}');
    case "session-expired":
      return errorResponse(
        "SESSION_EXPIRED",
        "The session is unknown or expired; the write was not executed. Open a new session.",
      );
    case "session-conflict":
      return errorResponse(
        "SESSION_CONFLICT",
        "This sequence was used for another write, or its answer is forgotten. Nothing changed.",
      );
    case "sessions-full":
      return errorResponse("SESSIONS_FULL", "All sessions are taken. Try again later.");
    case "malformed":
      // We encoded it: a bug of this node, not of the client.
      return internalErrorResponse();
    default:
      return unreachable(result);
  }
}

/** A repeated command is answered without the record before: it was not remembered. */
function previousJson(
  result: Extract<KvResult, { kind: "put" | "deleted" }>,
  key: ByteString,
): string {
  if (!("previous" in result)) return "";
  const { previous } = result;
  return `,"previous":${previous === undefined ? "null" : recordToJson(key, previous)}`;
}
