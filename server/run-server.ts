/**
 * One node as a process: reads its settings, starts, waits for a signal, stops.
 *
 * Exit codes: 0 after a graceful stop, 1 when something failed, 2 for wrong settings. A storage
 * failure or a broken invariant ends the process at once: what it could still answer is not to be
 * trusted.
 */
import { serverHelp } from "./cli-help.ts";
import { SystemClock } from "./clock.ts";
import { loadServerConfig, type ServerConfig } from "./config.ts";
import { whenSupervisorIsGone } from "./dev/lifeline.ts";
import { createLogger, type Logger } from "./logger.ts";
import { asksForHelp, ConfigError, type OptionSources } from "./options.ts";
import { type RunningServer, startServer } from "./server.ts";
import { readVersion } from "./version.ts";

/** A second signal, or this long after the first, ends the process without grace. */
const STOP_PATIENCE_MS = 6_000;

export async function runServer(sources: OptionSources): Promise<number> {
  if (asksForHelp(sources.args)) {
    process.stdout.write(serverHelp());
    return 0;
  }
  let config: ServerConfig;
  try {
    config = loadServerConfig(sources);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  const log = createLogger({
    level: config.logLevel,
    format: config.logFormat,
    nodeId: config.id,
  });
  const fail = (error: Error) => {
    log.error({ error: error.message, code: codeOf(error) }, "stopping at once");
    process.exit(1);
  };
  process.on("uncaughtException", (error) => {
    log.error({ stack: error.stack }, "an invariant is broken");
    fail(error);
  });
  // From here on a signal is never lost: one that comes during the start stops what was started.
  const stopAsked = stopSignal(log);
  try {
    const server = await startServer(config, { log, version: readVersion(), fail });
    await stopAsked;
    await stopServer(server, log);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    log.error({ error: error.message, code: codeOf(error) }, "can not start");
    // What was started must not live on: a member that cannot be reached would stand for election.
    process.exit(1);
  }
}

/** Resolves when this process is asked to stop; asked twice, it ends. */
function stopSignal(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false;
    const ask = (why: string) => {
      if (isAsked) process.exit(1);
      isAsked = true;
      log.info({ signal: why }, "stopping");
      resolve();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => ask(signal));
    }
    whenSupervisorIsGone(() => {
      if (!isAsked) ask("the supervisor is gone");
    });
  });
}

function stopServer(server: RunningServer, log: Logger): Promise<void> {
  return new Promise((resolve) => {
    const patience = new SystemClock().after(STOP_PATIENCE_MS, () => {
      log.warn({}, "the stop takes too long: ending without grace");
      process.exit(1);
    });
    server.stop(() => {
      patience.cancel();
      log.info({}, "stopped");
      resolve();
    });
  });
}

function codeOf(error: Error): unknown {
  return "code" in error ? error.code : undefined;
}
