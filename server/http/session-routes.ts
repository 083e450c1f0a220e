/** Sessions: what makes a client's retries harmless (thesis 6.3). Not a hot path. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Gateway } from "../gateway.ts";
import { encodeCloseSession, encodeOpenSession, SESSION_RANDOM_BYTES } from "../kv/index.ts";
import { checkBody, readBody } from "./body.ts";
import { isSessionId } from "./conditions.ts";
import { booleanParameter, parseQuery } from "./query.ts";
import { badRequest, RequestRefusal } from "./refusal.ts";
import { refuse } from "./refuse.ts";
import { restOfPath, SESSION_PATH, targetOf } from "./target.ts";
import { runWrite } from "./write.ts";

const PARAMETERS: ReadonlySet<string> = new Set(["forward"]);
const NO_KEY = "";
/** A session has nothing to choose yet: a body is empty, or an empty object. */
const BODY_BYTES_MAX = 1_024;

export function openSession(
  gateway: Gateway,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Response | Promise<Response> {
  const forward = parseForward(incoming);
  if (forward instanceof RequestRefusal) return refuse(incoming, forward);
  return new Promise((resolve) => {
    readBody(incoming, outgoing, BODY_BYTES_MAX, (body) => {
      const bytes = checkBody(body, BODY_BYTES_MAX);
      if (bytes instanceof RequestRefusal) return resolve(refuse(incoming, bytes));
      if (!/^\s*(?:\{\s*\})?\s*$/.test(bytes.toString("latin1"))) {
        const message = "A session takes no fields: send no body, or {}.";
        return resolve(refuse(incoming, new RequestRefusal("BAD_JSON", message)));
      }
      const command = encodeOpenSession({ random: randomBytes(SESSION_RANDOM_BYTES) });
      runWrite(gateway, command, forward, NO_KEY, resolve);
    });
  });
}

export function closeSession(
  gateway: Gateway,
  incoming: IncomingMessage,
): Response | Promise<Response> {
  const forward = parseForward(incoming);
  if (forward instanceof RequestRefusal) return refuse(incoming, forward);
  const id = restOfPath(targetOf(incoming), SESSION_PATH);
  if (!isSessionId(id)) return refuse(incoming, badRequest("This is not a session id."));
  return new Promise((resolve) => {
    runWrite(gateway, encodeCloseSession({ id }), forward, NO_KEY, resolve);
  });
}

function parseForward(incoming: IncomingMessage): boolean | RequestRefusal {
  const query = parseQuery(targetOf(incoming), PARAMETERS);
  if (query instanceof RequestRefusal) return query;
  return booleanParameter(query, "forward", true);
}
