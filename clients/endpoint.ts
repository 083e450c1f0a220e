/**
 * Addresses of nodes, and the order in which to ask them. An endpoint is a base URL without a
 * trailing slash, `http://127.0.0.1:8001`.
 */
import { isRefusedByFetch } from "./contract.ts";
import { InvalidArgumentError } from "./errors.ts";

/** Where the next try goes, and whether that node may pass it on to the leader itself. */
export interface Target {
  readonly endpoint: string;
  readonly forward: boolean;
}

/**
 * Chooses an endpoint for each try and learns from how it went. Operations share a chooser; news
 * about an endpoint that the others have left already changes nothing.
 */
export interface EndpointChooser {
  next(): Target;
  /** It does not lead. True when it named a leader that is worth asking at once. */
  redirected(endpoint: string, leader: string | undefined): boolean;
  /** It answered, but cannot serve now. */
  unavailable(endpoint: string): void;
  /** No connection, or no answer. */
  unreachable(endpoint: string): void;
}

/** For requests that any node may answer: stays with one node until that fails. */
export class RoundRobin implements EndpointChooser {
  readonly #endpoints: readonly string[];
  #position: number;

  constructor(endpoints: readonly string[], start = 0) {
    this.#endpoints = endpoints;
    this.#position = start % endpoints.length;
  }

  next(): Target {
    return { endpoint: this.#current(), forward: true };
  }

  redirected(endpoint: string): boolean {
    this.unreachable(endpoint);
    return false;
  }

  unavailable(endpoint: string): void {
    this.unreachable(endpoint);
  }

  unreachable(endpoint: string): void {
    if (endpoint === this.#current()) {
      this.#position = (this.#position + 1) % this.#endpoints.length;
    }
  }

  #current(): string {
    return this.#endpoints[this.#position] ?? "";
  }
}

/** Accepts `http://host:port`, `https://host/base` and plain `host:port`. */
export function parseEndpoints(endpoints: string | readonly string[]): readonly string[] {
  const list = typeof endpoints === "string" ? endpoints.split(",") : endpoints;
  const parsed = list.map((text) => text.trim()).filter((text) => text !== "");
  if (parsed.length === 0) throw new InvalidArgumentError("at least one endpoint is needed");
  return [...new Set(parsed.map(parseEndpoint))];
}

export function parseEndpoint(text: string): string {
  const url = toUrl(text.includes("://") ? text : `http://${text}`);
  const isPlain = url?.search === "" && url.hash === "" && url.username === "";
  if (url === undefined || !isPlain || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError(`not an endpoint: ${text}; expected http://host:port`);
  }
  if (isRefusedByFetch(Number(url.port))) {
    throw new InvalidArgumentError(`${text}: fetch refuses to call port ${url.port}`);
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

const HOST_AND_PORT = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/;

/**
 * A leader's address as a node gave it, reached the way that node was. Anything but `host:port`
 * is ignored: a hint must not be able to send requests to a path or scheme of its choosing.
 */
export function hintedEndpoint(leader: string | undefined, by: string): string | undefined {
  if (leader === undefined || !HOST_AND_PORT.test(leader)) return undefined;
  const scheme = by.slice(0, by.indexOf("://"));
  const url = toUrl(`${scheme}://${leader}`);
  if (url === undefined || url.port === "0" || isRefusedByFetch(Number(url.port))) return undefined;
  return url.origin;
}

function toUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
