/**
 * Addresses as people write them: `host:port`, and whole clusters on one line. Parsing only; what
 * an address is used for is not known here.
 */

export interface HostPort {
  /** A name or an IP address; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
}

export interface MemberAddresses {
  readonly id: number;
  readonly peer: string;
  readonly client: string;
}

const PORT_MAX = 65_535;

/** `127.0.0.1:8001`, `localhost:8001`, `[::1]:8001`; undefined when it is none of these. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/u.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > PORT_MAX) return undefined;
  return { host, port };
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What this machine alone can reach. A name other than `localhost` may point anywhere. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/u.test(host);
}

/** `1=127.0.0.1:9001/127.0.0.1:8001,2=…`, each ID=PEER/CLIENT; undefined when malformed. */
export function parseCluster(text: string): readonly MemberAddresses[] | undefined {
  const members: MemberAddresses[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*(\d+)=([^/]+)\/([^/]+?)\s*$/u.exec(part);
    const [, id, peer, client] = match ?? [];
    if (id === undefined || peer === undefined || client === undefined) return undefined;
    members.push({ id: Number(id), peer, client });
  }
  return members;
}

export function formatCluster(members: readonly MemberAddresses[]): string {
  return members.map(({ id, peer, client }) => `${id}=${peer}/${client}`).join(",");
}
