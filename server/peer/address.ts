/** `host:port` as configurations carry it; an IPv6 literal stands in brackets. */

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Undefined when the text is not an address. */
export function parseAddress(address: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port <= 65535)) return undefined;
  return { host, port };
}
