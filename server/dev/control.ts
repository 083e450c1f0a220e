/**
 * How a second terminal talks to a running supervisor: one JSON line each way over loopback. The
 * address stands in `dev.json` in the data directory, readable by its owner alone, together with a
 * secret; whoever can not read that file can not stop a node, and a web page can not either.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import * as z from "zod";

export const CONTROL_ACTIONS = ["list", "start", "stop", "kill"] as const;
export type ControlAction = (typeof CONTROL_ACTIONS)[number];

export interface ControlRequest {
  readonly action: ControlAction;
  /** Undefined for `list`. */
  readonly node: string | undefined;
}

export interface ControlAnswer {
  readonly ok: boolean;
  readonly text: string;
}

const requestSchema = z.strictObject({
  secret: z.string(),
  action: z.enum(CONTROL_ACTIONS),
  node: z.string().optional(),
});
const answerSchema = z.strictObject({ ok: z.boolean(), text: z.string() });
const fileSchema = z.looseObject({ pid: z.number(), port: z.number(), secret: z.string() });

const LINE_CHARACTERS_MAX = 4096;
const REQUEST_TIMEOUT_MS = 2000;
/** Longer than a node may take to stop or to serve. */
const ANSWER_TIMEOUT_MS = 15_000;

export class ControlServer {
  readonly #server: Server;
  readonly #path: string;

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  static open(
    dataDirectory: string,
    handle: (request: ControlRequest) => Promise<ControlAnswer>,
  ): Promise<ControlServer> {
    const secret = randomBytes(18).toString("base64url");
    const path = controlPath(dataDirectory);
    return new Promise((resolve, reject) => {
      const server = createServer((socket) => serve(socket, secret, handle));
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        const address = server.address();
        const port = address !== null && typeof address === "object" ? address.port : 0;
        try {
          writeControlFile(path, { pid: process.pid, port, secret });
          resolve(new ControlServer(server, path));
        } catch (error) {
          server.close();
          reject(error);
        }
      });
    });
  }

  close(): void {
    this.#server.close();
    rmSync(this.#path, { force: true });
  }
}

function controlPath(dataDirectory: string): string {
  return join(dataDirectory, "dev.json");
}

function serve(
  socket: Socket,
  secret: string,
  handle: (request: ControlRequest) => Promise<ControlAnswer>,
): void {
  socket.on("error", () => socket.destroy());
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  readLine(socket, (line) => {
    socket.setTimeout(0);
    const request = parseRequest(line);
    const isKnown = request !== undefined && isSame(request.secret, secret);
    const answer = isKnown
      ? handle({ action: request.action, node: request.node })
      : Promise.resolve({ ok: false, text: "not a request this supervisor understands" });
    answer.then(
      (done) => socket.end(`${JSON.stringify(done)}\n`),
      () => socket.destroy(),
    );
  });
}

function parseRequest(line: string): z.infer<typeof requestSchema> | undefined {
  try {
    return requestSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function isSame(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function readLine(socket: Socket, done: (line: string) => void): void {
  let text = "";
  socket.setEncoding("utf8");
  const take = (chunk: string): void => {
    text += chunk;
    const end = text.indexOf("\n");
    if (end >= 0) {
      socket.off("data", take);
      done(text.slice(0, end));
    } else if (text.length > LINE_CHARACTERS_MAX) {
      socket.destroy();
    }
  };
  socket.on("data", take);
}

/** Asks the supervisor of `dataDirectory`; undefined when none is running there. */
export function askSupervisor(
  dataDirectory: string,
  request: ControlRequest,
): Promise<ControlAnswer | undefined> {
  const file = readControlFile(controlPath(dataDirectory));
  if (file === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: file.port });
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
    socket.once("connect", () => {
      socket.write(`${JSON.stringify({ secret: file.secret, ...request })}\n`);
    });
    // A file that a killed supervisor left behind leads nowhere, or to a stranger.
    socket.once("error", () => resolve(undefined));
    socket.once("close", () => resolve(undefined));
    readLine(socket, (line) => {
      const answer = answerSchema.safeParse(parseJson(line));
      resolve(answer.success ? answer.data : undefined);
      socket.end();
    });
  });
}

function writeControlFile(path: string, content: z.infer<typeof fileSchema>): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Removed first: an existing file would keep its mode.
  rmSync(path, { force: true });
  writeFileSync(path, `${JSON.stringify(content)}\n`, { mode: 0o600, flag: "wx" });
}

function readControlFile(path: string): z.infer<typeof fileSchema> | undefined {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
