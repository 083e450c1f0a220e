/** The door of server/http: the public API as an application, and the port it is served on. */
export { type App, type AppOptions, createApp, type HttpBindings } from "./app.ts";
export {
  createHttpServer,
  HTTP_TIMEOUTS,
  type HttpServer,
  type HttpServerOptions,
  type HttpTimeouts,
} from "./http-server.ts";
export type { HttpLogger } from "./logger.ts";
