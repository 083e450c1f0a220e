#!/usr/bin/env node
/**
 * The `raft-kv` command. Decides which part of the program a process is, and its exit code:
 * 0 done, 1 failed, 2 wrong settings; the client commands say more in their help. Each part is
 * loaded when it is wanted: a node that was killed has to be back within a second.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const CLIENT_COMMANDS = [
  { usage: "get KEY", summary: "print the value of a key" },
  { usage: "put KEY VALUE", summary: "write a value" },
  { usage: "del KEY", summary: "delete a key" },
  { usage: "list [PREFIX]", summary: "list keys and values in order" },
  { usage: "status", summary: "what each node says of itself" },
];

async function main(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case "server": {
      const { runServer } = await import("./run-server.ts");
      return await runServer({
        args: rest,
        environment: process.env,
        readFile: (path) => readFileSync(path, "utf8"),
      });
    }
    case "dev": {
      const { runDev } = await import("./dev/dev.ts");
      return await runDev(rest, fileURLToPath(import.meta.url));
    }
    case undefined:
    case "help":
    case "--help":
    case "-h": {
      const { mainHelp } = await import("./cli-help.ts");
      process.stdout.write(mainHelp(CLIENT_COMMANDS));
      return command === undefined ? 2 : 0;
    }
    case "version":
    case "--version": {
      const { readVersion } = await import("./version.ts");
      process.stdout.write(`${readVersion()}\n`);
      return 0;
    }
    default: {
      const { isClientCommand, runClientCommand } = await import("../clients/cli.ts");
      if (isClientCommand(command)) {
        const { env, stdin, stdout, stderr } = process;
        // Whoever reads our output may stop early: `raft-kv list | head`.
        stdout.on("error", (error: NodeJS.ErrnoException) => {
          if (error.code !== "EPIPE") throw error;
          process.exit(0);
        });
        return await runClientCommand(argv, { env, stdin, stdout, stderr });
      }
      process.stderr.write(`raft-kv: there is no command "${command}"; see raft-kv --help\n`);
      return 2;
    }
  }
}

/** Node's own code for a program that waits for what never comes. */
const NEVER_ENDED = 13;

// What is thrown here ends the process with its stack, as it should.
process.exitCode = NEVER_ENDED;
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
