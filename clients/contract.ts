/**
 * The public contract: paths, limits, error codes, response shapes. The server and every client
 * build on it; it imports nothing but zod and never the server.
 */
import * as z from "zod";

export const API_PREFIX = "/v1";

/** Limits every node enforces; the value limit can be configured, the others are fixed. */
export const LIMITS = {
  keyBytesMax: 1024,
  valueBytesMax: 1024 * 1024,
  urlBytesMax: 8 * 1024,
  headerBytesMax: 8 * 1024,
  headersMax: 64,
  listItemsDefault: 1000,
  listItemsMax: 10_000,
  listBytesMax: 4 * 1024 * 1024,
  jsonDepthMax: 32,
  minRevisionWaitMsMax: 10_000,
} as const;

/** Whether the request took effect. Unknown is never called a failure. */
export const outcomeSchema = z.enum(["not_applied", "unknown", "applied"]);
export type Outcome = z.infer<typeof outcomeSchema>;

/**
 * Every error code with its HTTP status, whether the same request may simply be sent again, and
 * its outcome for a write.
 */
export const ERRORS = {
  BAD_REQUEST: { status: 400, retryable: false, outcome: "not_applied" },
  BAD_KEY: { status: 400, retryable: false, outcome: "not_applied" },
  BAD_JSON: { status: 400, retryable: false, outcome: "not_applied" },
  FORBIDDEN: { status: 403, retryable: false, outcome: "not_applied" },
  NOT_FOUND: { status: 404, retryable: false, outcome: "not_applied" },
  METHOD_NOT_ALLOWED: { status: 405, retryable: false, outcome: "not_applied" },
  REQUEST_TIMEOUT: { status: 408, retryable: true, outcome: "not_applied" },
  SESSION_CONFLICT: { status: 409, retryable: false, outcome: "not_applied" },
  SESSION_EXPIRED: { status: 410, retryable: false, outcome: "not_applied" },
  LENGTH_REQUIRED: { status: 411, retryable: false, outcome: "not_applied" },
  CONDITION_FAILED: { status: 412, retryable: false, outcome: "not_applied" },
  BODY_TOO_LARGE: { status: 413, retryable: false, outcome: "not_applied" },
  URL_TOO_LONG: { status: 414, retryable: false, outcome: "not_applied" },
  UNSUPPORTED_ENCODING: { status: 415, retryable: false, outcome: "not_applied" },
  NOT_LEADER: { status: 421, retryable: true, outcome: "not_applied" },
  UNKNOWN_HOST: { status: 421, retryable: false, outcome: "not_applied" },
  SESSIONS_FULL: { status: 429, retryable: true, outcome: "not_applied" },
  HEADERS_TOO_LARGE: { status: 431, retryable: false, outcome: "not_applied" },
  NO_LEADER: { status: 503, retryable: true, outcome: "not_applied" },
  TOO_MANY_CONNECTIONS: { status: 503, retryable: true, outcome: "not_applied" },
  OVERLOADED: { status: 503, retryable: true, outcome: "not_applied" },
  STARTING: { status: 503, retryable: true, outcome: "not_applied" },
  STOPPING: { status: 503, retryable: true, outcome: "not_applied" },
  BEHIND: { status: 503, retryable: true, outcome: "not_applied" },
  STATE_DISPUTED: { status: 503, retryable: true, outcome: "not_applied" },
  FENCED: { status: 503, retryable: true, outcome: "not_applied" },
  OUTCOME_UNKNOWN: { status: 504, retryable: false, outcome: "unknown" },
  READ_TIMEOUT: { status: 504, retryable: true, outcome: "not_applied" },
  DISK_FULL: { status: 507, retryable: true, outcome: "not_applied" },
  INTERNAL: { status: 500, retryable: false, outcome: "unknown" },
} as const satisfies Record<string, { status: number; retryable: boolean; outcome: Outcome }>;

export type ErrorCode = keyof typeof ERRORS;

/** "Bad ports" of the Fetch standard: `fetch`, and with it every browser, refuses to call them. */
const PORTS_REFUSED_BY_FETCH: ReadonlySet<number> = new Set([
  ...[1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101],
  ...[102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389],
  ...[427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636],
  ...[989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566],
  ...[6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080],
]);

export function isRefusedByFetch(port: number): boolean {
  return PORTS_REFUSED_BY_FETCH.has(port);
}

export const errorBodySchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    outcome: outcomeSchema,
    retryable: z.boolean(),
    /** The leader's client address, `host:port`, when this node knows one. */
    leader: z.string().optional(),
  }),
});
export type ErrorBody = z.infer<typeof errorBodySchema>;

