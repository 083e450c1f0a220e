/**
 * The public HTTP/JSON API as one Hono application over a Gateway: which paths exist, and what is
 * said about those that do not. It never listens; http-server.ts does.
 *
 * Each hot route has exactly one handler and there is no middleware: with more, Hono composes
 * promises around every request.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Hono } from "hono";
import { LIMITS } from "../../clients/contract.ts";
import type { Gateway } from "../gateway.ts";
import { errorResponse, internalErrorResponse } from "./error-response.ts";
import { deleteKey, getKey, type KvDeps, putKey } from "./kv-routes.ts";
import { deleteByQuery, getByQuery, putByQuery } from "./list-route.ts";
import type { HttpLogger } from "./logger.ts";
import { closeSession, openSession } from "./session-routes.ts";
import { livez, readyz, status, welcome } from "./status-routes.ts";
import { KEY_PATH, LIST_PATH, SESSION_PATH, SESSIONS_PATH } from "./target.ts";

/** What the adapter hands to every handler: node's own request and response. */
export interface HttpBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

export type App = Hono<{ Bindings: HttpBindings }>;

export interface AppOptions {
  readonly gateway: Gateway;
  readonly logger: HttpLogger;
  /** Of this software, for /v1/status. */
  readonly version: string;
  readonly valueBytesMax?: number | undefined;
}

/** Every path with what it allows; also the list the welcome page shows. */
const ALLOWED_METHODS: ReadonlyMap<string, string> = new Map([
  ["/", "GET, HEAD"],
  [KEY_PATH, "GET, HEAD, PUT, DELETE"],
  [LIST_PATH, "GET, HEAD, PUT, DELETE"],
  [SESSIONS_PATH, "POST"],
  [SESSION_PATH, "DELETE"],
  ["/v1/status", "GET, HEAD"],
  ["/livez", "GET, HEAD"],
  ["/readyz", "GET, HEAD"],
]);

export function createApp(options: AppOptions): App {
  const { gateway, logger } = options;
  const kv: KvDeps = { gateway, valueBytesMax: options.valueBytesMax ?? LIMITS.valueBytesMax };
  const app: App = new Hono({ getPath: (_request, context) => routeOf(context?.env) });

  app.get(KEY_PATH, (c) => getKey(kv, c.env.incoming));
  app.put(KEY_PATH, (c) => putKey(kv, c.env.incoming, c.env.outgoing));
  app.delete(KEY_PATH, (c) => deleteKey(kv, c.env.incoming));

  app.get(LIST_PATH, (c) => getByQuery(kv, c.env.incoming));
  app.put(LIST_PATH, (c) => putByQuery(kv, c.env.incoming, c.env.outgoing));
  app.delete(LIST_PATH, (c) => deleteByQuery(kv, c.env.incoming));

  app.post(SESSIONS_PATH, (c) => openSession(gateway, c.env.incoming, c.env.outgoing));
  app.delete(SESSION_PATH, (c) => closeSession(gateway, c.env.incoming));

  app.get("/v1/status", (c) => status(gateway, options.version, c.env.incoming));
  app.get("/livez", (c) => livez(c.env.incoming));
  app.get("/readyz", (c) => readyz(gateway, c.env.incoming));
  app.get("/", () => welcome(options.version));

  app.notFound((c) => noSuchRoute(routeOf(c.env)));
  app.onError((error) => {
    // The stack goes to the log, never to the client.
    logger.error({ error: error.message, stack: error.stack }, "A request handler failed.");
    return internalErrorResponse();
  });
  return app;
}

/**
 * The route of a request, taken from the target exactly as sent: the parsed URL of a Request has
 * its dot segments resolved, so `/v1/kv/../status` would be another route. All keys share one.
 */
function routeOf(bindings: HttpBindings | undefined): string {
  const target = bindings?.incoming.url ?? "/";
  if (target.startsWith(KEY_PATH)) return KEY_PATH;
  if (target.startsWith(SESSION_PATH)) return SESSION_PATH;
  const questionMark = target.indexOf("?");
  return questionMark === -1 ? target : target.slice(0, questionMark);
}

function noSuchRoute(route: string): Response {
  const allow = ALLOWED_METHODS.get(route);
  if (allow === undefined) {
    return errorResponse("NOT_FOUND", "There is no such route. GET / lists those there are.");
  }
  const message = `This path takes ${allow}.`;
  return errorResponse("METHOD_NOT_ALLOWED", message, { allow });
}
