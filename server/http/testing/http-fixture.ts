/** A served API over a fake gateway, and raw sockets for what fetch would tidy up. */
import { connect, type Socket } from "node:net";
import { SystemClock } from "../../clock.ts";
import { createApp, createHttpServer, type HttpServer, type HttpServerOptions } from "../index.ts";
import { FakeGateway } from "./fake-gateway.ts";

export interface Fixture {
  readonly gateway: FakeGateway;
  readonly server: HttpServer;
  readonly port: number;
  /** Errors that were logged: bugs, in every test but one. */
  readonly errors: string[];
  close(): Promise<void>;
}

export type FixtureOptions = Partial<Omit<HttpServerOptions, "app" | "clock" | "logger">> & {
  readonly valueBytesMax?: number;
};

export async function startFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const gateway = new FakeGateway();
  const errors: string[] = [];
  const logger = {
    error: (fields: object, message: string): void => {
      errors.push(`${message} ${JSON.stringify(fields)}`);
    },
  };
  const { valueBytesMax, ...serverOptions } = options;
  const app = createApp({ gateway, logger, version: "0.0.0", valueBytesMax });
  const server = createHttpServer({
    app,
    clock: new SystemClock(),
    logger,
    bindAddress: "127.0.0.1",
    bodyBytesMax: valueBytesMax,
    ...serverOptions,
  });
  await new Promise<void>((resolve, reject) => {
    server.listen(0, (error) => (error === undefined ? resolve() : reject(error)));
  });
  const close = (): Promise<void> => new Promise((resolve) => server.drain(0, resolve));
  return { gateway, server, port: server.port, errors, close };
}

export interface RawResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Sends bytes, and resolves with all that came back once the server has closed the connection. */
export function exchange(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const received: Buffer[] = [];
    socket.on("data", (chunk) => received.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => resolve(Buffer.concat(received).toString("latin1")));
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

/** One request with `Connection: close` and its answer. */
export async function request(
  port: number,
  line: string,
  headers: readonly string[] = [],
  body = "",
): Promise<RawResponse> {
  const length = body === "" ? [] : [`Content-Length: ${body.length}`];
  const lines = [`${line} HTTP/1.1`, "Host: localhost", ...headers, ...length, "Connection: close"];
  const [response] = parseResponses(await exchange(port, `${lines.join("\r\n")}\r\n\r\n${body}`));
  if (response === undefined) throw new Error(`no answer to ${line}`);
  return response;
}

/** Splits what a connection sent into answers; those to HEAD must not be among them. */
export function parseResponses(text: string): RawResponse[] {
  const responses: RawResponse[] = [];
  let rest = text;
  while (rest.length > 0) {
    const headEnd = rest.indexOf("\r\n\r\n");
    if (headEnd === -1) throw new Error(`half an answer: ${JSON.stringify(rest.slice(0, 200))}`);
    const [statusLine = "", ...headerLines] = rest.slice(0, headEnd).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
    const headers = new Map<string, string>();
    for (const line of headerLines) {
      const colon = line.indexOf(":");
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const length = Number(headers.get("content-length") ?? 0);
    responses.push({ status, headers, body: rest.slice(headEnd + 4, headEnd + 4 + length) });
    rest = rest.slice(headEnd + 4 + length);
  }
  return responses;
}

/** The code of an error answer. */
export function errorCode(response: RawResponse): unknown {
  return JSON.parse(response.body).error.code;
}

export function openSocket(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.on("error", () => {});
  });
}
