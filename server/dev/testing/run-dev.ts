/** `raft-kv dev` on stub servers, as a process of its own: signals come from outside. */
import { fileURLToPath } from "node:url";
import { runDev } from "../dev.ts";

process.exitCode = await runDev(
  process.argv.slice(2),
  fileURLToPath(new URL("stub-server.mjs", import.meta.url)),
);
