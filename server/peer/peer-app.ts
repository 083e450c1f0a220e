/**
 * The routes of the peer port. Hono decides who may come in; what comes in is handed on. No client
 * route answers here, and everything that is not one of the three routes is 404.
 *
 * A stream is opened by an Upgrade. Hono can not answer 101, so the route fills a slot that the
 * server's `upgrade` listener left in the environment, and answers 204.
 */
import type { IncomingMessage } from "node:http";
import { type Context, Hono, type Next } from "hono";
import { InvariantError } from "../../raft/index.ts";
import { STREAM_PATH } from "./dial.ts";
import {
  answerHeaders,
  type ChannelName,
  type Handshake,
  type HandshakeGate,
  type LocalPeer,
  UPGRADE_PROTOCOL,
} from "./handshake.ts";
import { receiveMessages } from "./messages-body.ts";
import type { PeerMessage } from "./peer-message.ts";
import { REFUSAL_HEADER } from "./peer-request.ts";
import { MESSAGES_PATH } from "./post-carrier.ts";
import { SNAPSHOT_PATH } from "./snapshot-sender.ts";

export interface UpgradeSlot {
  accepted: { readonly handshake: Handshake; readonly channel: ChannelName } | undefined;
}

interface PeerEnv {
  Bindings: { readonly incoming: IncomingMessage; readonly upgrade?: UpgradeSlot };
  Variables: { handshake: Handshake };
}

type PeerContext = Context<PeerEnv>;

/** How a request ended that was not simply taken. */
export interface PeerRefusal {
  readonly status: 400 | 403 | 404 | 411 | 413 | 415 | 426 | 500 | 503;
  readonly code: string;
}

export interface PeerAppDependencies {
  readonly self: LocalPeer;
  readonly gate: HandshakeGate;
  isFresh(): boolean;
  message(message: PeerMessage): void;
  /** Takes the whole body; undefined when the snapshot was verified and handed on. */
  snapshot(incoming: IncomingMessage, handshake: Handshake): Promise<PeerRefusal | undefined>;
}

export type PeerApp = Hono<PeerEnv>;

export function createPeerApp(dependencies: PeerAppDependencies): PeerApp {
  const { self, gate } = dependencies;
  const app = new Hono<PeerEnv>({
    // The path exactly as it was sent: a Request would normalise it.
    getPath: (_request, options) => pathOf(options?.env),
  });

  app.use(async (context: PeerContext, next: Next) => {
    await next();
    const headers = answerHeaders(self, dependencies.isFresh());
    for (const [name, value] of Object.entries(headers)) context.header(name, value);
    context.header("cache-control", "no-store");
  });

  const shakeHands = async (context: PeerContext, next: Next): Promise<Response | undefined> => {
    const check = gate.check(context.env.incoming.headers);
    if (check.kind === "refused") return refuse(context, check);
    context.set("handshake", check.handshake);
    await next();
    return undefined;
  };

  app.get(STREAM_PATH, shakeHands, (context) => {
    const slot = context.env.upgrade;
    if (slot === undefined || context.env.incoming.headers.upgrade !== UPGRADE_PROTOCOL) {
      context.header("upgrade", UPGRADE_PROTOCOL);
      return refuse(context, { status: 426, code: "UPGRADE_REQUIRED" });
    }
    const channel = channelOf(context.env.incoming.url);
    if (channel === undefined) return refuse(context, { status: 400, code: "BAD_CHANNEL" });
    slot.accepted = { handshake: context.get("handshake"), channel };
    return context.body(null, 204);
  });

  app.post(MESSAGES_PATH, plainBody, shakeHands, async (context) => {
    const outcome = await receiveMessages(context.env.incoming, context.get("handshake"));
    if (outcome.kind === "refused") return refuse(context, outcome);
    for (const message of outcome.messages) dependencies.message(message);
    return context.body(null, 204);
  });

  app.post(SNAPSHOT_PATH, plainBody, shakeHands, async (context) => {
    const refusal = await dependencies.snapshot(context.env.incoming, context.get("handshake"));
    return refusal === undefined ? context.body(null, 204) : refuse(context, refusal);
  });

  app.notFound((context) => refuse(context, { status: 404, code: "NOT_FOUND" }));
  app.onError((error, context) => {
    // A broken invariant ends the process (a framework must not turn it into an answer).
    if (error instanceof InvariantError) process.nextTick(rethrow, error);
    return refuse(context, { status: 500, code: "INTERNAL" });
  });
  return app;
}

/** A body as it is: neither behind an Upgrade (h2c) nor compressed. */
async function plainBody(context: PeerContext, next: Next): Promise<Response | undefined> {
  const { incoming, upgrade } = context.env;
  if (upgrade !== undefined) return refuse(context, { status: 400, code: "NO_UPGRADE_HERE" });
  if (incoming.headers["content-encoding"] !== undefined) {
    return refuse(context, { status: 415, code: "UNSUPPORTED_ENCODING" });
  }
  await next();
  return undefined;
}

/** After a refusal the rest of a body is not worth reading: the connection ends. */
function refuse(context: Context, refusal: PeerRefusal): Response {
  context.header(REFUSAL_HEADER, refusal.code);
  context.header("connection", "close");
  return context.json({ error: { code: refusal.code } }, refusal.status);
}

function pathOf(env: PeerEnv["Bindings"] | undefined): string {
  const url = env?.incoming.url ?? "/";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

function channelOf(url: string | undefined): ChannelName | undefined {
  switch (url) {
    case `${STREAM_PATH}?channel=control`:
      return "control";
    case `${STREAM_PATH}?channel=entries`:
      return "entries";
    default:
      return undefined;
  }
}

function rethrow(error: Error): never {
  throw error;
}
