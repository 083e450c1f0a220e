/**
 * Builds dist/: compiled modules and types of every folder, and in dist/bin the command `raft-kv`,
 * one file for each of its parts.
 *
 * A killed node has to serve again within a second. Loading two hundred modules one by one was a
 * third of its start, and even bundled they take longer in the newer module format than in the
 * older one.
 */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const compiler = fileURLToPath(
  new URL("lib/tsc.js", import.meta.resolve("typescript/package.json")),
);

/** What `server/main.ts` loads when it is wanted, and so is a file of its own. */
const PARTS = {
  "run-server": "server/run-server.ts",
  dev: "server/dev/dev.ts",
  cli: "clients/cli.ts",
  "cli-help": "server/cli-help.ts",
  version: "server/version.ts",
};

const partsApart = {
  name: "parts-apart",
  setup({ onResolve }) {
    onResolve({ filter: /\.ts$/ }, ({ kind, path }) => {
      if (kind !== "dynamic-import") return undefined;
      const part = basename(path, extname(path));
      if (!(part in PARTS)) throw new Error(`${path} is loaded when wanted, but is no part`);
      return { path: `./${part}.cjs`, external: true };
    });
  },
};

const compiled = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

rmSync(new URL("dist/bin", import.meta.url), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { "raft-kv": "server/main.ts", ...PARTS },
  outdir: "dist/bin",
  outExtension: { ".js": ".cjs" },
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20",
  sourcemap: true,
  logLevel: "warning",
  plugins: [partsApart],
  // The older format has no `import()` that is cheap, and no `import.meta`.
  supported: { "dynamic-import": false },
  define: { "import.meta.url": "moduleUrl" },
  // A directive counts only in front of everything else.
  banner: {
    js: '"use strict"; const moduleUrl = require("node:url").pathToFileURL(__filename).href;',
  },
});