export const valueTypeSchema = z.enum(["json", "text", "binary"]);

/**
 * A key and its value. `value` is the JSON value itself, a string, or base64, as `type` says.
 * `keyEncoding` is present for a key that is not valid UTF-8.
 */
export const recordSchema = z.object({
  key: z.string(),
  keyEncoding: z.literal("base64").optional(),
  value: z.unknown(),
  type: valueTypeSchema,
  revision: z.number().int(),
  createRevision: z.number().int(),
  version: z.number().int(),
});
export type KeyRecord = z.infer<typeof recordSchema>;

export const putResponseSchema = z.object({
  key: z.string(),
  keyEncoding: z.literal("base64").optional(),
  revision: z.number().int(),
  createRevision: z.number().int(),
  version: z.number().int(),
  previous: recordSchema.nullish(),
});
export type PutResponse = z.infer<typeof putResponseSchema>;

export const deleteResponseSchema = z.object({
  deleted: z.number().int(),
  revision: z.number().int(),
  previous: recordSchema.nullish(),
});
export type DeleteResponse = z.infer<typeof deleteResponseSchema>;

/** `count` alone, `keys` alone or whole records, as asked; `cursor` when there is more. */
export const listResponseSchema = z.object({
  items: z.array(recordSchema),
  revision: z.number().int(),
  cursor: z.string().optional(),
});
export type ListResponse = z.infer<typeof listResponseSchema>;

/** What `?keys=true` answers with: the keys without their values. */
export const listKeysResponseSchema = z.object({
  items: z.array(recordSchema.pick({ key: true, keyEncoding: true })),
  revision: z.number().int(),
  cursor: z.string().optional(),
});
export type ListKeysResponse = z.infer<typeof listKeysResponseSchema>;

/** A 412 also carries the record that is there now; null when the key is absent. */
export const conditionFailedBodySchema = z.object({ current: recordSchema.nullable() });

export const sessionResponseSchema = z.object({
  id: z.string(),
  ttlMs: z.number().int(),
});
export type SessionResponse = z.infer<typeof sessionResponseSchema>;

export const memberSchema = z.object({
  id: z.number().int(),
  role: z.enum(["voter", "learner"]),
  peerAddress: z.string(),
  clientAddress: z.string(),
});

export const statusResponseSchema = z.object({
  nodeId: z.number().int(),
  clusterId: z.string(),
  version: z.string(),
  /**
   * `repairing`: the node asks its peers for what its disk lost and serves nothing yet.
   * `recovering`: it counts in no majority until it has caught up with a leader.
   * `disputed`: it leads, the nodes hold different states, and no majority agrees: writes stop.
   * `fenced`: the majority holds another state; the node serves nothing.
   */
  state: z.enum(["running", "recovering", "repairing", "disputed", "fenced"]),
  /** While it repairs: what is damaged, and who has answered. */
  repair: z
    .object({
      damage: z.array(z.object({ file: z.string(), offset: z.number().int() })),
      missingEntries: z.number().int(),
      helpers: z.array(z.number().int()),
    })
    .optional(),
  role: z.enum(["follower", "pre-candidate", "candidate", "leader", "learner"]),
  term: z.number().int(),
  /** null while no leader is known. */
  leaderId: z.number().int().nullable(),
  leader: z.string().nullable(),
  revision: z.number().int(),
  commitIndex: z.number().int(),
  lastApplied: z.number().int(),
  lastLogIndex: z.number().int(),
  snapshotIndex: z.number().int(),
  /** Of the state after `index`: equal on all nodes that have applied the same entries. */
  hash: z.object({ index: z.number().int(), version: z.number().int(), value: z.string() }),
  clusterTime: z.number().int(),
  members: z.array(memberSchema),
  progress: z.array(
    z.object({
      id: z.number().int(),
      state: z.enum(["probe", "replicate", "snapshot"]),
      matchIndex: z.number().int(),
      nextIndex: z.number().int(),
      active: z.boolean(),
    }),
  ),
  storage: z.object({
    fsyncs: z.number().int(),
    batches: z.number().int(),
    bytesWritten: z.number().int(),
    segments: z.number().int(),
    logBytes: z.number().int(),
    snapshotBytes: z.number().int(),
  }),
  uptimeMs: z.number().int(),
});
export type StatusResponse = z.infer<typeof statusResponseSchema>;

/** `Session: id;sequence;lowest-unanswered` on a write makes its retries harmless. */
export const SESSION_HEADER = "session";
