/**
 * How a request asks for a read, and the one way to run it: synchronously when the gateway grants
 * it at once (stale reads and leases), else with a single promise.
 */
import type { Gateway, ReadRequest } from "../gateway.ts";
import type { KvReader } from "../kv/index.ts";
import type { Used } from "./answer.ts";
import { readRefusedResponse } from "./error-response.ts";
import { booleanParameter, integerParameter, type Query } from "./query.ts";
import { badRequest, RequestRefusal } from "./refusal.ts";

/** Parameters every read takes. */
export const READ_PARAMETERS = ["consistency", "minRevision", "forward"] as const;

/** Shared by all reads that ask for nothing special. */
const DEFAULT_READ: ReadRequest = {
  consistency: "linearizable",
  minRevision: 0,
  forward: true,
};

const REVISIONS = { absent: 0, min: 0, max: Number.MAX_SAFE_INTEGER } as const;

export function parseRead(query: Query): ReadRequest | RequestRefusal {
  if (query.size === 0) return DEFAULT_READ;
  const consistency = query.get("consistency") ?? "linearizable";
  if (consistency !== "linearizable" && consistency !== "stale") {
    return badRequest("The parameter consistency takes linearizable or stale.");
  }
  const minRevision = integerParameter(query, "minRevision", REVISIONS);
  if (minRevision instanceof RequestRefusal) return minRevision;
  const forward = booleanParameter(query, "forward", true);
  if (forward instanceof RequestRefusal) return forward;
  return { consistency, minRevision, forward };
}

/** `answer` runs inside the granted read: it must look at the reader in this turn only. */
export function runRead(
  gateway: Gateway,
  request: ReadRequest,
  answer: (reader: KvReader, used: Used) => Response,
): Response | Promise<Response> {
  let response: Response | undefined;
  let resolve: ((response: Response) => void) | undefined;
  gateway.read(request, (outcome) => {
    response =
      outcome.kind === "granted"
        ? answer(gateway.reader, outcome.used)
        : readRefusedResponse(outcome);
    if (resolve !== undefined) resolve(response);
  });
  if (response !== undefined) return response;
  return new Promise((settle) => {
    resolve = settle;
  });
}
