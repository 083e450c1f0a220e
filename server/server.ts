/**
 * The composition root: builds one node from its settings and takes it apart again. Nothing else
 * knows all the parts.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { type Random, SeededRandom } from "../raft/index.ts";
import {
  type DirectoryLock,
  type DurableStorage,
  lockDirectory,
  NodeFileSystem,
  openStorage,
  type StorageReport,
} from "../storage/index.ts";
import { formatHostPort } from "./address.ts";
import { SystemClock, wallTimeMs } from "./clock.ts";
import { clusterIdOf } from "./cluster-id.ts";
import type { ServerConfig } from "./config.ts";
import { createApp, createHttpServer, type HttpServer } from "./http/index.ts";
import { isSupportedCommand, type KvResult, KvStateMachine } from "./kv/index.ts";
import { KvGateway } from "./kv-gateway.ts";
import type { Logger } from "./logger.ts";
import { HttpTransport, type TransportEvents, type TransportNotice } from "./peer/index.ts";
import type { MembershipView } from "./replica/options.ts";
import { Replica } from "./replica.ts";

/** How long a stop waits for what is under way. */
const GRACE_MS = 4_000;
/** A cluster that was only tried out should not have written many zeros. */
const FIRST_SEGMENT_BYTES = 1024 * 1024;

export interface ServerSurroundings {
  readonly log: Logger;
  readonly version: string;
  /** Ends the process: nothing it could still answer is to be trusted. */
  readonly fail: (error: Error) => void;
}

export interface RunningServer {
  /** Answers what is under way, hands leadership over, closes everything. */
  stop(done: () => void): void;
}

/** Resolves when clients are being served; rejects when the node must not start. */
export async function startServer(
  config: ServerConfig,
  surroundings: ServerSurroundings,
): Promise<RunningServer> {
  const { log, fail } = surroundings;
  const directory = resolve(config.dataDirectory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory({ directory, host: hostname(), onCompromised: fail });
  const clock = new SystemClock();
  const storage = openDataDirectory(config, directory, clock, surroundings);
  const machine = new KvStateMachine();
  const { transport, replica } = joinParts(config, { clock, storage, machine, log });
  const gateway = new KvGateway(replica, machine, storage);
  const app = createApp({
    gateway,
    logger: log,
    version: surroundings.version,
    valueBytesMax: config.valueBytesMax,
  });
  const http = createHttpServer({
    app,
    clock,
    logger: log,
    bindAddress: config.listen.host,
    allowedHosts: config.allowedHosts,
    bodyBytesMax: config.valueBytesMax,
    socketsMax: config.maxConnections,
  });
  await completion((done) => transport.listen(done));
  await completion((done) => http.listen(config.listen.port, done));
  log.info(
    {
      client: formatHostPort(config.listen),
      peer: formatHostPort(config.peerListen),
      data: directory,
      members: config.members.length,
    },
    "serving",
  );
  return { stop: (done) => stop({ http, replica, lock }, done) };
}

interface Running {
  readonly http: HttpServer;
  readonly replica: Replica<KvResult>;
  readonly lock: DirectoryLock;
}

/** New requests stop first, so that what is under way can end; then leadership moves on. */
function stop({ http, replica, lock }: Running, done: () => void): void {
  let left = 2;
  const oneDone = () => {
    left--;
    if (left === 0) lock.release().then(done, done);
  };
  http.drain(GRACE_MS, oneDone);
  replica.close(GRACE_MS, oneDone);
}

function openDataDirectory(
  config: ServerConfig,
  directory: string,
  clock: SystemClock,
  { log, fail }: ServerSurroundings,
): DurableStorage {
  return openStorage({
    directory,
    fileSystem: new NodeFileSystem(),
    clock,
    clusterId: clusterIdOf(config.token, config.members),
    nodeId: config.id,
    mintIncarnation: randomIdentifier,
    segmentBytes: [FIRST_SEGMENT_BYTES, FIRST_SEGMENT_BYTES, config.segmentBytes].map((bytes) =>
      Math.min(bytes, config.segmentBytes),
    ),
    onFailure: fail,
    onReport: (report) => logReport(log, report),
  });
}

interface Parts {
  readonly clock: SystemClock;
  readonly storage: DurableStorage;
  readonly machine: KvStateMachine;
  readonly log: Logger;
}

/** The replica and its transport know each other; the transport is made by the replica. */
function joinParts(config: ServerConfig, { clock, storage, machine, log }: Parts) {
  const random = seededRandom();
  const opened: { transport?: HttpTransport } = {};
  const openTransport = (events: TransportEvents, member: MembershipView): HttpTransport => {
    const { clusterId, nodeId, incarnation } = storage.identity;
    opened.transport = new HttpTransport({
      self: {
        clusterId,
        id: nodeId,
        incarnation,
        peerAddress: formatHostPort(config.peerListen),
      },
      clock,
      random,
      events,
      snapshots: storage,
      membership: (id, from) => member.checkMember(id, from),
      isFresh: () => member.isFresh,
      notice: (notice) => logNotice(log, notice),
    });
    return opened.transport;
  };
  const replica = new Replica<KvResult>({
    initialConfiguration: { members: config.members },
    initialTime: wallTimeMs(),
    processIncarnation: randomIdentifier(),
    timing: config.timing,
    snapshots: config.snapshots,
    clock,
    random,
    storage,
    machine,
    acceptsCommand: isSupportedCommand,
    openTransport,
    log,
  });
  const { transport } = opened;
  if (transport === undefined) throw new Error("the replica opens its transport");
  return { transport, replica };
}

/** 48 random bits: never 0, and safe as an integer. */
function randomIdentifier(): number {
  return randomBytes(6).readUIntBE(0, 6) || 1;
}

function seededRandom(): Random {
  return new SeededRandom(randomBytes(4).readUInt32LE(0));
}

function completion(start: (done: (error: Error | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === undefined ? resolve() : reject(error)));
  });
}

function logReport(log: Logger, report: StorageReport): void {
  switch (report.kind) {
    case "torn-batch-cut":
      log.warn({ file: report.file, offset: report.offset }, "cut a batch torn by a crash");
      return;
    case "hard-state-slot-repaired":
      log.warn({ file: report.file, offset: report.offset }, "repaired a copy of the hard state");
      return;
    case "snapshot-skipped":
      log.warn({ file: report.file, error: report.error.message }, "skipped a damaged snapshot");
      return;
    case "leftover-removed":
      log.info({ file: report.file }, "removed a leftover of an earlier run");
      return;
    case "allocation-failed":
      log.error({ error: report.error.message }, "no room for the log: refusing writes");
      return;
    case "allocation-recovered":
      log.info({}, "room for the log again: taking writes");
      return;
  }
}

function logNotice(log: Logger, notice: TransportNotice): void {
  const { kind, id, reason } = notice;
  if (kind === "refused") log.warn({ peer: id, reason }, "a member refuses our calls");
  else if (kind === "link-lost") log.info({ peer: id, reason }, "lost the link to a member");
  else log.warn({ peer: id, reason }, "ended a connection that broke the protocol");
}
