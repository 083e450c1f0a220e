/**
 * What every request must satisfy before it is routed: sizes, Host, origin, body encoding. Runs
 * before a byte of the body is read. Knows nothing of routes and keys.
 *
 * Browsers are the reason for two rules. A page elsewhere may point its own name at 127.0.0.1
 * (DNS rebinding), so a loopback server answers only to names it knows; and a page may send simple
 * cross-site requests without asking (CSRF), so a write that names a foreign Origin is refused.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { LIMITS } from "../../clients/contract.ts";
import { badRequest, RequestRefusal, tooLarge } from "./refusal.ts";

export interface GateOptions {
  /** The address the server listens on; a loopback one turns the Host check on. */
  readonly bindAddress: string;
  /** More host names to answer to, without port. */
  readonly allowedHosts: readonly string[];
  readonly bodyBytesMax: number;
}

const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"] as const;

export class RequestGate {
  readonly #knownHosts: ReadonlySet<string> | undefined;
  readonly #bodyBytesMax: number;
  /** Most requests of a node carry the same Host: it is parsed once. */
  #lastGoodHost: string | undefined;

  constructor(options: GateOptions) {
    this.#knownHosts = isLoopback(options.bindAddress)
      ? new Set([...LOOPBACK_NAMES, ...options.allowedHosts.map((name) => name.toLowerCase())])
      : undefined;
    this.#bodyBytesMax = options.bodyBytesMax;
  }

  /** The reason to refuse; undefined lets the request pass. May rewrite `incoming.url`. */
  check(incoming: IncomingMessage): RequestRefusal | undefined {
    return (
      checkSizes(incoming) ??
      normalizeTarget(incoming) ??
      this.#checkHost(incoming) ??
      this.#checkBody(incoming) ??
      checkOrigin(incoming)
    );
  }

  #checkHost(incoming: IncomingMessage): RequestRefusal | undefined {
    const { host } = incoming.headers;
    if (host === undefined) {
      // Browsers cannot speak HTTP/1.0, so nothing is rebound by letting it through.
      return incoming.httpVersionMinor === 0
        ? undefined
        : badRequest("The Host header is missing.");
    }
    if (host === this.#lastGoodHost) return undefined;
    const name = hostName(host);
    if (name === undefined) return badRequest("The Host header is not a host with a port.");
    if (this.#knownHosts !== undefined && !this.#knownHosts.has(name) && !isLoopback(name)) {
      return new RequestRefusal(
        "UNKNOWN_HOST",
        "This node does not answer to that Host. Use localhost, or configure the name.",
      );
    }
    this.#lastGoodHost = host;
    return undefined;
  }

  #checkBody(incoming: IncomingMessage): RequestRefusal | undefined {
    const { headers } = incoming;
    const length = headers["content-length"];
    if (length !== undefined && Number(length) > this.#bodyBytesMax) {
      return tooLarge(this.#bodyBytesMax);
    }
    if (headers.expect !== undefined && !/^100-continue$/i.test(headers.expect)) {
      return badRequest("The only expectation known here is Expect: 100-continue.");
    }
    const encoding = headers["content-encoding"];
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      return new RequestRefusal(
        "UNSUPPORTED_ENCODING",
        "Bodies are taken as they are; send them without Content-Encoding.",
      );
    }
    return undefined;
  }
}

function checkSizes(incoming: IncomingMessage): RequestRefusal | undefined {
  const { rawHeaders } = incoming;
  let headerBytes = 0;
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const value = rawHeaders[index + 1] ?? "";
    headerBytes += name.length + value.length + 4;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  if (rawHeaders.length > 2 * LIMITS.headersMax || headerBytes > LIMITS.headerBytesMax) {
    return new RequestRefusal(
      "HEADERS_TOO_LARGE",
      `A request has at most ${LIMITS.headersMax} headers of ${LIMITS.headerBytesMax} bytes.`,
    );
  }
  if (hosts > 1) return badRequest("The Host header is given twice.");
  if ((incoming.url ?? "").length > LIMITS.urlBytesMax) {
    return new RequestRefusal("URL_TOO_LONG", `A URL has at most ${LIMITS.urlBytesMax} bytes.`);
  }
  return undefined;
}

/**
 * Leaves a target that begins with `/` and has no backslash: the adapter refuses both, although a
 * proxy may send the absolute form and a key may contain anything. `%5C` decodes to the same key.
 */
function normalizeTarget(incoming: IncomingMessage): RequestRefusal | undefined {
  let target = incoming.url ?? "";
  if (!target.startsWith("/")) {
    const absolute = /^https?:\/\/([^/?#]+)(.*)$/is.exec(target);
    if (absolute === null) return badRequest("The request target is not a path.");
    // RFC 9112 (3.2.2): the authority of an absolute target replaces the Host header.
    incoming.headers.host = absolute[1];
    const path = absolute[2] ?? "";
    target = path.startsWith("/") ? path : `/${path}`;
    incoming.url = target;
  }
  if (target.includes("\\")) incoming.url = target.replaceAll("\\", "%5C");
  return undefined;
}

function checkOrigin(incoming: IncomingMessage): RequestRefusal | undefined {
  const { origin } = incoming.headers;
  if (origin === undefined) return undefined;
  const { method } = incoming;
  if (method === "GET" || method === "HEAD") return undefined;
  // A preflight asks for another site, whatever it claims; the answer has no Access-Control-*.
  const isPreflight =
    method === "OPTIONS" && incoming.headers["access-control-request-method"] !== undefined;
  const authority = /^https?:\/\/(.+)$/i.exec(origin)?.[1];
  if (!isPreflight && authority?.toLowerCase() === incoming.headers.host?.toLowerCase()) {
    return undefined;
  }
  return new RequestRefusal("FORBIDDEN", "Requests on behalf of other web sites are not accepted.");
}

/** The lower-case name of `name:port`, brackets kept; undefined when it is neither. */
function hostName(host: string): string | undefined {
  const match = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(host);
  return match?.[1]?.toLowerCase();
}

/** An address literal of this machine, or its one well-known name. */
function isLoopback(name: string): boolean {
  const address = name.startsWith("[") ? name.slice(1, -1) : name;
  if (isIP(address) === 4) return address.startsWith("127.");
  return address === "::1" || address === "localhost";
}
