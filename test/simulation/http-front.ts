/**
 * The production HTTP application before simulated processes: from a request as the client library
 * sends it to the answer it gets, without sockets. Only what node:http does is left out.
 *
 * One application serves all processes: a handler asks the gateway at once, so what it asked for is
 * noted here and put to the process the request is for. That happens outside of the application,
 * which would take a violation for a failed handler.
 *
 * Every command is told to the ledger before it is submitted, and gets the two things that only a
 * simulation can give: the number of its attempt, and a session's random bytes from the seed.
 */
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Body } from "../../clients/http-try.ts";
import type { SeededRandom } from "../../raft/index.ts";
import type {
  Gateway,
  ReadOutcome,
  ReadRequest,
  ReplicaStatus,
  WriteOutcome,
} from "../../server/gateway.ts";
import { type App, createApp } from "../../server/http/index.ts";
import { decodeCommand } from "../../server/kv/command-decoder.ts";
import { OFFSET_REQUEST_ID } from "../../server/kv/command-layout.ts";
import { type KvReader, SESSION_RANDOM_BYTES } from "../../server/kv/index.ts";
import { fork } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import { JudgedReader } from "./judged-reader.ts";
import type { Process } from "./node-parts.ts";
import { intentOf } from "./translation.ts";
import { Violation } from "./violation.ts";

export interface ArrivingRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body | null;
}

/** What a handler asked of the gateway. */
type Asked =
  | {
      readonly kind: "write";
      readonly command: Uint8Array;
      readonly forward: boolean;
      readonly done: (outcome: WriteOutcome) => void;
    }
  | {
      readonly kind: "read";
      readonly request: ReadRequest;
      readonly done: (outcome: ReadOutcome) => void;
    };

export class HttpFront {
  readonly #cluster: Cluster;
  readonly #gateway = new NotingGateway();
  readonly #app: App;
  readonly #random: SeededRandom;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#random = fork(cluster.seed, "session ids");
    const logger = {
      error: (fields: object, message: string): void => {
        cluster.scheduler.fail(new Violation(`${message} ${JSON.stringify(fields)}`, "crash"));
      },
    };
    this.#app = createApp({ gateway: this.#gateway, logger, version: "simulated" });
  }

  /**
   * To be called inside the process. `settle` is called when the process owes no answer any more,
   * and `answer` soon after.
   */
  serve(
    process: Process,
    request: ArrivingRequest,
    settle: () => void,
    answer: (response: Response) => void,
  ): void {
    const incoming = new Incoming(request);
    const bindings = { incoming, outgoing: UNUSED_RESPONSE };
    const response = this.#app.fetch(bareRequest(request.method), bindings);
    incoming.arrive(request.body);
    void Promise.resolve(response).then(answer);
    this.#cluster.scheduler.wake();
    const asked = this.#gateway.take();
    if (asked === undefined) settle();
    else if (asked.kind === "write") this.#write(process, asked, settle);
    else this.#read(process, asked, settle);
  }

  #write(process: Process, asked: Extract<Asked, { kind: "write" }>, settle: () => void): void {
    const { ledger, scheduler, trace } = this.#cluster;
    const decoded = decodeCommand(asked.command);
    const intent = intentOf(decoded);
    const attempt = ledger.begin(intent, ledger.seen);
    const command = Buffer.from(asked.command);
    command.writeUInt32LE(attempt.id, OFFSET_REQUEST_ID);
    if (decoded.kind === "open-session") this.#drawSessionId(command);
    if (trace.keepsLines)
      trace.line(`a request is attempt ${attempt.id}: ${JSON.stringify(intent)}`);
    process.replica.submit(command, asked.forward, (outcome) => {
      settle();
      trace.mix(7, attempt.id, outcome.kind.length, 0);
      if (trace.keepsLines) trace.line(`attempt ${attempt.id}: ${JSON.stringify(outcome)}`);
      ledger.told(attempt, outcome);
      asked.done(outcome);
      scheduler.wake();
    });
  }

  /** They stand at the end of the command (server/kv/command-layout.ts). */
  #drawSessionId(command: Buffer): void {
    for (let at = command.length - SESSION_RANDOM_BYTES; at < command.length; at += 1) {
      command[at] = this.#random.below(256);
    }
  }

  #read(process: Process, asked: Extract<Asked, { kind: "read" }>, settle: () => void): void {
    const { ledger, scheduler, trace, tally } = this.#cluster;
    const floor = ledger.seen;
    process.replica.read(asked.request, (outcome) => {
      settle();
      const { appliedIndex, reader } = process.machine;
      trace.mix(8, appliedIndex, outcome.kind.length, 0);
      if (outcome.kind === "granted") {
        tally.count(`read by ${outcome.used}`);
        if (outcome.used !== "stale") ledger.readIsFresh(appliedIndex, floor);
        this.#gateway.lend(new JudgedReader(reader, ledger, appliedIndex));
      }
      asked.done(outcome);
      scheduler.wake();
    });
  }
}

/** Keeps what a handler asks until somebody takes it. */
class NotingGateway implements Gateway {
  #asked: Asked | undefined;
  #reader: KvReader | undefined;

  get reader(): KvReader {
    if (this.#reader === undefined) throw new Violation("a read that was not granted");
    return this.#reader;
  }

  /** Of the process whose read is granted now. */
  lend(reader: KvReader): void {
    this.#reader = reader;
  }

  submit(command: Uint8Array, forward: boolean, done: (outcome: WriteOutcome) => void): void {
    this.#asked = { kind: "write", command, forward, done };
  }

  read(request: ReadRequest, done: (outcome: ReadOutcome) => void): void {
    this.#asked = { kind: "read", request, done };
  }

  take(): Asked | undefined {
    const asked = this.#asked;
    this.#asked = undefined;
    return asked;
  }

  status(): ReplicaStatus {
    throw new Violation("simulated clients do not ask for the status");
  }

  leader(): undefined {
    return undefined;
  }

  isReady(): boolean {
    return true;
  }
}

const NOWHERE = new Socket();

/** A request of node:http whose body is there as soon as somebody listens. */
class Incoming extends IncomingMessage {
  constructor({ method, target, headers }: ArrivingRequest) {
    super(NOWHERE);
    this.method = method;
    this.url = target;
    this.headers = { ...headers };
    this.complete = true;
  }

  /** Nothing is read from the socket. */
  override _read(): void {}

  arrive(body: Body | null): void {
    if (body !== null) this.emit("data", Buffer.from(body));
    this.emit("end");
  }
}

const UNUSED_RESPONSE = new ServerResponse(new IncomingMessage(NOWHERE));
const BARE_REQUESTS = new Map<string, Request>();

/** The application takes method and nothing else from the Request: all of one method share one. */
function bareRequest(method: string): Request {
  let request = BARE_REQUESTS.get(method);
  if (request === undefined) {
    request = new Request("http://simulated/", { method });
    BARE_REQUESTS.set(method, request);
  }
  return request;
}
