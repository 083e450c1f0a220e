/**
 * Successful answers, built the one way the adapter sends fast: a string or bytes, and a fresh
 * plain object of headers (a Headers object, or one set twice, costs several microseconds).
 */
import type { ByteString, KvRecord, ValueType } from "../kv/index.ts";

/** Why the reader may trust what it got: confirmed by a quorum, by a lease, or by nothing. */
export type Used = "read-index" | "lease" | "stale";

export function jsonAnswer(body: string, status = 200): Response {
  return new Response(body, {
    status,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store", Vary: "Accept" },
  });
}

export function readAnswer(body: string, used: Used): Response {
  return new Response(body, {
    status: 200,
    headers: {
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      Vary: "Accept",
      "X-Raft-Kv-Consistency": used,
    },
  });
}

export function recordAnswer(body: string, revision: number, used: Used): Response {
  return new Response(body, {
    status: 200,
    headers: {
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      Vary: "Accept",
      ETag: entityTag(revision),
      "X-Raft-Kv-Consistency": used,
    },
  });
}

const RAW_TYPES: Readonly<Record<ValueType, string>> = {
  json: "application/json",
  text: "text/plain; charset=utf-8",
  binary: "application/octet-stream",
};

/** The bytes of a value. Never sniffed: a stored page must not run as this origin's script. */
export function rawAnswer(record: KvRecord, asOctets: boolean, used: Used): Response {
  return new Response(bytesOf(record.value), {
    status: 200,
    headers: {
      "Content-Type": asOctets ? RAW_TYPES.binary : RAW_TYPES[record.type],
      "Cache-Control": "no-store",
      Vary: "Accept",
      "X-Content-Type-Options": "nosniff",
      ETag: entityTag(record.revision),
      "X-Raft-Kv-Consistency": used,
    },
  });
}

export function notModifiedAnswer(revision: number, used: Used): Response {
  return new Response(null, {
    status: 304,
    headers: {
      "Cache-Control": "no-store",
      Vary: "Accept",
      ETag: entityTag(revision),
      "X-Raft-Kv-Consistency": used,
    },
  });
}

function entityTag(revision: number): string {
  return `"${revision}"`;
}

function bytesOf(value: ByteString): Buffer {
  return Buffer.from(value, "latin1");
}
