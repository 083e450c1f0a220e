/** One attempt to open an upgraded connection to a member. It ends exactly once. */
import type { ClientRequest } from "node:http";
import type { Socket } from "node:net";
import type { Clock, Member } from "../../raft/index.ts";
import { type ChannelName, readAnswer, UPGRADE_PROTOCOL } from "./handshake.ts";
import { type PeerCaller, refusalText } from "./peer-request.ts";
import type { PeerInfo } from "./transport.ts";

export const STREAM_PATH = "/raft/stream";
const HANDSHAKE_TIMEOUT_MS = 2_000;

export type DialOutcome =
  | { readonly kind: "upgraded"; readonly socket: Socket; readonly info: PeerInfo }
  /** It is there, but did not upgrade: answered otherwise, or hung up. */
  | { readonly kind: "refused"; readonly reason: string }
  /** It is not there. */
  | { readonly kind: "failed"; readonly reason: string };

export interface Dial {
  /** Gives the attempt up; `done` is not called any more. */
  cancel(): void;
}

export interface DialTarget {
  readonly caller: PeerCaller;
  readonly clock: Clock;
  readonly member: Member;
  readonly channel: ChannelName;
}

export function dial(target: DialTarget, done: (outcome: DialOutcome) => void): Dial {
  const headers = { connection: "Upgrade", upgrade: UPGRADE_PROTOCOL };
  const path = `${STREAM_PATH}?channel=${target.channel}`;
  const call = { method: "GET", path, headers, agent: false } as const;
  const request = target.caller.call(target.member, call);
  let isOver = false;
  const finish = (outcome: DialOutcome): void => {
    if (isOver) return;
    isOver = true;
    timeout.cancel();
    done(outcome);
  };
  const timeout = target.clock.after(request === undefined ? 0 : HANDSHAKE_TIMEOUT_MS, () => {
    request?.destroy();
    const reason = request === undefined ? "not an address" : "the handshake took too long";
    finish({ kind: "failed", reason });
  });
  if (request !== undefined) await101(request, target.member, finish);
  return {
    cancel: () => {
      isOver = true;
      timeout.cancel();
      request?.destroy();
    },
  };
}

function await101(
  request: ClientRequest,
  member: Member,
  finish: (outcome: DialOutcome) => void,
): void {
  request.on("upgrade", (response, socket) => {
    const info = readAnswer(response.headers);
    if (info === undefined || info.id !== member.id) {
      socket.destroy();
      finish({ kind: "refused", reason: "the answer is not from that member" });
    } else if (member.incarnation !== 0 && info.incarnation !== member.incarnation) {
      socket.destroy();
      finish({ kind: "refused", reason: "the member has another incarnation" });
    } else {
      finish({ kind: "upgraded", socket, info });
    }
  });
  request.on("response", (response) => {
    const reason = refusalText(response);
    response.on("error", () => undefined);
    request.destroy();
    finish({ kind: "refused", reason });
  });
  request.on("error", (error: NodeJS.ErrnoException) => {
    const kind = error.code === "ECONNRESET" ? "refused" : "failed";
    finish({ kind, reason: error.message });
  });
  request.end();
}
