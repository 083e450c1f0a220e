/**
 * What a node says about itself: to people (`/`), to programs (`/v1/status`), and to whatever
 * restarts or routes around it (`/livez`, `/readyz`). None of it asks the cluster anything.
 */
import type { IncomingMessage } from "node:http";
import type { StatusResponse } from "../../clients/contract.ts";
import { NO_NODE } from "../../raft/index.ts";
import type { Gateway, RepairStatus } from "../gateway.ts";
import { jsonAnswer } from "./answer.ts";
import { errorResponse, readRefusedResponse } from "./error-response.ts";
import { parseQuery } from "./query.ts";
import { RequestRefusal } from "./refusal.ts";
import { refuse } from "./refuse.ts";
import { targetOf } from "./target.ts";

const NO_PARAMETERS: ReadonlySet<string> = new Set();

export function status(gateway: Gateway, version: string, incoming: IncomingMessage): Response {
  const query = parseQuery(targetOf(incoming), NO_PARAMETERS);
  if (query instanceof RequestRefusal) return refuse(incoming, query);
  const now = gateway.status();
  const body: StatusResponse = {
    nodeId: now.nodeId,
    clusterId: now.clusterId,
    version,
    state: now.state,
    ...repairBody(now.repair),
    role: now.role,
    term: now.term,
    leaderId: now.leaderId === NO_NODE ? null : now.leaderId,
    leader: gateway.leader()?.clientAddress ?? null,
    revision: now.revision,
    commitIndex: now.commitIndex,
    lastApplied: now.lastApplied,
    lastLogIndex: now.lastLogIndex,
    snapshotIndex: now.snapshotIndex,
    hash: { index: now.lastApplied, ...now.hash },
    clusterTime: now.clusterTime,
    members: now.members.map(({ id, role, peerAddress, clientAddress }) => ({
      id,
      role,
      peerAddress,
      clientAddress,
    })),
    progress: now.progress.map((progress) => ({ ...progress })),
    storage: now.storage,
    uptimeMs: Math.floor(now.uptimeMs),
  };
  return jsonAnswer(JSON.stringify(body));
}

/** A copy that may go into a public answer; nothing when there is no damage. */
function repairBody(repair: RepairStatus | undefined): Pick<StatusResponse, "repair"> {
  if (repair === undefined) return {};
  const { damage, missingEntries, helpers } = repair;
  return { repair: { damage: [...damage], missingEntries, helpers: [...helpers] } };
}

/** The process answers; nothing more is claimed. */
export function livez(incoming: IncomingMessage): Response {
  const query = parseQuery(targetOf(incoming), NO_PARAMETERS);
  return query instanceof RequestRefusal ? refuse(incoming, query) : jsonAnswer('{"live":true}');
}

/** Green only while a write sent here can be expected to commit. */
export function readyz(gateway: Gateway, incoming: IncomingMessage): Response {
  const query = parseQuery(targetOf(incoming), NO_PARAMETERS);
  if (query instanceof RequestRefusal) return refuse(incoming, query);
  if (gateway.isReady()) return jsonAnswer('{"ready":true}');
  const { state, stopping, caughtUp } = gateway.status();
  const leader = gateway.leader();
  if (state === "repairing" || state === "disputed" || state === "fenced") {
    return readRefusedResponse({ kind: "refused", reason: state, leader });
  }
  if (stopping) return readRefusedResponse({ kind: "refused", reason: "stopping", leader });
  if (leader === undefined) {
    return readRefusedResponse({ kind: "refused", reason: "no-leader", leader });
  }
  if (!caughtUp) return readRefusedResponse({ kind: "refused", reason: "starting", leader });
  return errorResponse("OVERLOADED", "A write sent now cannot be expected to commit.");
}

const ROUTES = [
  "PUT    /v1/kv/{key}           write the body; If-Match, If-None-Match: *, ?prev=true",
  "GET    /v1/kv/{key}           the record; ?raw, ?consistency=stale, ?minRevision=N",
  "DELETE /v1/kv/{key}           delete it; If-Match, ?prev=true",
  "GET    /v1/kv?prefix=         list; or ?start=&end=, limit, cursor, keys=true",
  "POST   /v1/sessions           open a session, so that retries apply once",
  "DELETE /v1/sessions/{id}      close it",
  "GET    /v1/status             this node as it sees itself and the cluster",
  "GET    /livez, /readyz        is it up; can it take writes",
] as const;

export function welcome(version: string): Response {
  const body = `raft-kv ${version}, a replicated key-value store\n\n${ROUTES.join("\n")}\n`;
  return new Response(body, {
    status: 200,
    headers: {
      "Content-Type": "text/plain; charset=utf-8",
      "Cache-Control": "no-store",
      Vary: "Accept",
    },
  });
}
