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
  lockDirectory,
  NodeFileSystem,
  openStorage,
  type StorageReport,
  setAside,
} from "../storage/index.ts";
import { formatHostPort } from "./address.ts";
import { SystemClock } from "./clock.ts";
import { clusterIdOf } from "./cluster-id.ts";
import type { ServerConfig } from "./config.ts";
import { GatewaySwitch } from "./gateway-switch.ts";
import { createApp, createHttpServer, type HttpServer } from "./http/index.ts";
import type { Logger } from "./logger.ts";
import type { NodeContext, Phase } from "./phase.ts";
import { openOrSurvey, repair } from "./repairing.ts";
import type { Divergence } from "./replica/state-guard.ts";
import { GRACE_MS, randomIdentifier, serve } from "./serving.ts";

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

/** Resolves when clients are being answered; rejects when the node must not start. */
export async function startServer(
  config: ServerConfig,
  surroundings: ServerSurroundings,
): Promise<RunningServer> {
  const { log, fail } = surroundings;
  const directory = resolve(config.dataDirectory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory({ directory, host: hostname(), onCompromised: fail });
  const phases = new Phases(contextOf(config, directory, surroundings));
  const http = createClientPort(config, surroundings, phases.gateway);
  await completion((done) => phases.listen(done));
  await completion((done) => http.listen(config.listen.port, done));
  log.info(
    {
      client: formatHostPort(config.listen),
      peer: formatHostPort(config.peerListen),
      data: directory,
      members: config.members.length,
    },
    phases.isServing ? "serving" : "listening; serving once the log is repaired",
  );
  return { stop: (done) => stop({ http, phases, lock }, done) };
}

/** Serving, at once, after a repair, or anew; each phase ends before the next begins. */
class Phases {
  readonly gateway: GatewaySwitch;
  readonly #context: NodeContext;
  #current: Phase;
  #isClosing = false;
  #hasReseeded = false;

  constructor(context: NodeContext) {
    this.#context = context;
    const opened = openOrSurvey(context.storage, { members: context.config.members });
    this.#current =
      opened.kind === "whole"
        ? serve(context, opened.storage, this.#diverged)
        : repair(context, opened.survey, () => this.#serve());
    this.gateway = new GatewaySwitch(this.#current.gateway);
  }

  get isServing(): boolean {
    return this.gateway.status().state !== "repairing";
  }

  listen(done: (error: Error | undefined) => void): void {
    this.#current.listen(done);
  }

  close(done: () => void): void {
    this.#isClosing = true;
    this.#current.close(done);
  }

  #serve(): void {
    if (this.#isClosing) return;
    const storage = openStorage(this.#context.storage);
    // What a repair that was exact has replaced is needed by nobody.
    if (!storage.isRecovering) storage.markWhole(() => {});
    this.#current = serve(this.#context, storage, this.#diverged);
    this.gateway.use(this.#current.gateway);
    this.#current.listen((error) => {
      if (error !== undefined) this.#context.fail(error);
      else this.#context.log.info({}, "serving");
    });
  }

  /**
   * Begins again with nothing, as a member that recovers. Only once: a process that diverges again
   * computes something else than the others, and would for ever disturb them by starting over.
   */
  readonly #diverged = ({ index }: Divergence): void => {
    const { log, storage } = this.#context;
    if (this.#isClosing) return;
    if (this.#hasReseeded) {
      log.error({ index }, "this state differs again since the process started: staying fenced");
      return;
    }
    this.#hasReseeded = true;
    setAside(storage);
    log.warn({ index }, "set the state aside as evidence; asking the leader for its state");
    this.#serve();
  };
}

function createClientPort(
  config: ServerConfig,
  { log, version }: ServerSurroundings,
  gateway: GatewaySwitch,
): HttpServer {
  const { valueBytesMax } = config;
  return createHttpServer({
    app: createApp({ gateway, logger: log, version, valueBytesMax }),
    clock: new SystemClock(),
    logger: log,
    bindAddress: config.listen.host,
    allowedHosts: config.allowedHosts,
    bodyBytesMax: valueBytesMax,
    socketsMax: config.maxConnections,
    socketsPerAddressMax: config.maxConnectionsPerAddress,
  });
}

interface Running {
  readonly http: HttpServer;
  readonly phases: Phases;
  readonly lock: DirectoryLock;
}

/** New requests stop first, so that what is under way can end; then leadership moves on. */
function stop({ http, phases, lock }: Running, done: () => void): void {
  let left = 2;
  const oneDone = () => {
    left--;
    if (left === 0) lock.release().then(done, done);
  };
  http.drain(GRACE_MS, oneDone);
  phases.close(oneDone);
}

function contextOf(
  config: ServerConfig,
  directory: string,
  { log, fail }: ServerSurroundings,
): NodeContext {
  const clock = new SystemClock();
  const storage = {
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
    onReport: (report: StorageReport) => logReport(log, report),
  };
  return { config, clock, random: seededRandom(), log, storage, fail };
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
